"""`edgenas finetune`."""

from __future__ import annotations

from pathlib import Path

import click

from edgenas.cli.display import percent, say, track
from edgenas.cli.export import chosen
from edgenas.cli.judgement import show_judgement
from edgenas.cli.options import SECONDS, check_length, data_option, open_run, run_argument
from edgenas.data import Dataset
from edgenas.training import Evaluator, Run, finetune, finetune_recipe


@click.command("finetune")
@run_argument
@click.option(
    "--epochs", type=click.IntRange(min=1), help="Passes over the training images.  [default: a third of the supernet's]"
)
@click.option("--time", "seconds", type=SECONDS, help="Train about this long, such as 5m, all of them together.")
@click.option("--learning-rate", type=float, help="Its peak.  [default: the supernet's, at most 0.05]")
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
    epochs: int | None,
    seconds: float | None,
    learning_rate: float | None,
    teacher: str,
    architecture: str | None,
    seed: int,
    data: str | None,
) -> None:
    """Train the winners of a run's searches on, each by itself, from the weights that they inherit from the supernet.

    \b
    edgenas finetune runs/photos --time 5m

    Export then writes the fine-tuned weights, unless they are worse on the validation images than the inherited ones by more
    than chance explains: a winner was chosen for its validation accuracy, which flatters it. The results are in finetune/ of
    the run. A checkpoint is written after every epoch.
    """
    check_length(seconds, epochs)
    opened = open_run(run)
    finetune_run(
        opened, opened.dataset(data, track), epochs, seconds, learning_rate, seed, architecture, distil=teacher == "largest"
    )
    show_judgement(opened, "finetuning")
    say(f"Next: edgenas export {opened.path}")


def finetune_run(
    run: Run, dataset: Dataset, epochs: int | None = None, seconds: float | None = None, learning_rate: float | None = None,
    seed: int = 0, architecture_id: str | None = None, *, distil: bool = True,
) -> None:  # fmt: skip
    """Train the best of every search of a run on, or the one architecture named: each for `epochs`, or all in `seconds`."""
    recipe = finetune_recipe(run, epochs, learning_rate, seed)
    subnets = chosen(run, architecture_id)
    evaluator = Evaluator(run.supernet(), dataset)
    for subnet in track(subnets, "Fine-tuning", len(subnets)):
        share = seconds and seconds / len(subnets)
        result = finetune(run, evaluator, subnet, recipe, seconds=share, distil=distil, track=track)
        verdict = "" if result.is_used else ": clearly worse, so the inherited weights are kept"
        say(
            f"{subnet.id}: validation accuracy {percent(result.inherited_accuracy)} inherited, "
            f"{percent(result.accuracy)} fine-tuned{verdict}"
        )
