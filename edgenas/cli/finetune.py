"""`edgenas finetune`."""

from __future__ import annotations

from pathlib import Path

import click

from edgenas.bars import track
from edgenas.cli.answering import Answering, reply
from edgenas.cli.display import answer_all, conclude
from edgenas.cli.options import SECONDS, data_option, open_run, run_argument
from edgenas.cli.show_training import show_finetuned
from edgenas.pipeline.finetune import finetune_run
from edgenas.values.kinds import ARITHMETICS
from edgenas.words import counted


@click.command("finetune", cls=Answering)
@run_argument
@click.option("--epochs", type=int, help="Passes over the training images.  [default: a third of the supernet's]")
@click.option("--time", "seconds", type=SECONDS, help="Train about this long, such as 5m, all of them together.")
@click.option("--learning-rate", type=float, help="Its peak.  [default: the supernet's, at most 0.05]")
@click.option(
    "--teacher",
    type=click.Choice(["largest", "none"]),
    help="Learn from labels and the largest subnet (in int8: the network in floats), or from labels alone.  "
    "[default: none; in int8: largest]",
)
@click.option(
    "--precision", type=click.Choice(ARITHMETICS), default="fp32", show_default=True,
    help="int8: train for the int8 files alone, from the weights of the float files.",
)  # fmt: skip
@click.option("--per-tensor", is_flag=True, help="In int8: one scale for all channels of a weight; some accelerators want it.")
@click.option(
    "--architecture", metavar="ID", help="One member of a search's front by its id.  [default: the best of every search]"
)
@click.option("--seed", type=int, default=0, show_default=True)
@data_option
def command(
    run: Path | None,
    epochs: int | None,
    seconds: float | None,
    learning_rate: float | None,
    teacher: str | None,
    precision: str,
    per_tensor: bool,
    architecture: str | None,
    seed: int,
    data: str | None,
) -> None:
    """Train the winners of a run's searches on, each by itself, from the weights that they inherit from the supernet.

    \b
    edgenas finetune runs/photos --time 5m
    edgenas finetune runs/photos --precision int8

    Export then writes the fine-tuned weights, unless they are worse on the validation images than the inherited ones by more
    than chance explains: a winner was chosen for its validation accuracy, which flatters it. The results are in finetune/ of
    the run. A checkpoint is written after every epoch.

    With --precision int8 weights and ranges learn what int8 computes (quantisation-aware training). It comes after the training
    in floats: export then writes int8 files of what was trained so, float files as before.
    """
    opened = open_run(run)
    finetuned = finetune_run(
        opened, epochs=epochs, seconds=seconds, learning_rate=learning_rate, seed=seed, architecture=architecture,
        precision=precision, per_tensor=per_tensor, distil=None if teacher is None else teacher == "largest",
        data=data, track=track, report=show_finetuned,
    )  # fmt: skip
    answer_all(finetuned.judgement)
    conclude(f"Trained {counted(len(finetuned.subnets), 'network')} on, each by itself.", "export", opened.path)
    reply(finetuned)
