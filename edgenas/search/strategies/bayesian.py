"""`Bayesian`: a predictor proposes its own front, the truth is measured there, and the predictor learns from it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from edgenas.predictor import LEAST_SAMPLES, LinkRidge
from edgenas.search.evolution import Evolution
from edgenas.search.exact import Exact, separable
from edgenas.search.pareto import hypervolume, spread
from edgenas.search.problem import Population, SearchProblem, extremes, skewed_sample
from edgenas.search.strategies.acquisition import Acquisition, mean
from edgenas.search.strategies.base import History, Proposal, distinct_unknown


@dataclass
class Bayesian:
    """Model-based search. `edgenas search`'s default.

    A skewed start covers the range of costs; then, batch after batch, a link-ridge predictor is fitted to all that was
    measured and members of the exact front of its acquisition (evolution's, where that is not separable) are measured, spread
    evenly over the costs. An optimum of predictions is where they err most in their own favour: measuring there and fitting
    again mends just that.

    start_size: evaluations before the first prediction, with those that are known of what the accuracies resemble: of these the
    front is measured first. batch: the most between two. acquisition: what is maximised, the prediction
    unless told otherwise; at the problem's budgets its best is always measured. tolerance: the search ends when two batches in
    turn raise the measured front's hypervolume by less than this share.
    """

    start_size: int = 25
    batch: int = 25
    acquisition: Acquisition = mean
    tolerance: float = 1e-3
    evolution: Evolution = field(default_factory=lambda: Evolution(generations=40, children=500))

    def start(self, problem: SearchProblem, rng: np.random.Generator) -> None:
        self._problem, self._rng, self._history = problem, rng, History(problem)
        self._volumes: list[float] = []

    def tell(self, genomes: np.ndarray, accuracies: np.ndarray, share: float = 1.0) -> None:
        self._history.add(genomes, accuracies)

    def ask(self, count: int) -> Proposal:
        alike, known = self._problem.alike(), len(self._history)
        told = known if alike is None else max(known, len(alike[0]))
        if told < self.start_size:
            return Proposal(self._first(min(count, self.start_size - told)))
        if known and self._settled():
            return Proposal(self._history.genomes[:0])
        predictor = LinkRidge(self._problem.space)
        if alike is not None and known < LEAST_SAMPLES:
            if len(first := self._front_of(*alike)):
                return Proposal(first[: min(count, LEAST_SAMPLES - known)])
            predictor.fit(*alike)
        else:
            predictor.fit(self._history.genomes, self._history.accuracy, alike)
        front = self._propose(predictor)
        if not len(front):
            return Proposal(self._first(count))
        size = min(count, self.batch, max(4, -(-count // 4)))
        wanted = self._wanted(front, size)
        return Proposal(wanted if len(wanted) else self._first(min(count, max(0, LEAST_SAMPLES - known))))

    def _wanted(self, front: Population, size: int) -> np.ndarray:
        """The genomes of a front that are not measured yet: the best within every budget, then others, evenly."""
        unknown = front.take(np.flatnonzero(~self._history.is_known(front.genomes)))
        if not len(unknown):
            return unknown.genomes
        best = np.searchsorted(unknown.cost, self._problem.budgets, side="right") - 1
        wanted = [*dict.fromkeys(int(i) for i in best if i >= 0), *_evenly(unknown.cost, size)]
        return distinct_unknown(self._history, unknown.genomes[wanted], size)

    def _front_of(self, genomes: np.ndarray, accuracies: np.ndarray) -> np.ndarray:
        """The genomes to measure of the front of what is known of something that the accuracies resemble."""
        cost, violation = self._problem.cost(genomes), self._problem.violation(genomes)
        return self._wanted(Population(genomes, accuracies, cost, violation).front, LEAST_SAMPLES)

    def _first(self, count: int) -> np.ndarray:
        genomes = [extremes(self._problem.space), skewed_sample(self._problem.space, self._rng, 4 * count)]
        return distinct_unknown(self._history, np.concatenate(genomes), count)

    def _propose(self, predictor: LinkRidge) -> Population:
        acquired, predicted = (
            self._problem.with_accuracy(acquisition(predictor, self._history, self._rng))
            for acquisition in (self.acquisition, mean)
        )
        exact = Exact(steps=10)
        if separable(acquired):
            return exact.search(acquired).front
        seeds = [self._history.genomes, *([exact.search(predicted).genomes] if separable(predicted) else [])]
        return self.evolution.search(acquired, self._rng, seeds=np.concatenate(seeds)).front

    def _settled(self) -> bool:
        front = self._history.population.front
        if not len(front):
            return False
        measured = self._history.population
        self._volumes.append(hypervolume(front.accuracy, front.cost, measured.accuracy.min(), measured.cost.max()))
        before = self._volumes[-3] if len(self._volumes) >= 3 else 0.0
        return self._volumes[-1] < before * (1 + self.tolerance)


def _evenly(cost: np.ndarray, count: int) -> list[int]:
    return spread(cost, count).tolist() if count > 1 else [len(cost) - 1]
