"""Option types that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from edgenas.cli.remembering import remembering
from edgenas.device.profile import device_folders
from edgenas.metric import NAMES as METRICS
from edgenas.pipeline.train import DEFAULT_FAMILY
from edgenas.run import Run
from edgenas.space import DEFAULT_PRESET, FAMILIES
from edgenas.training.recipe import PRECISIONS
from edgenas.values import Unfit, read, shown
from edgenas.values.kinds import FITS, Limit, Milliseconds, Seconds

F = TypeVar("F", bound="Callable[..., Any] | click.Command")

SPACE_HELP = f"Family of networks, {', '.join(FAMILIES)}, or your own: a .toml file."
IMAGES = "FOLDER|ZIP|TAR|NAME"
"""What --data takes."""


class Quantity(click.ParamType):
    """A number with a unit, such as `10m` or `2ms`, as a float of the base unit."""

    def __init__(self, name: str, units: dict[str, float], example: str, kind: Any):
        self.name = name
        self.units = units
        self.example = example
        self.kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([a-z]*)", str(value).strip().lower())
        if match is None or match[2] not in self.units:
            self.fail(f"{shown(value)} is no {self.name}: write a number with a unit, such as {self.example}.", param, ctx)
        try:
            amount: float = read(self.kind, float(match[1]) * self.units[match[2]], f"a {self.name}")
        except Unfit as refusal:
            self.fail(f"{shown(value)}: {refusal}", param, ctx)
        return amount


SECONDS = Quantity("time", {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}, "90s, 10m or 2h", Seconds)
MILLISECONDS = Quantity("latency", {"us": 1e-3, "ms": 1.0, "s": 1e3}, "500us or 2ms", Milliseconds)
BYTES = Quantity("amount of memory", {"b": 1, "kb": 1e3, "mb": 1e6, "kib": 1024, "mib": 1024**2}, "512KiB or 1MB", Limit)
COUNT = Quantity("number", {"": 1, "k": 1e3, "m": 1e6, "g": 1e9}, "40M", Limit)


class AnyPath(click.ParamType):
    """A path as it is written. What it has to be, the step says that takes it."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        return Path(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="file")]


PATH = AnyPath()


def device_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Those that a shell may complete to."""
    return sorted({path.stem for folder in device_folders() for path in folder.glob(f"{incomplete}*.toml")})


class Budget(click.ParamType):
    """A latency, on a named device or on the command's: `2ms` or `pi4=30ms`, as `(None, 2.0)` or `("pi4", 30.0)`."""

    name = "latency"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str | None, float]:
        if isinstance(value, tuple):
            return value
        device, named, latency = str(value).rpartition("=")
        if named and not device:
            self.fail(f"{shown(value)} names no device: write for example cpu=2ms.", param, ctx)
        return device.strip() or None, MILLISECONDS.convert(latency, param, ctx)


class Resolutions(click.ParamType):
    name = "pixels"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return tuple(sorted({int(size) for size in value.split(",")}))
        except ValueError:
            self.fail(f"{shown(value)} is no list of sizes: write pixels with commas, such as 96,112,128.", param, ctx)


class Counts(click.ParamType):
    """Numbers with commas between them, such as `5M,20M`."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        return tuple(round(COUNT.convert(number, param, ctx)) for number in value.split(","))


# What mean the same for `train-supernet` and `tune`.
images_option = click.option(
    "--data",
    metavar=IMAGES,
    help="Images: a folder or .zip with one sub-folder per class, WebDataset shards (a folder of .tar files or a pattern such "
    "as train-{000..009}.tar), or mnist5k or digits.",
)
stream_option = click.option(
    "--stream", is_flag=True, help="Keep no decoded images on the disk: they are decoded in every epoch."
)
fit_option = click.option(
    "--fit",
    type=click.Choice(FITS),
    default="crop",
    show_default=True,
    help="How pictures become squares: the centre of each, all of it padded with grey, or all of it squeezed.",
)
space_option = click.option(
    "--space",
    "family",
    metavar="NAME|FILE",
    help=f"{SPACE_HELP}  [default: {DEFAULT_FAMILY}, or what suits the weights to begin with]",
)
preset_option = click.option(
    "--preset",
    help=f"Scale of a family: tiny (20-28 px), small (96-128), imagenet (128-224).  [default: {DEFAULT_PRESET}]",
)
width_option = click.option("--width", type=float, help="Multiplies all channel counts.  [default: 1]")
resolutions_option = click.option(
    "--resolutions", type=Resolutions(), help="Input sizes instead of the preset's, such as 24,28,32."
)


ABOUT_IMAGES_AND_SPACE = ("stream", "fit", "family", "preset", "width", "resolutions")


def images_and_space_options(command: F) -> F:
    """What a training takes: images, how they are decoded, and the space whose networks learn them."""
    options = (
        images_option, stream_option, fit_option, space_option, preset_option, width_option, resolutions_option,
    )  # fmt: skip
    for option in reversed(options):  # as decorators one above the other
        command = option(command)
    return command


metric_option = click.option(
    "--metric",
    metavar="|".join(METRICS),
    default=METRICS[0],
    show_default=True,
    help="What makes one network better than another. For uneven classes: balanced, the mean recall of all classes.",
)
precision_option = click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="auto",
    show_default=True,
    help="auto: the faster one here.",
)
seed_option = click.option(
    "--seed", type=int, default=0, show_default=True, help="Of the split, the weights, the batches and the subnets."
)


def given_options(ctx: click.Context) -> dict[str, Any]:
    """The options that the command line names, without those that have their default."""
    return {name: value for name, value in ctx.params.items() if ctx.get_parameter_source(name) == ParameterSource.COMMANDLINE}


def given_again(ctx: click.Context, *names: str) -> list[str]:
    """Some of the options that the command line names, as they are given to another command."""
    words: list[str] = []
    for option in ctx.command.params:
        if isinstance(option, click.Option) and option.name in names and option.name in given_options(ctx):
            value = ctx.params[option.name]
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            words += [option.opts[0]] if option.is_flag else [option.opts[0], text]
    return words


def run_argument(command: F) -> F:
    """The run that a command works on: a folder, or the latest one."""
    return click.argument("run", required=False, type=PATH, metavar="[RUN]")(command)


def data_option(command: F) -> F:
    text = "Where the images of the run are now, if they have moved. They are known by their content, not by their names."
    return click.option("--data", metavar=IMAGES, help=text)(command)


def open_run(path: Path | None) -> Run:
    """The named run, or the latest one, which is announced."""
    if path is not None:
        return remembering(Run.open(path))
    run = Run.latest()
    click.echo(f"Using the latest run: {run.path}", err=True)
    return remembering(run)
