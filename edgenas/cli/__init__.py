"""The command line: parse, call the library, print."""

from __future__ import annotations

import errno
import io
import os
import sys
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

from edgenas.cli.notes import shown_notes
from edgenas.cli.remembering import ended_well, given
from edgenas.cli.stopping import exit_status, terminable
from edgenas.cli.vocabulary import worded
from edgenas.errors import EdgeNASError, UsageError

# In the order of the story. Imported when used, so that `edgenas --help` does not wait for torch.
COMMANDS = {
    "data": ("edgenas.cli.data", "Show what is in your images, and what will mislead a training."),
    "tune": ("edgenas.cli.tune", "Find a training recipe for your images, if there is time."),
    "pretrained": ("edgenas.cli.pretrained", "List the weights that a training may begin with."),
    "train-supernet": ("edgenas.cli.train", "Train one supernet on your images."),
    "add-images": ("edgenas.cli.add_images", "Take images that have come since into a run's splits."),
    "profile": ("edgenas.cli.profile", "Measure a device: its latency table for a run's space."),
    "search": ("edgenas.cli.search", "Find the most accurate subnet within a latency budget."),
    "finetune": ("edgenas.cli.finetune", "Train the winners on by themselves, before export."),
    "export": ("edgenas.cli.export", "Write the winners as ONNX and TFLite files."),
    "verify": ("edgenas.cli.verify", "Prove each file in its runtime: parity, accuracy, latency."),
    "predict": ("edgenas.cli.predict", "Classify images with an exported network."),
    "deploy": ("edgenas.cli.deploy", "Bring a network to a device, test and time it there."),
    "baseline": ("edgenas.cli.baseline", "Train what people pick by hand on the same images, to compare."),
    "report": ("edgenas.cli.report", "Show a run's results in one table and one picture."),
    "ui": ("edgenas.cli.ui", "Show a run in the browser, live."),
    "doctor": ("edgenas.cli.doctor", "Look for what is missing, slow or broken, and say what to do."),
    "quickstart": ("edgenas.cli.quickstart", "All of it, on bundled digits, in a few minutes."),
}


class _Misuse(click.ClickException):
    exit_code = UsageError.exit_code


class Story(click.Group):
    """A group that lists its commands in the order of use and ends every failure with one clear sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        try:
            return import_module(COMMANDS[name][0]).command
        except ImportError as error:
            how = "pip install --upgrade --force-reinstall edgenas"
            raise click.ClickException(f"The installation is incomplete or broken ({error}): {how}") from error

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Without importing the commands."""
        found = [CompletionItem(name, help=what) for name, (_, what) in COMMANDS.items() if name.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        from edgenas.values import unknown

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(unknown("command", args[0], COMMANDS), ctx)
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given(ctx, args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that cannot show a name is no reason to stop
        try:
            with terminable(), shown_notes():
                result = super().invoke(ctx)
                ended_well(ctx)
                return result
        except EdgeNASError as error:
            kind = _Misuse if isinstance(error, UsageError) else click.ClickException
            raise kind(f"{_speaker()}{worded(str(error))}") from error
        except KeyboardInterrupt as stop:
            if not _speaker():
                click.echo("\nStopped. What was finished is kept: the same command goes on from there.", err=True)
            sys.exit(exit_status(stop))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
                raise
            where = f": {error.filename}" if error.filename else ""
            raise click.ClickException(
                f"{_speaker()}{error.strerror}{where}. Nothing finished is lost: mend it and run the same command again."
            ) from error
        except MemoryError as error:
            raise click.ClickException(
                f"{_speaker()}This takes more memory than there is. Nothing finished is lost: give it more, or ask for less."
            ) from error


def _speaker() -> str:
    """Who fails, where it is not the first of the processes that train together."""
    rank = os.environ.get("RANK", "0")
    return "" if rank == "0" else f"Process {rank}: "


@click.group(cls=Story, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="edgenas")
def main() -> None:
    """From a folder of images and a device on the desk to a model file that is proven on that device.

    \b
    edgenas train-supernet --data photos/ --space mobilenetv3 --preset small --out runs/photos
    edgenas profile --device cpu
    edgenas search runs/photos --device cpu --latency 2ms
    edgenas export runs/photos --format onnx --format tflite
    edgenas verify runs/photos
    """
