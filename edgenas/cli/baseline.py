"""`edgenas baseline`."""

from __future__ import annotations

from pathlib import Path

import click

from edgenas.bars import track
from edgenas.cli.answering import Answering, reply
from edgenas.cli.display import answer_all, conclude
from edgenas.cli.options import PATH, SECONDS, Resolutions, data_option, open_run, run_argument
from edgenas.cli.show_training import show_by_hand, show_epoch_by_hand
from edgenas.pipeline.baseline import compare_by_hand
from edgenas.space import NETWORKS
from edgenas.words import counted


@click.command("baseline", cls=Answering)
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
@click.option("--epochs", type=int, help="Passes over the training images, in place of a time.")
@click.option(
    "--from-scratch",
    is_flag=True,
    help="Begin with random weights.  [default: for photos with published ones, where they are on this machine]",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    type=PATH,
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
    opened = open_run(run)
    compared = compare_by_hand(
        opened, networks=networks, resolutions=resolutions, seconds=seconds, epochs=epochs, from_scratch=from_scratch,
        models=models, data=data, track=track, report=show_epoch_by_hand, done=show_by_hand,
    )  # fmt: skip
    answer_all(compared.judgement)
    conclude(f"Compared with {counted(len(compared.networks), 'network')} that people pick by hand.", "report", opened.path)
    reply(compared)
