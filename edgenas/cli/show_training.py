"""What is shown of trainings: of supernets, of winners by themselves and of networks by hand."""

from __future__ import annotations

from typing import Any

from edgenas.cli.display import answer, answer_all, say, scored
from edgenas.metric import ACCURACY
from edgenas.pipeline.baseline import ByHand
from edgenas.pipeline.train import Trained
from edgenas.space import Architecture
from edgenas.training import FineTuned, score_in


def show_epoch(metrics: dict[str, Any]) -> None:
    if "largest_validation_accuracy" not in metrics:
        return
    largest, smallest = (score_in(metrics, name) for name in ("largest", "smallest"))
    say(
        f"epoch {metrics['epoch']:>4}  {metrics['phase']:<9} loss {metrics['loss']:.3f}  validation {largest.label}: "
        f"largest subnet {scored(largest)}, smallest {scored(smallest)}"
    )


def show_trained(trained: Trained) -> None:
    if not trained.is_new:
        answer(f"{trained.run.path} is trained already.")
        return
    if trained.picture:
        answer(f"Drawn: {trained.picture}")
    answer_all(trained.judgement)


def show_finetuned(subnet: Architecture, result: FineTuned) -> None:
    before, after, kept = "inherited", "fine-tuned", "the inherited weights are kept"
    if result.calibration is not None:
        before, after, kept = "in int8 as calibrated", "trained for it", "the calibrated weights are kept"
    verdict = "" if result.is_used else f": clearly worse, so {kept}"
    answer(
        f"{subnet.id}: validation {result.score.label} {scored(result.inherited)} {before}, "
        f"{scored(result.score)} {after}{verdict}"
    )


def show_epoch_by_hand(metrics: dict[str, Any]) -> None:
    if "largest_validation_accuracy" in metrics:
        score = score_in(metrics, "largest")
        say(f"epoch {metrics['epoch']:>4}  loss {metrics['loss']:.3f}  validation {score.label} {scored(score)}")


def show_by_hand(network: ByHand) -> None:
    if not network.is_new:
        answer(f"{network.name}: there already. To do it anew, delete {network.folder}.")
    elif not network.verifications:
        answer(f"{network.name}: left out, since its training diverged at the run's learning rate.")
    else:
        first = network.verifications[0]
        latencies = ", ".join(f"{v.latency_ms:.3f} ms in {v.execution.runtime}" for v in network.verifications)
        answer(f"{network.name}: {scored(first.score(ACCURACY))} of {first.images} test images, {latencies}")
