"""`OptunaSampler`: any of Optuna's samplers as a strategy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler

from edgenas.search.problem import SearchProblem
from edgenas.search.strategies.base import History, Proposal
from edgenas.storage import open_study


class OptunaSampler:
    """Asks a sampler for one architecture after another; accuracy and cost are its two objectives.

    An architecture that violates constraints is told with a cost raised by how far, so that feasible ones dominate it.
    sampler: called with a `seed`, such as `optuna.samplers.TPESampler`.
    """

    def __init__(self, sampler: Callable[..., BaseSampler]):
        self.sampler = sampler

    def start(self, problem: SearchProblem, rng: np.random.Generator) -> None:
        self._problem, self._history = problem, History(problem)
        self._study = open_study(None, directions=["maximize", "minimize"], sampler=self.sampler(seed=int(rng.integers(2**31))))
        names, sizes = problem.space.gene_names, problem.space.gene_sizes.tolist()
        self._distributions: dict[str, BaseDistribution] = {
            name: CategoricalDistribution(tuple(range(size))) for name, size in zip(names, sizes, strict=True)
        }
        self._open: dict[bytes, optuna.Trial] = {}

    def ask(self, count: int) -> Proposal:
        trial = self._study.ask(self._distributions)
        genome = np.array([trial.params[name] for name in self._distributions])
        genome = self._problem.space.canonical(genome[None])
        self._open[genome.astype(np.int64).tobytes()] = trial
        return Proposal(genome)

    def tell(self, genomes: np.ndarray, accuracies: np.ndarray, share: float = 1.0) -> None:
        self._history.add(genomes, accuracies)
        cost = self._problem.cost(genomes) * (1 + 10 * self._problem.violation(genomes))
        for genome, accuracy, spent in zip(genomes.astype(np.int64), accuracies, cost, strict=True):
            values = [float(accuracy), float(spent)]
            trial = self._open.pop(genome.tobytes(), None)
            if trial is not None:
                self._study.tell(trial, values)
            else:
                params = dict(zip(self._distributions, genome.tolist(), strict=True))
                self._study.add_trial(optuna.create_trial(params=params, distributions=self._distributions, values=values))
