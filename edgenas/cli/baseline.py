"""`edgenas baseline`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from edgenas.baseline import (
    SCRATCH,
    Choice,
    add_file,
    begins_with,
    choose,
    create,
    finish,
    folder_of,
    is_done,
    published_weights,
    trained_seconds,
)
from edgenas.cli.display import counted, percent, say, track
from edgenas.cli.judgement import show_judgement
from edgenas.cli.options import SECONDS, Resolutions, check_length, data_option, open_run, run_argument
from edgenas.errors import DivergenceError, ParityError
from edgenas.export import Verification
from edgenas.latency import LatencyTable, timed_tables
from edgenas.pretrained import how_to_get
from edgenas.space import NETWORKS
from edgenas.training import Run


@click.command("baseline")
@run_argument
@click.option(
    "--network",
    "networks",
    multiple=True,
    metavar="NAME",
    help=f"A network; repeatable. One of {', '.join(NETWORKS)}, or all.  [default: what people pick for such images]",
)
@click.option("--resolutions", type=Resolutions(), help="Sizes of its images, such as 96,128.  [default: the run's largest]")
@click.option("--time", "seconds", type=SECONDS, help="Train each about this long.  [default: as long as the run was trained]")
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the training images, in place of a time.")
@click.option(
    "--from-scratch",
    is_flag=True,
    help="Begin with random weights.  [default: for photos with published ones, where they are on this machine]",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE.ONNX",
    help="Your own classifier of the same classes, to be verified and timed as it is; repeatable.",
)
@data_option
def command(
    run: Path | None,
    networks: tuple[str, ...],
    resolutions: tuple[int, ...] | None,
    seconds: float | None,
    epochs: int | None,
    from_scratch: bool,
    models: tuple[Path, ...],
    data: str | None,
) -> None:
    """Train networks that people pick by hand on the run's images for the run's time, and show them beside its winners.

    For photos they begin with published weights, where edgenas pretrained says that there are some on this machine.

    \b
    edgenas baseline runs/photos
    edgenas baseline runs/photos --network mobilenetv2 --network resnet18-like --resolutions 96,128 --time 10m
    edgenas baseline runs/photos --model my.onnx

    Each is exported, verified and timed as the winners are, and is a run of its own in baselines/ of the run. What is done is
    not done again: baselines add up over several calls.
    """
    check_length(seconds, epochs)
    opened = open_run(run)
    opened.require_trained()
    only_files = models and not (networks or resolutions or seconds or epochs or from_scratch)
    choices = [] if only_files else choose(networks, resolutions, opened.space.resolutions)
    choices = [replace(choice, from_scratch=from_scratch) for choice in choices]
    tables = timed_tables()
    for path in models:
        show(path.stem, add_file(opened, path, data, tables, track))
    announce(opened, choices, seconds, epochs)
    for choice in choices:
        train(opened, choice, data, tables, seconds, epochs)
    show_judgement(opened, "files")
    say(f"Next: edgenas report {opened.path}")


def announce(run: Run, choices: list[Choice], seconds: float | None, epochs: int | None) -> None:
    """What is to be done, and how long the trainings will take."""
    folders = [folder_of(run, choice.name) for choice in choices]
    left = [folder.name for folder in folders if not ((folder / "config.toml").exists() and is_done(Run.open(folder)))]
    if left:
        each = counted(epochs) if epochs else f"{(seconds or trained_seconds(run)) / 60:.1f} minutes"
        say(f"{len(left)} baseline{'s' * (len(left) > 1)}, each trained for {each}: {', '.join(left)}")


def train(
    run: Run, choice: Choice, data: str | None, tables: list[LatencyTable], seconds: float | None, epochs: int | None
) -> None:
    """One network from wherever it is to verified files."""
    baseline, dataset = create(run, choice, data, track, seconds=seconds, epochs=epochs)
    if is_done(baseline):
        say(f"{choice.name}: there already. To do it anew, delete {baseline.path}.")
        return
    say(f"{choice.name}: {counted(baseline.recipe.epochs)}, beginning with {beginning(run, choice, baseline)}")
    try:
        show(choice.name, finish(baseline, dataset, tables, track, show_epoch))
    except DivergenceError:
        say(f"{choice.name}: left out, since its training diverged at the run's learning rate.")


def beginning(run: Run, choice: Choice, baseline: Run) -> str:
    """What a baseline's weights are before its training, and where it lacks those that a person would have taken."""
    if (name := begins_with(baseline)) != SCRATCH:
        return f"the weights {name}"
    there_are = published_weights(run, choice)
    return "random weights" + (f", since {there_are[0].name}'s are not here: {how_to_get(there_are[0])}" if there_are else "")


def show_epoch(metrics: dict[str, Any]) -> None:
    if "largest_validation_accuracy" in metrics:
        accuracy = percent(metrics["largest_validation_accuracy"])
        say(f"epoch {metrics['epoch']:>4}  loss {metrics['loss']:.3f}  validation accuracy {accuracy}")


def show(name: str, verified: list[Verification]) -> None:
    accuracy = percent(verified[0].accuracy)
    latencies = ", ".join(f"{v.latency_ms:.3f} ms in {v.runtime}" for v in verified)
    say(f"{name}: {accuracy} of {verified[0].images} test images, {latencies}")
    if not all(v.passed for v in verified):
        raise ParityError(f"Outputs of {name} differ from torch's: please report this network.")
