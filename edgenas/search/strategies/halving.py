"""`SuccessiveHalving`: many architectures are looked at cheaply, the better ones again on more images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgenas.search.problem import SearchProblem, skewed_sample
from edgenas.search.strategies.base import Proposal
from edgenas.search.strategies.nsga2 import rank_and_crowding
from edgenas.search.strategies.sampling import Random


@dataclass
class SuccessiveHalving(Random):
    """Successive halving (Jamieson and Talwalkar, 2016, arXiv:1502.07943); its resource is the number of validation images.

    Of architectures drawn at random each rung keeps the best 1 in `reduction` and evaluates them on `reduction` times as many
    images, so every rung costs the same. One such bracket follows another, as in Hyperband (Li et al., 2018,
    arXiv:1603.06560), but all begin at the same share. Another difference: a front is wanted in place of one best, so the
    best are those of lowest domination rank and largest crowding distance, as in NSGA-II, and the draws are skewed to cover
    the costs.

    survivors: of a bracket, evaluated in full. rungs: before that.
    """

    survivors: int = 4
    rungs: int = 2
    reduction: int = 4

    def start(self, problem: SearchProblem, rng: np.random.Generator) -> None:
        super().start(problem, rng)
        self._rung = 0
        self._begin_rung(self.history.genomes)

    def tell(self, genomes: np.ndarray, accuracies: np.ndarray, share: float = 1.0) -> None:
        if share == 1:
            super().tell(genomes, accuracies)
        else:
            self._previewed.append(genomes)
            self._previews.append(accuracies)

    def ask(self, count: int) -> Proposal:
        if self._rung and self._previewed:
            self._rung -= 1
            self._begin_rung(self._best(-(-len(self._alive) // self.reduction)))
        elif survivors := min(self.survivors, count // (self.rungs + 1)):
            self._rung = self.rungs
            self._begin_rung(self._feasible(self._draw, survivors * self.reduction**self.rungs))
        else:
            self._rung = 0
            self._begin_rung(self._feasible(self._draw, count))
        return Proposal(self._alive, self.reduction**-self._rung)

    def _begin_rung(self, alive: np.ndarray) -> None:
        self._alive = alive
        self._previewed: list[np.ndarray] = []
        self._previews: list[np.ndarray] = []

    def _draw(self, n: int) -> np.ndarray:
        return skewed_sample(self.problem.space, self.rng, n)

    def _best(self, count: int) -> np.ndarray:
        genomes, accuracy = np.concatenate(self._previewed), np.concatenate(self._previews)
        points = np.stack([-accuracy, self.problem.cost(genomes)], axis=1)
        rank, crowding = rank_and_crowding(points, self.problem.violation(genomes))
        return genomes[np.lexsort((-crowding, rank))[:count]]
