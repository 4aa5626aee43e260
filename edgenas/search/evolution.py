"""Evolutionary search on integer genomes, whole populations at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgenas.progress import Track, quiet
from edgenas.search.pareto import pareto_front
from edgenas.search.problem import Population, SearchProblem, extremes, skewed_sample
from edgenas.space import Space


@dataclass(frozen=True)
class Evolution:
    """Evolution with an archive of the best of every cost bin, so that the whole front grows at once.

    Constraints hold by domination (Deb, 2000): a network within them beats one outside, of two outside the nearer wins.
    Nothing is drawn again until it fits, so every generation costs the same however tight the limits.

    generations, children: their product is the number of architectures looked at.
    bins: of the cost, on a log scale where it is positive; per_bin networks survive in each.
    mutation: probability that a gene is drawn anew. crossover: share of children with two parents.
    """

    generations: int = 100
    children: int = 1000
    bins: int = 100
    per_bin: int = 4
    mutation: float = 0.1
    crossover: float = 0.5

    def search(
        self, problem: SearchProblem, rng: np.random.Generator, track: Track = quiet, seeds: np.ndarray | None = None
    ) -> Population:
        """The survivors of the last generation, all of them feasible if any was found.

        seeds: `(n, d)` genomes to begin with besides a random sample, such as the front of a simpler problem.
        """
        space = problem.space
        first = [extremes(space), skewed_sample(space, rng, self.children), *([] if seeds is None else [seeds])]
        alive = self._survivors(problem.evaluate(np.concatenate(first)))
        for _ in track(range(self.generations), "Evolving", self.generations):
            born = problem.evaluate(self._offspring(space, alive, rng))
            alive = self._survivors(alive.union(born))
        return alive

    def _offspring(self, space: Space, alive: Population, rng: np.random.Generator) -> np.ndarray:
        sizes = space.gene_sizes
        first, second = alive.genomes[rng.integers(0, len(alive), (2, self.children))]
        crossed = rng.random((self.children, 1)) < self.crossover
        from_second = crossed & (rng.random((self.children, len(sizes))) < 0.5)
        mutated = rng.random((self.children, len(sizes))) < self.mutation
        genes = np.where(from_second, second, first)
        return space.canonical(np.where(mutated, rng.integers(0, sizes, genes.shape), genes))

    def _survivors(self, candidates: Population) -> Population:
        feasible = candidates.violation <= 0
        if not feasible.any():
            return candidates.take(np.argsort(candidates.violation, kind="stable")[: self.bins])
        candidates = candidates.take(np.flatnonzero(feasible))
        position = np.log(candidates.cost) if candidates.cost.min() > 0 else candidates.cost
        width = max(float(np.ptp(position)), 1e-9) / self.bins
        bins = ((position - position.min()) / width).astype(int)
        order = np.lexsort((candidates.cost, -candidates.accuracy, bins))
        first_of_bin = np.searchsorted(bins[order], bins[order], side="left")
        best = order[np.arange(len(order)) - first_of_bin < self.per_bin]
        return candidates.take(np.union1d(best, pareto_front(candidates.accuracy, candidates.cost)))
