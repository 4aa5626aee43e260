"""The tool judges itself: from what was measured to sentences that say where it is not good enough, and what would help.

What is judged by is a metric, accuracy unless a run has another (`edgenas.metric`). Two networks differ where that is unlikely
to be chance, by their 95 % intervals. Of subnets on the same images that is careful rather than sharp: they fail on much the
same ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edgenas.metric import Score
from edgenas.names import some

MUCH = 0.1
"""How far below the largest subnet a smaller one is to be mentioned."""
COARSE = 0.015
"""Half the width of an interval from which its images are few."""
FEW_EPOCHS = 10
"""A training from scratch of fewer is a short one."""


@dataclass(frozen=True)
class Result:
    """A file or a subnet, by name, with its score on some images and, where it was timed, its latency."""

    name: str
    score: Score
    latency_ms: float = math.nan

    @property
    def value(self) -> float:
        return self.score.value

    @property
    def images(self) -> int:
        return self.score.images or 0

    def __str__(self) -> str:
        at = "" if math.isnan(self.latency_ms) else f" at {self.latency_ms:.3g} ms"
        return f"{self.name} ({_percent(self.value)}{_of(self)}{at})"


def differ(one: Result, other: Result) -> bool:
    """Whether two can be told apart."""
    return one.score.differs(other.score)


def on_training(
    largest: Result, smallest: Result, epochs: int, from_scratch: bool, longer: str, never_found: Sequence[str] = ()
) -> list[str]:
    """On a trained supernet. longer: how to train for longer. never_found: classes of which the largest recognised no image."""
    sentences = on_majority([largest])
    if never_found:
        notices = "--metric balanced does, in training and in search" * (largest.score.metric == "accuracy")
        sentences = [*sentences, on_never_found(never_found, "the largest subnet", notices)]
    if sentences:
        balance = "--balance, " * bool(never_found)
        return [*sentences, f"What would help: {longer}, {balance}a lower --learning-rate, labels that are right."]
    if from_scratch and epochs < FEW_EPOCHS:
        sentences.append(
            f"{epochs} epoch{'s' * (epochs > 1)} from scratch {'are' if epochs > 1 else 'is'} few: networks that begin with "
            f"random weights usually go on learning for tens of them. What would help: {longer}."
        )
    if largest.value - smallest.value > MUCH and differ(largest, smallest):
        sentences.append(
            f"The smallest subnet ({_percent(smallest.value)}{_of(smallest)}) is {_points(largest, smallest)} behind the "
            f"largest ({_percent(largest.value)}). What would help small ones: {longer}, --set subnet_weight=1, or fine-tuning "
            "what a search finds."
        )
    return sentences


def on_majority(results: Iterable[Result]) -> list[str]:
    """Of those that are not clearly better than calling every image by the name of the largest class."""
    return [
        f"{result}, {_interval(result)} on {result.images} images, is no better than calling every image what most of them "
        f"are, which gives {_percent(result.score.constant)}."
        for result in results
        if result.score.low is not None and result.score.constant is not None and result.score.low <= result.score.constant < 1
    ]


def on_never_found(classes: Sequence[str], name: str, notices: str = "") -> str:
    """Of classes of which a network recognises no image. notices: what does, where what was judged by does not."""
    sentence = f"{some(classes)} {'is' if len(classes) == 1 else 'are'} never found by {name}"
    return f"{sentence}, which accuracy hardly tells: {notices}." if notices else f"{sentence}."


def on_search(winners: Sequence[tuple[Result, int]]) -> list[str]:
    """On the best subnets of searches, by validation images, each with how many of its front cannot be told from it."""
    sentences = on_majority(best for best, _ in winners)
    if not winners:
        return sentences
    best, alike = max(winners, key=lambda pair: pair[1])
    low, high = best.score.low, best.score.high
    if alike and low is not None and high is not None and (high - low) / 2 > COARSE:
        sentences.append(
            f"On {best.images} validation images {_percent(best.value)}{_of(best)} means {_interval(best)}: {alike} other "
            f"subnet{'s' * (alike > 1)} of the front for {best.name} cannot be told from it. More validation images would "
            "tell."
        )
    return sentences


def on_largest(winners: Iterable[Result], largest: Result | None) -> list[str]:
    """Of those that are far behind the largest subnet."""
    if largest is None:
        return []
    return [
        f"{winner} is {_points(largest, winner)} behind the largest subnet ({_percent(largest.value)})."
        for winner in winners
        if winner.score.metric == largest.score.metric and largest.value - winner.value > MUCH and differ(largest, winner)
    ]


def on_finetuning(pairs: Sequence[tuple[Result, Result]]) -> list[str]:
    """On subnets before and after they were trained on by themselves, by validation images: of those that gained nothing."""
    alike = [(before, after) for before, after in pairs if after.value <= before.value or not differ(before, after)]
    if not alike:
        return []
    gains = ", ".join(f"{before.name} ({100 * (after.value - before.value):+.1f} points)" for before, after in alike)
    return [
        f"Fine-tuning gained nothing that {alike[0][0].images} validation images can tell from chance: {gains}. More --epochs, "
        "another --learning-rate or more images may help."
    ]


def beats(one: Result, other: Result) -> bool:
    """Whether one is nowhere worse than the other, and somewhere better (Pareto's dominance)."""
    at_least = one.value >= other.value and one.latency_ms <= other.latency_ms
    return at_least and (one.value, one.latency_ms) != (other.value, other.latency_ms)


def on_losses(winners: Iterable[Result], baselines: Sequence[Result]) -> list[str]:
    """On winners that lose to networks that people pick by hand: files on the same test images, timed in one runtime."""
    sentences = []
    for winner in winners:
        better = [baseline for baseline in baselines if beats(baseline, winner)]
        if better:
            best = max(better, key=lambda baseline: (baseline.value, -baseline.latency_ms))
            chance = "" if differ(best, winner) else f"; {winner.images} test images cannot tell them apart"
            sentences.append(f"{winner} loses to {best}, which is no slower{chance}.")
    return sentences


def on_gains(winners: Sequence[Result], baselines: Sequence[Result]) -> list[str]:
    """On what a search is worth: for every baseline the fastest winner that is as accurate, if there is one."""
    sentences = []
    for baseline in baselines:
        matching = [w for w in winners if w.value >= baseline.value and w.latency_ms < baseline.latency_ms]
        if matching:
            fastest = min(matching, key=lambda winner: winner.latency_ms)
            share = fastest.latency_ms / baseline.latency_ms
            sentences.append(f"{fastest} is no less {_good(fastest)} than {baseline}, in {share:.2f} of its time.")
        elif winners and not any(w.value >= baseline.value or w.latency_ms >= baseline.latency_ms for w in winners):
            sentences.append(f"No winner is as {_good(baseline)} as {baseline}, which is slower than they are.")
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


@dataclass(frozen=True)
class Timed:
    """A file that was chosen for a budget, in a runtime on the budget's device.

    searched: the runtime that the budget was searched for in. budget_ms: what holds in this one. predicted: whether its
    latency is predicted; else it was measured. None: it is not known.
    """

    name: str
    file: str
    searched: str
    runtime: str
    budget_ms: float
    latency_ms: float | None
    predicted: bool = False


def on_budgets(files: Sequence[Timed], path: str) -> list[str]:
    """On files that are slower than the budget that they were chosen for, or whose latency nobody knows."""
    sentences, remedies = [], []
    for file in files:
        if file.latency_ms is None or file.latency_ms <= file.budget_ms:
            continue
        how = "is predicted to take" if file.predicted else "takes"
        over = f"{file.file} for {file.name} {how} {file.latency_ms:.4g} ms in {file.runtime}, over {file.budget_ms:g} ms"
        if file.runtime == file.searched:
            sentences.append(f"{over}: verify again when the machine rests, or search with a lower --latency.")
        else:
            sentences.append(f"{over}: the budget was searched for in {file.searched}.")
            remedies.append(f"--latency {file.runtime}={file.budget_ms:g}ms")
    if remedies:
        asked = " ".join(dict.fromkeys(remedies))
        sentences.append(
            f"A search keeps budgets in several runtimes at once: edgenas search {path} with {asked} beside its own."
        )
    unknown = dict.fromkeys((f.file, f.runtime, f.searched) for f in files if f.latency_ms is None)
    sentences += [
        f"How fast {file} is in {runtime} is not known, since its budget was searched for in {searched}: edgenas verify {path} "
        "measures it."
        for file, runtime, searched in unknown
    ]
    return sentences


def _of(result: Result) -> str:
    """What the number is, where it is no plain accuracy."""
    return "" if result.score.metric == "accuracy" else f" {result.score.label}"


def _good(result: Result) -> str:
    return "accurate" if result.score.metric == "accuracy" else "good"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _points(better: Result, worse: Result) -> str:
    return f"{100 * (better.value - worse.value):.1f} points"


def _interval(result: Result) -> str:
    low, high = result.score.low, result.score.high
    return "an unknown interval" if low is None or high is None else f"{100 * low:.1f} to {100 * high:.1f} %"
