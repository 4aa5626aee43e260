"""Train the winners of a run's searches on, each by itself, before export."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgenas.data import Dataset
from edgenas.errors import UsageError
from edgenas.names import pasted
from edgenas.pipeline.winners import metric_of, winners
from edgenas.progress import Track, quiet
from edgenas.report import judge_finetuning
from edgenas.run import Run
from edgenas.space import Architecture
from edgenas.training import Evaluator, FineTuned, finetune, finetune_recipe, load_finetuned, load_images, load_supernet
from edgenas.training.finetuned import sweep_checkpoints
from edgenas.training.recipe import check_length
from edgenas.values import checked, plain
from edgenas.values.kinds import Arithmetic, Epochs, GivenText, LearningRate, Seconds, Seed

log = logging.getLogger("edgenas")


@dataclass(frozen=True)
class FineTunedWinners:
    """Every subnet with what its own training has made of it. judgement: sentences on the outcome."""

    subnets: tuple[tuple[Architecture, FineTuned], ...]
    judgement: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Without the weights, which the run keeps."""
        subnets = [
            {"id": subnet.id, "architecture": str(subnet), "inherited": tuned.inherited, "score": tuned.score,
             "standard_error": tuned.standard_error, "is_used": tuned.is_used}
            for subnet, tuned in self.subnets
        ]  # fmt: skip
        return {"subnets": plain(subnets), "judgement": list(self.judgement)}


@checked
def finetune_run(
    run: Run, *, epochs: Epochs | None = None, seconds: Seconds | None = None, learning_rate: LearningRate | None = None,
    seed: Seed = 0, architecture: str | None = None, precision: Arithmetic = "fp32", per_tensor: bool = False,
    distil: bool | None = None, data: GivenText | Dataset | None = None, track: Track = quiet,
    report: Callable[[Architecture, FineTuned], None] = lambda architecture, tuned: None,
) -> FineTunedWinners:  # fmt: skip
    """Train the best of every search of a run on, or the one member of a front whose id is given.

    epochs: for each, a third of the supernet's unless told otherwise. seconds: for all of them together, in place of epochs.
    learning_rate: its peak. precision: `int8` trains weights and ranges of int8 files alone, beginning with those of the float
    files, which stay what they are; per_tensor: for files with one scale for all channels of a weight.
    distil: learn from the labels and from a teacher, not from labels alone. That is the largest subnet; in int8 the network
    itself in floats. None: in int8 alone.
    data: where the run's images are now, or they. report: gets each subnet when it is done.

    A checkpoint follows every epoch: interrupted, the next call goes on. What was done in the same way is not done again.
    """
    check_length(seconds, epochs)
    if per_tensor and precision != "int8":
        raise UsageError("`per_tensor` is for int8: add `precision` int8.")
    sweep_checkpoints(run)
    dataset = load_images(run, data, track)
    recipe = finetune_recipe(run, epochs, learning_rate, seed, precision)
    chosen = winners(run, architecture)
    share = seconds and seconds / len(chosen)
    inherited = [subnet.id for subnet in chosen if precision == "int8" and load_finetuned(run, subnet) is None]
    if inherited:
        log.info(f"{', '.join(inherited)}: not trained on in float32, which gives more: `finetune({pasted(run.path)})` first.")
    evaluator, done = Evaluator(load_supernet(run), dataset), []
    for subnet in track(chosen, "Fine-tuning", len(chosen)):
        by_metric = evaluator.by(metric_of(run, chosen[subnet]))
        result = finetune(
            run,
            by_metric,
            subnet,
            recipe,
            precision=precision,
            per_tensor=per_tensor,
            seconds=share,
            distil=distil,
            track=track,
        )
        report(subnet, result)
        done.append((subnet, result))
    judgement = judge_finetuning(run) if precision == "fp32" else []  # int8 is to lose nothing, rather than to gain
    return FineTunedWinners(tuple(done), tuple(judgement))
