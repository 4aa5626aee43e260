"""What is tuned, and on which scale."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.distributions import FloatDistribution, IntDistribution

from edgenas.training import Recipe
from edgenas.training.recipe import LEARNING_RATES

Distribution = FloatDistribution | IntDistribution


@dataclass(frozen=True)
class Parameter:
    """A number that is sampled, and the recipe's field that it stands for.

    to_field, to_number: from the number to the field's value and back.
    """

    field: str
    name: str
    distribution: Distribution
    to_field: Callable[[float], float] = lambda number: number
    to_number: Callable[[float], float] = lambda value: value

    def suggest(self, trial: optuna.Trial) -> float:
        """The field's value in this trial."""
        of = self.distribution
        if isinstance(of, IntDistribution):
            return self.to_field(trial.suggest_int(self.name, of.low, of.high))
        return self.to_field(trial.suggest_float(self.name, of.low, of.high, log=of.log))

    def allows(self, value: float) -> bool:
        """Whether a trial can have this value."""
        if value < 0 or (value == 0 and self.distribution.low > 0):
            return False
        number = self.to_number(value)
        whole = isinstance(self.distribution, FloatDistribution) or number == int(number)
        return whole and self.distribution.low <= number <= self.distribution.high


def parameters(recipe: Recipe, images: int) -> tuple[Parameter, ...]:
    """The hyper-parameters of a recipe's optimiser, for so many training images.

    Rates are sampled by their logarithm, momentum by that of 1 - m: from 0.9 to 0.99 is as far as from 0 to 0.9, because
    1 / (1 - m) is how many steps it averages over. Batches are powers of two, no larger than an eighth of the images or the
    recipe's own.
    """
    usual = LEARNING_RATES[recipe.optimizer]
    largest_batch = max(5, min(8, int(math.log2(max(images, 8) / 8))), int(math.log2(recipe.batch_size)))
    found = [
        Parameter("learning_rate", "learning_rate", FloatDistribution(usual / 10, usual * 10, log=True)),
        Parameter("weight_decay", "weight_decay", FloatDistribution(1e-5, 1e-2, log=True)),
        Parameter("label_smoothing", "label_smoothing", FloatDistribution(0.0, 0.2)),
        Parameter("batch_size", "log2_batch_size", IntDistribution(5, largest_batch), lambda n: 2 ** int(n), math.log2),
    ]
    if recipe.optimizer in ("sgd", "rmsprop"):
        one_minus = FloatDistribution(0.01, 0.5, log=True)
        found.append(Parameter("momentum", "one_minus_momentum", one_minus, lambda n: 1 - n, lambda m: 1 - m))
    return tuple(found)


def at_share(distribution: Distribution, share: float) -> float:
    """The number at a share in 0..1 of the way from the lowest to the highest, on the distribution's scale."""
    low, high = distribution.low, distribution.high
    if isinstance(distribution, IntDistribution):
        return round(low + share * (high - low))
    if distribution.log:
        return float(np.clip(low * (high / low) ** share, low, high))
    return low + share * (high - low)


def share_of(distribution: Distribution, number: float) -> float:
    """Inverse of `at_share`."""
    low, high = distribution.low, distribution.high
    if low == high:
        return 0.5
    if isinstance(distribution, FloatDistribution) and distribution.log:
        return math.log(number / low) / math.log(high / low)
    return (number - low) / (high - low)
