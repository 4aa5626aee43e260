"""The tool judges itself: from what was measured to sentences that say where it is not good enough, and what would help.

Accuracies are in 0..1. Two accuracies differ where that is unlikely to be chance: 95 % intervals of Wilson (1927), and a test
of two proportions. Of subnets on the same images that is careful rather than sharp: they fail on much the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edgenas import statistics
from edgenas.statistics import wilson

MUCH = 0.1
"""How far below the largest subnet a smaller one is to be mentioned."""
COARSE = 0.015
"""Half the width of an interval from which its images are few."""
FEW_EPOCHS = 10
"""A training from scratch of fewer is a short one."""


@dataclass(frozen=True)
class Result:
    """A file or a subnet, by name, with its accuracy on so many images and, where it was timed, its latency."""

    name: str
    accuracy: float
    images: int
    latency_ms: float = math.nan

    def __str__(self) -> str:
        at = "" if math.isnan(self.latency_ms) else f" at {self.latency_ms:.3g} ms"
        return f"{self.name} ({_percent(self.accuracy)}{at})"


def differ(one: Result, other: Result) -> bool:
    """Whether two accuracies can be told apart."""
    return statistics.differ(one.accuracy, one.images, other.accuracy, other.images)


def on_training(largest: Result, smallest: Result, majority: float, epochs: int, from_scratch: bool, longer: str) -> list[str]:
    """On a trained supernet. majority: the share of the largest class among the images. longer: how to train for longer."""
    sentences = on_majority([largest], majority)
    if sentences:
        return [*sentences, f"What would help: {longer}, a lower --learning-rate, labels that are right."]
    if from_scratch and epochs < FEW_EPOCHS:
        sentences.append(
            f"{epochs} epoch{'s' * (epochs > 1)} from scratch {'are' if epochs > 1 else 'is'} few: networks that begin with "
            f"random weights usually go on learning for tens of them. What would help: {longer}."
        )
    if largest.accuracy - smallest.accuracy > MUCH and differ(largest, smallest):
        sentences.append(
            f"The smallest subnet ({_percent(smallest.accuracy)}) is {_points(largest, smallest)} behind the largest "
            f"({_percent(largest.accuracy)}). What would help small ones: {longer}, --set subnet_weight=1, or fine-tuning "
            "what a search finds."
        )
    return sentences


def on_majority(results: Iterable[Result], majority: float) -> list[str]:
    """Of those that are not clearly better than calling every image by the name of the largest class."""
    return [
        f"{result}, {_interval(result)} on {result.images} images, is no better than calling every image what most of them "
        f"are, which is right for {_percent(majority)}."
        for result in results
        if wilson(result.accuracy, result.images)[0] <= majority
    ]


def on_search(winners: Sequence[Result], others: Sequence[Result], majority: float) -> list[str]:
    """On the best subnets of searches, by accuracies on validation images. others: the other members of their fronts."""
    sentences = on_majority(winners, majority)
    if winners:
        best = max(winners, key=lambda result: result.accuracy)
        low, high = wilson(best.accuracy, best.images)
        alike = {other.name for other in others if not differ(other, best)} - {best.name}
        if alike and (high - low) / 2 > COARSE:
            sentences.append(
                f"On {best.images} validation images {_percent(best.accuracy)} means {_interval(best)}: {len(alike)} other "
                f"subnet{'s' * (len(alike) > 1)} of the front cannot be told from the best. More validation images would."
            )
    return sentences


def on_largest(winners: Iterable[Result], largest: Result | None) -> list[str]:
    """Of those that are far behind the largest subnet."""
    if largest is None:
        return []
    return [
        f"{winner} is {_points(largest, winner)} behind the largest subnet ({_percent(largest.accuracy)})."
        for winner in winners
        if largest.accuracy - winner.accuracy > MUCH and differ(largest, winner)
    ]


def on_finetuning(pairs: Sequence[tuple[Result, Result]]) -> list[str]:
    """On subnets before and after they were trained on by themselves, by validation accuracy: of those that gained nothing."""
    alike = [(before, after) for before, after in pairs if after.accuracy <= before.accuracy or not differ(before, after)]
    if not alike:
        return []
    gains = ", ".join(f"{before.name} ({100 * (after.accuracy - before.accuracy):+.1f} points)" for before, after in alike)
    return [
        f"Fine-tuning gained nothing that {alike[0][0].images} validation images can tell from chance: {gains}. More --epochs, "
        "another --learning-rate or more images may help."
    ]


def beats(one: Result, other: Result) -> bool:
    """Whether one is nowhere worse than the other, and somewhere better (Pareto's dominance)."""
    at_least = one.accuracy >= other.accuracy and one.latency_ms <= other.latency_ms
    return at_least and (one.accuracy, one.latency_ms) != (other.accuracy, other.latency_ms)


def on_losses(winners: Iterable[Result], baselines: Sequence[Result]) -> list[str]:
    """On winners that lose to networks that people pick by hand: files on the same test images, timed in one runtime."""
    sentences = []
    for winner in winners:
        better = [baseline for baseline in baselines if beats(baseline, winner)]
        if better:
            best = max(better, key=lambda baseline: (baseline.accuracy, -baseline.latency_ms))
            chance = "" if differ(best, winner) else f"; {winner.images} test images cannot tell their accuracies apart"
            sentences.append(f"{winner} loses to {best}, which is no slower{chance}.")
    return sentences


def on_gains(winners: Sequence[Result], baselines: Sequence[Result]) -> list[str]:
    """On what a search is worth: for every baseline the fastest winner that is as accurate, if there is one."""
    sentences = []
    for baseline in baselines:
        matching = [w for w in winners if w.accuracy >= baseline.accuracy and w.latency_ms < baseline.latency_ms]
        if matching:
            fastest = min(matching, key=lambda winner: winner.latency_ms)
            share = fastest.latency_ms / baseline.latency_ms
            sentences.append(f"{fastest} is no less accurate than {baseline}, in {share:.2f} of its time.")
        elif winners and not any(w.accuracy >= baseline.accuracy or w.latency_ms >= baseline.latency_ms for w in winners):
            sentences.append(f"No winner is as accurate as {baseline}, which is slower than they are.")
    return sentences


def remedies(*, longer: str, is_photo: bool, from_scratch: bool, is_finetuned: bool, path: str) -> str:
    """What would help a run whose winners are not good enough."""
    ideas = [longer]
    if from_scratch and is_photo:
        ideas.append("beginning with what ImageNet taught (train-supernet --pretrained)")
    if not is_finetuned:
        ideas.append(f"edgenas finetune {path}, then export and verify again")
    ideas.append("another --space, or a larger latency budget")
    return f"What would help: {'; '.join(ideas)}."


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _points(better: Result, worse: Result) -> str:
    return f"{100 * (better.accuracy - worse.accuracy):.1f} points"


def _interval(result: Result) -> str:
    low, high = wilson(result.accuracy, result.images)
    return f"{100 * low:.1f} to {100 * high:.1f} %"
