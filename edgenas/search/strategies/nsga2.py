"""NSGA-II (Deb et al., 2002), whole generations at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgenas.search.problem import SearchProblem
from edgenas.search.strategies.base import History, Proposal, distinct_unknown

TRIES = 20


@dataclass
class NSGA2:
    """Tournaments by constrained domination rank and crowding, uniform crossover, genes mutated by drawing anew.

    The paper's operators for real numbers are replaced by these, since genes are choices. Parents are the best of all that was
    ever told, not of the last two generations, so that a resumed search goes on from everything known.

    population: parents, and children of a generation. mutation: expected genes of a child that are drawn anew.
    """

    population: int = 20
    mutation: float = 1.0
    crossover: float = 0.9

    def start(self, problem: SearchProblem, rng: np.random.Generator) -> None:
        self._problem, self._rng, self._history = problem, rng, History(problem)

    def tell(self, genomes: np.ndarray, accuracies: np.ndarray, share: float = 1.0) -> None:
        self._history.add(genomes, accuracies)

    def ask(self, count: int) -> Proposal:
        count, space = min(count, self.population), self._problem.space
        if len(self._history) < self.population:
            drawn = (space.sample(self._rng, max(64, 4 * count)) for _ in range(TRIES))
        else:
            everyone = self._history.population
            points = np.stack([-everyone.accuracy, everyone.cost], axis=1)
            rank, crowding = rank_and_crowding(points, everyone.violation)
            parents = np.lexsort((-crowding, rank))[: self.population]
            drawn = (self._children(everyone.genomes[parents], count) for _ in range(TRIES))
        found = self._history.genomes[:0]
        for genomes in drawn:
            found = distinct_unknown(self._history, np.concatenate([found, genomes]), count)
            if len(found) == count:
                break
        return Proposal(found)

    def _children(self, parents: np.ndarray, count: int) -> np.ndarray:
        """Parents come sorted from the best, so the lower index wins a tournament."""
        first, second = parents[self._rng.integers(0, len(parents), (2, 2, count)).min(axis=1)]
        crossed = self._rng.random((count, 1)) < self.crossover
        genes = np.where(crossed & (self._rng.random(first.shape) < 0.5), second, first)
        drawn = self._rng.integers(0, self._problem.space.gene_sizes, genes.shape)
        mutated = self._rng.random(genes.shape) < self.mutation / genes.shape[1]
        return self._problem.space.canonical(np.where(mutated, drawn, genes))


def rank_and_crowding(points: np.ndarray, violation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`(n, m)` points to be low, `(n,)` violations -> `(n,)` ranks from 0, `(n,)` crowding distances within a rank."""
    feasible = violation <= 0
    dominates = (points[:, None] <= points[None]).all(-1) & (points[:, None] < points[None]).any(-1)
    both = feasible[:, None] & feasible[None]
    dominates = np.where(both, dominates, violation[:, None] < violation[None])
    rank, left = np.zeros(len(points), dtype=int), np.ones(len(points), dtype=bool)
    level = 0
    while left.any():
        front = left & ~(dominates & left[:, None]).any(axis=0)
        rank[front] = level
        left &= ~front
        level += 1
    crowding = np.zeros(len(points))
    for level in range(rank.max(initial=-1) + 1):
        members = np.flatnonzero(rank == level)
        for column in points[members].T:
            order = np.argsort(column, kind="stable")
            gap = np.full(len(members), np.inf)
            gap[order[1:-1]] = (column[order][2:] - column[order][:-2]) / max(float(np.ptp(column)), 1e-12)
            crowding[members] += gap
    return rank, crowding
