"""Where the next trial is made: random, grid, coarse to fine, tree-structured Parzen estimators, a Gaussian process."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from edgenas.tuning.parameters import Parameter, at_share, share_of

STARTUP_TRIALS = 6  # at random, before a model of them is trusted; studies are short
GRID_LEVELS = 3  # of each continuous parameter


class PerTrial(BaseSampler):
    """Makes a sampler anew for every trial, seeded by the trial's number.

    Workers that share a study and a seed do not repeat each other then, nor does a study that goes on repeat itself.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int):
        self._make, self._seed = make, seed
        self._sampler = make(seed % 2**32)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._sampler = self._make(int(np.random.SeedSequence([self._seed, trial.number]).generate_state(1)[0]))

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any) -> Any:
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)


class IndependentSampler(BaseSampler):
    """One that draws each parameter for itself."""

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        return {}


class CoarseToFine(IndependentSampler):
    """Random search in a box around the best trial, whose sides halve after every `ROUND` finished trials.

    The first round is spread over everything. The sides stop at an eighth, so that a lucky early trial is not final.
    """

    ROUND = 6
    FINEST = 3

    def __init__(self, seed: int):
        self._rng = np.random.default_rng(seed)

    def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any) -> Any:
        finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        side, centre = 0.5 ** min(len(finished) // self.ROUND, self.FINEST), 0.5
        if side < 1 and any(t.state == TrialState.COMPLETE for t in finished):
            centre = share_of(param_distribution, study.best_trial.params[param_name])
        low = np.clip(centre - side / 2, 0, 1 - side)  # at the edge the box is moved, not cut
        return at_share(param_distribution, low + side * self._rng.random())


class Grid(IndependentSampler):
    """The points of a grid that were not tried yet, in random order.

    Optuna's own GridSampler fails on trials that were not made by it (5.0: KeyError 'grid_id' after an enqueued one), and
    takes those that were interrupted for tried.
    """

    def __init__(self, points: dict[str, list[float]], seed: int):
        self._points = [dict(zip(points, values, strict=True)) for values in itertools.product(*points.values())]
        self._seed = seed

    def untried(self, study: Study) -> list[dict[str, float]]:
        states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
        tried = {tuple(sorted(t.params.items())) for t in study.get_trials(deepcopy=False, states=states)}
        return [point for point in self._points if tuple(sorted(point.items())) not in tried]

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        rng = np.random.default_rng([self._seed, trial.number])
        choices = self.untried(study) or self._points  # another worker may have taken the last one meanwhile
        self._point = choices[rng.integers(len(choices))]

    def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any) -> Any:
        return self._point[param_name]


def grid(parameters: Sequence[Parameter]) -> dict[str, list[float]]:
    """The values of each parameter: all of them if they are whole numbers, else the middles of equal parts of its scale."""
    shares = (np.arange(GRID_LEVELS) + 0.5) / GRID_LEVELS
    return {
        p.name: list(range(p.distribution.low, p.distribution.high + 1))
        if isinstance(p.distribution, IntDistribution)
        else [at_share(p.distribution, float(share)) for share in shares]
        for p in parameters
    }


SAMPLERS: dict[str, Callable[[Sequence[Parameter], int], BaseSampler]] = {
    "random": lambda parameters, seed: PerTrial(RandomSampler, seed),
    "grid": lambda parameters, seed: Grid(grid(parameters), seed),
    "coarse-to-fine": lambda parameters, seed: PerTrial(CoarseToFine, seed),
    "tpe": lambda parameters, seed: PerTrial(lambda s: TPESampler(n_startup_trials=STARTUP_TRIALS, seed=s), seed),
    "gp": lambda parameters, seed: PerTrial(lambda s: GPSampler(n_startup_trials=STARTUP_TRIALS, seed=s), seed),
}
