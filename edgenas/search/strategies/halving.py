"""`SuccessiveHalving`: many architectures are looked at cheaply, the better ones again on more images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgenas.search.problem import skewed_sample
from edgenas.search.strategies.base import Preview
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

    def screen_with(self, preview: Preview) -> None:
        self._preview = preview

    def ask(self, count: int) -> np.ndarray:
        survivors = min(self.survivors, count // (self.rungs + 1))
        if not survivors:
            return self._feasible(self._draw, count)
        alive = self._feasible(self._draw, survivors * self.reduction**self.rungs)
        for rung in range(self.rungs, 0, -1):
            accuracy = self._preview(alive, self.reduction**-rung)
            alive = self._best(alive, accuracy, -(-len(alive) // self.reduction))
        return alive

    def _draw(self, n: int) -> np.ndarray:
        return skewed_sample(self.problem.space, self.rng, n)

    def _best(self, genomes: np.ndarray, accuracy: np.ndarray, count: int) -> np.ndarray:
        genomes, accuracy = genomes[~np.isnan(accuracy)], accuracy[~np.isnan(accuracy)]
        points = np.stack([-accuracy, self.problem.cost(genomes)], axis=1)
        rank, crowding = rank_and_crowding(points, self.problem.violation(genomes))
        return genomes[np.lexsort((-crowding, rank))[:count]]
