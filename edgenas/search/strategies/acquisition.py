"""Acquisitions: what a Bayesian search maximises at every cost, given its predictor. Each returns an objective in accuracy.

Where it is `Additive` the proposals are computed exactly; a deviation is no sum over blocks, so those that use one are left to
evolution, seeded by the exact front.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from edgenas.predictor import LinkRidge
from edgenas.search.additive import Additive, Objective
from edgenas.search.strategies.base import History

Acquisition = Callable[[LinkRidge, History, np.random.Generator], Objective]

BETA = 1.0
"""Deviations that the upper confidence bound adds."""


def mean(predictor: LinkRidge, history: History, rng: np.random.Generator) -> Objective:
    """The prediction itself."""
    return Additive(predictor.score, predictor.link)


def thompson(predictor: LinkRidge, history: History, rng: np.random.Generator) -> Objective:
    """A draw of the predictor's posterior (Thompson, 1933)."""
    return Additive(predictor.sampled_score(rng), predictor.link)


def upper_confidence_bound(predictor: LinkRidge, history: History, rng: np.random.Generator) -> Objective:
    """The prediction plus BETA deviations (Srinivas et al., 2010, arXiv:0912.3995; their growing factor is held fixed)."""
    return lambda genomes: predictor.link(predictor.score(genomes) + BETA * predictor.deviation(genomes))


def expected_improvement(predictor: LinkRidge, history: History, rng: np.random.Generator) -> Objective:
    """What the best accuracy at an architecture's cost is expected to be once it is measured.

    That is the best measured so far at this cost or a lower one, plus expected improvement (Jones, Schonlau and Welch, 1998)
    over it, so that a front is improved at all costs at once. The score is normal and accuracy `c - exp(-score)`, which gives
    the expectation in closed form.
    """
    measured = history.population
    front = measured.front
    steps = np.append(measured.accuracy.min(), front.accuracy)

    def objective(genomes: np.ndarray) -> np.ndarray:
        best = steps[np.searchsorted(front.cost, history.problem.cost(genomes), side="right")]
        score, deviation = predictor.score(genomes), np.maximum(predictor.deviation(genomes), 1e-12)
        above = (score - predictor.unlink(best)) / deviation
        loss = np.exp(np.minimum(deviation**2 / 2 - score, 0.0))
        gain = (predictor.ceiling - best) * _normal_cdf(above) - loss * _normal_cdf(above - deviation)
        return best + np.maximum(gain, 0.0)

    return objective


def _normal_cdf(values: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.vectorize(math.erf)(values / math.sqrt(2)))
