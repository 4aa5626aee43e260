"""Where the next trial is made: random, grid, coarse to fine, tree-structured Parzen estimators, a Gaussian process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.samplers import BaseSampler, GPSampler, GridSampler, RandomSampler, TPESampler
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
        self._sampler = make(seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._sampler = self._make(int(np.random.SeedSequence([self._seed, trial.number]).generate_state(1)[0]))

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any) -> Any:
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)


class CoarseToFine(BaseSampler):
    """Random search in a box around the best trial, whose sides halve after every `ROUND` finished trials.

    The first round is spread over everything. The sides stop at an eighth, so that a lucky early trial is not final.
    """

    ROUND = 6
    FINEST = 3

    def __init__(self, seed: int):
        self._rng = np.random.default_rng(seed)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        return {}

    def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any) -> Any:
        finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        side, centre = 0.5 ** min(len(finished) // self.ROUND, self.FINEST), 0.5
        if side < 1 and any(t.state == TrialState.COMPLETE for t in finished):
            centre = share_of(param_distribution, study.best_trial.params[param_name])
        low = np.clip(centre - side / 2, 0, 1 - side)  # at the edge the box is moved, not cut
        return at_share(param_distribution, low + side * self._rng.random())


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
    "grid": lambda parameters, seed: GridSampler(grid(parameters), seed),  # its order must be the same for all trials
    "coarse-to-fine": lambda parameters, seed: PerTrial(CoarseToFine, seed),
    "tpe": lambda parameters, seed: PerTrial(lambda s: TPESampler(n_startup_trials=STARTUP_TRIALS, seed=s), seed),
    "gp": lambda parameters, seed: PerTrial(lambda s: GPSampler(n_startup_trials=STARTUP_TRIALS, seed=s), seed),
}
