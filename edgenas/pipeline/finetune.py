"""Train the winners of a run's searches on, each by itself, before export."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgenas.data import Dataset
from edgenas.pipeline.winners import metric_of, winners
from edgenas.progress import Track, quiet
from edgenas.report import judge_finetuning
from edgenas.run import Run
from edgenas.space import Architecture
from edgenas.training import Evaluator, FineTuned, finetune, finetune_recipe, load_images, load_supernet
from edgenas.training.finetuned import sweep_checkpoints
from edgenas.training.recipe import check_length
from edgenas.values import checked
from edgenas.values.kinds import Epochs, GivenText, LearningRate, Seconds, Seed


@dataclass(frozen=True)
class FineTunedWinners:
    """Every subnet with what its own training has made of it. judgement: sentences on the outcome."""

    subnets: tuple[tuple[Architecture, FineTuned], ...]
    judgement: tuple[str, ...]


@checked
def finetune_run(
    run: Run, *, epochs: Epochs | None = None, seconds: Seconds | None = None, learning_rate: LearningRate | None = None,
    seed: Seed = 0, architecture: str | None = None, distil: bool = True, data: GivenText | Dataset | None = None,
    track: Track = quiet,
    report: Callable[[Architecture, FineTuned], None] = lambda architecture, tuned: None,
) -> FineTunedWinners:  # fmt: skip
    """Train the best of every search of a run on, or the one member of a front whose id is given.

    epochs: for each, a third of the supernet's unless told otherwise. seconds: for all of them together, in place of epochs.
    learning_rate: its peak. distil: learn from the labels and from the largest subnet, not from labels alone.
    data: where the run's images are now, or they. report: gets each subnet when it is done.

    A checkpoint follows every epoch: interrupted, the next call goes on. What was done in the same way is not done again.
    """
    check_length(seconds, epochs)
    sweep_checkpoints(run)
    dataset = load_images(run, data, track)
    recipe = finetune_recipe(run, epochs, learning_rate, seed)
    chosen = winners(run, architecture)
    share = seconds and seconds / len(chosen)
    evaluator, done = Evaluator(load_supernet(run), dataset), []
    for subnet in track(chosen, "Fine-tuning", len(chosen)):
        by_metric = evaluator.by(metric_of(run, chosen[subnet]))
        result = finetune(run, by_metric, subnet, recipe, seconds=share, distil=distil, track=track)
        report(subnet, result)
        done.append((subnet, result))
    return FineTunedWinners(tuple(done), tuple(judge_finetuning(run)))
