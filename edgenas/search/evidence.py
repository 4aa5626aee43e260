"""What measured accuracies are worth: which are luck, and which tell two architectures apart.

Validation images are few, and all networks fail on much the same of them. So what chance does to the comparison of two is told
image by image (`edgenas.metric`), and what all evaluated ones have taught a predictor counts beside what was measured of one:
an empirical Bayes estimate (Efron and Morris, 1975).

Of 75 subnets with published ImageNet accuracies, answering 250 simulated images, the fastest within one standard error of the
highest expected accuracy had 0.3 points less and 12 % fewer multiply-accumulates than that one. The fastest that a test at 5 %
does not tell from the highest measured accuracy would have had 3.2 points less.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edgenas.metric import Answers, Metric, Score
from edgenas.predictor import PredictorQuality
from edgenas.search.ledger import Ledger
from edgenas.space.genome import A
from edgenas.statistics import Z

MOST_GIVEN_UP = 0.005
"""Of the metric, for a faster network."""


@dataclass(frozen=True)
class Evidence:
    """Of `n` architectures, in the order of a ledger.

    measured, expected: `(n,)` accuracies by the metric, on the validation images, and as they are to be expected on others.
    answers: what each called the images; None where only the accuracy is known. images: on how many it was measured then.
    trust: how much of a measured difference is believed beside the predicted one, 0..1.
    """

    metric: Metric
    measured: np.ndarray
    expected: np.ndarray
    answers: tuple[Answers | None, ...]
    images: float
    trust: float
    ranks: bool

    @classmethod
    def of(cls, ledger: Ledger[A], predicted: np.ndarray, quality: PredictorQuality, images: float) -> Evidence:
        """predicted: `(n,)`, by the predictor of such quality. images: on how many a bare accuracy was measured."""
        _, measured = ledger.arrays()
        answers = tuple(ledger.answers(architecture) for architecture, _ in ledger.items())
        trust = trusted(quality.error, luck(ledger.metric, measured, answers, images))
        expected = expected_accuracy(measured, predicted, trust)
        return cls(ledger.metric, measured, expected, answers, images, trust, quality.ranks)

    def joined(self, other: Evidence) -> Evidence:
        """Of both, the other's after these: such as of architectures in two precisions, by the same metric and images."""
        return Evidence(
            self.metric,
            np.concatenate([self.measured, other.measured]),
            np.concatenate([self.expected, other.expected]),
            self.answers + other.answers,
            self.images,
            min(self.trust, other.trust),
            self.ranks and other.ranks,
        )

    def score(self, i: int) -> Score:
        """What was measured, with its 95 % interval."""
        given = self.answers[i]
        found = None if given is None else self.metric.score(given.tally)
        if found is not None:
            return found
        count = self.images if math.isfinite(self.images) else None
        value = float(self.measured[i])
        return Score("accuracy", value, value, value, value) if count is None else Score.of_accuracy(value, count)

    def is_alike(self, i: int, best: int) -> bool:
        """Whether an architecture is within one standard error of a better one, on the same images.

        That is the rule of one standard error (Breiman et al., 1984, Classification and Regression Trees, 3.4.3).
        """
        _, error = self._difference(best, i)
        return self.given_up(i, best) <= (math.sqrt(self.trust) if self.ranks else 1) * error

    def is_as_good(self, i: int, best: int) -> bool:
        """Whether the cheaper of two is to be preferred: they are alike, and no more than `MOST_GIVEN_UP` is lost by it.

        Where images are so few that a standard error is many points, whoever set a budget wants what seems best within it.
        """
        return self.is_alike(i, best) and self.given_up(i, best) <= MOST_GIVEN_UP

    def given_up(self, i: int, best: int) -> float:
        """By how much an architecture is worse than a better one: as expected, where the predictor ranks, else as measured."""
        value = self.expected if self.ranks else self.measured
        return float(value[best] - value[i])

    def _difference(self, one: int, other: int) -> tuple[float, float]:
        """As measured, and its standard error: by the same images where they are known to be."""
        first, second = self.answers[one], self.answers[other]
        if first is not None and second is not None and first.are_of_the_same_images(second):
            return self.metric.difference(first, second)
        errors = [_standard_error(self.score(i)) for i in (one, other)]
        return float(self.measured[one] - self.measured[other]), math.hypot(*errors)


def expected_accuracy(measured: np.ndarray, predicted: np.ndarray, trust: float) -> np.ndarray:
    """What is to be expected, on other images, of architectures with such `(n,)` measured accuracies.

    The one that was measured as the best was lucky, too. A predictor that all measurements taught averages such luck out.
    """
    return predicted + trust * (measured - predicted)


def trusted(error: float, luck: float) -> float:
    """How much of what was measured is believed beside what is predicted, 0..1: each by its precision.

    error: the predictor's, cross-validated. What remains of it once the variance that is luck is taken from it is how far the
    truth is from a prediction.
    """
    deviation = max(0.0, error**2 - luck)
    return deviation / (deviation + luck) if luck else 1.0


def luck(metric: Metric, measured: np.ndarray, answers: tuple[Answers | None, ...], images: float) -> float:
    """The variance of measured accuracies that is chance alone.

    Where all answered the same images, that is of what they do not fail on together: one that is hard for all makes none the
    lucky one.
    """
    given = [a for a in answers if a is not None]
    if len(given) == len(answers) > 1 and all(a.are_of_the_same_images(given[0]) for a in given):
        pooled = sum((a.tally for a in given[1:]), given[0].tally)
        effects = np.stack([metric.effects(a, pooled) for a in given])
        return float(effects.var(axis=0, ddof=1).sum() / len(given[0]) ** 2)
    return float(np.mean(measured * (1 - measured)) / images)


def _standard_error(score: Score) -> float:
    if score.low is None or score.high is None:
        return 0.0
    return (score.high - score.low) / (2 * Z)
