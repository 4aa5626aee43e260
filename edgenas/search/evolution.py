"""Evolutionary search on integer genomes, whole populations at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgenas.progress import Track, quiet
from edgenas.search.pareto import pareto_front
from edgenas.search.problem import SearchProblem, skewed_sample


@dataclass(frozen=True)
class Population:
    """`(n, d)` distinct genomes with their `(n,)` accuracies and latencies."""

    genomes: np.ndarray
    accuracy: np.ndarray
    latency_ms: np.ndarray

    def __len__(self) -> int:
        return len(self.genomes)

    def take(self, indices: np.ndarray) -> Population:
        return Population(self.genomes[indices], self.accuracy[indices], self.latency_ms[indices])


@dataclass(frozen=True)
class Evolution:
    """Evolution with an archive of the best of every latency bin, so that the whole front grows at once.

    The budget is a constraint by domination (Deb, 2000): a network within it beats one outside, of two outside the
    nearer wins. Nothing is drawn again until it fits, so every generation costs the same however tight the budget.

    generations, children: their product is the number of architectures looked at.
    bins: of log latency, from the fastest network to the budget; per_bin networks survive in each.
    mutation: probability that a gene is drawn anew. crossover: share of children with two parents.
    """

    generations: int = 100
    children: int = 1000
    bins: int = 100
    per_bin: int = 4
    mutation: float = 0.1
    crossover: float = 0.5

    def search(self, problem: SearchProblem, rng: np.random.Generator, track: Track = quiet) -> Population:
        """The survivors of the last generation, all of them within the budget if any was found."""
        space = problem.space
        ends = np.stack([space.encode(space.smallest), space.encode(space.largest)])
        alive = self._survivors(
            problem, self._evaluate(problem, np.concatenate([ends, skewed_sample(space, rng, self.children)]))
        )
        for _ in track(range(self.generations), "Evolving", self.generations):
            born = self._evaluate(problem, self._offspring(problem, alive, rng))
            alive = self._survivors(problem, _union(alive, born))
        return alive

    def _evaluate(self, problem: SearchProblem, genomes: np.ndarray) -> Population:
        genomes = np.unique(genomes, axis=0)
        return Population(genomes, problem.accuracy(genomes), problem.latency_ms(genomes))

    def _offspring(self, problem: SearchProblem, alive: Population, rng: np.random.Generator) -> np.ndarray:
        sizes = problem.space.gene_sizes
        first, second = alive.genomes[rng.integers(0, len(alive), (2, self.children))]
        crossed = rng.random((self.children, 1)) < self.crossover
        from_second = crossed & (rng.random((self.children, len(sizes))) < 0.5)
        mutated = rng.random((self.children, len(sizes))) < self.mutation
        genes = np.where(from_second, second, first)
        return problem.space.canonical(np.where(mutated, rng.integers(0, sizes, genes.shape), genes))

    def _survivors(self, problem: SearchProblem, candidates: Population) -> Population:
        within = candidates.latency_ms <= problem.budget_ms
        if not within.any():
            return candidates.take(np.argsort(candidates.latency_ms, kind="stable")[: self.bins])
        candidates = candidates.take(np.flatnonzero(within))
        position = np.log(candidates.latency_ms)
        width = max(float(np.ptp(position)), 1e-9) / self.bins
        bins = ((position - position.min()) / width).astype(int)
        order = np.lexsort((candidates.latency_ms, -candidates.accuracy, bins))
        first_of_bin = np.searchsorted(bins[order], bins[order], side="left")
        best = order[np.arange(len(order)) - first_of_bin < self.per_bin]
        return candidates.take(np.union1d(best, pareto_front(candidates.accuracy, candidates.latency_ms)))


def _union(a: Population, b: Population) -> Population:
    genomes, first = np.unique(np.concatenate([a.genomes, b.genomes]), axis=0, return_index=True)
    both = Population(
        genomes, np.concatenate([a.accuracy, b.accuracy])[first], np.concatenate([a.latency_ms, b.latency_ms])[first]
    )
    return both
