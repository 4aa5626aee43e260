"""`edgenas finetune`."""

from __future__ import annotations

from pathlib import Path

import click

from edgenas.cli.display import percent, say, track
from edgenas.cli.export import chosen
from edgenas.cli.options import data_option, open_run, run_argument
from edgenas.data import Dataset
from edgenas.training import Evaluator, Run, finetune, finetune_recipe
from edgenas.training.finetune import EPOCHS


@click.command("finetune")
@run_argument
@click.option(
    "--epochs", type=click.IntRange(min=1), default=EPOCHS, show_default=True, help="Passes over the training images."
)
@click.option("--learning-rate", type=float, help="Its peak.  [default: a tenth of the supernet's]")
@click.option(
    "--teacher",
    type=click.Choice(["largest", "none"]),
    default="largest",
    show_default=True,
    help="Learn from labels and the largest subnet, or from labels alone.",
)
@click.option(
    "--architecture", metavar="ID", help="One member of a search's front by its id.  [default: the best of every search]"
)
@click.option("--seed", type=int, default=0, show_default=True)
@data_option
def command(
    run: Path | None,
    epochs: int,
    learning_rate: float | None,
    teacher: str,
    architecture: str | None,
    seed: int,
    data: str | None,
) -> None:
    """Train the winners of a run's searches on, each by itself, from the weights that they inherit from the supernet.

    \b
    edgenas finetune runs/photos --epochs 5

    Export then writes the fine-tuned weights, unless they are worse on the validation images than the inherited ones. The
    results are in finetune/ of the run. A checkpoint is written after every epoch.
    """
    opened = open_run(run)
    dataset = opened.dataset(data, track)
    finetune_run(opened, dataset, epochs, learning_rate, seed, architecture, distil=teacher == "largest")
    say(f"Next: edgenas export {opened.path}")


def finetune_run(
    run: Run, dataset: Dataset, epochs: int = EPOCHS, learning_rate: float | None = None, seed: int = 0,
    architecture_id: str | None = None, *, distil: bool = True,
) -> None:  # fmt: skip
    """Train the best of every search of a run on, or the one architecture named."""
    recipe = finetune_recipe(run, epochs, learning_rate, seed)
    subnets = chosen(run, architecture_id)
    evaluator = Evaluator(run.supernet(), dataset)
    for subnet in track(subnets, "Fine-tuning", len(subnets)):
        result = finetune(run, evaluator, subnet, recipe, distil=distil, track=track)
        verdict = "" if result.is_better else ": worse, so the inherited weights are kept"
        say(
            f"{subnet.id}: validation accuracy {percent(result.inherited_accuracy)} inherited, "
            f"{percent(result.accuracy)} fine-tuned{verdict}"
        )
