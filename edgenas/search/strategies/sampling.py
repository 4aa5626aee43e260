"""Strategies without a model: random, grid, coarse to fine."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np

from edgenas.search.problem import SearchProblem, skewed_sample
from edgenas.search.strategies.base import History, Proposal, distinct_unknown

TRIES = 20
"""Random samples are drawn this many times before a space counts as exhausted, or a constraint as too tight."""


class Random:
    """Architectures drawn at random, every gene uniform, among those within the constraints."""

    def start(self, problem: SearchProblem, rng: np.random.Generator) -> None:
        self.problem, self.rng, self.history = problem, rng, History(problem)

    def tell(self, genomes: np.ndarray, accuracies: np.ndarray, share: float = 1.0) -> None:
        self.history.add(genomes, accuracies)

    def ask(self, count: int) -> Proposal:
        return Proposal(self._feasible(self._draw, count))

    def _draw(self, n: int) -> np.ndarray:
        return self.problem.space.sample(self.rng, n)

    def _feasible(self, draw: Callable[[int], np.ndarray], count: int) -> np.ndarray:
        found = self.history.genomes[:0]
        for _ in range(TRIES):
            genomes = draw(max(64, 4 * count))
            found = np.concatenate([found, genomes[self.problem.violation(genomes) <= 0]])
            found = distinct_unknown(self.history, found, count)
            if len(found) == count:
                break
        return found


class TiedGrid(Random):
    """Tied choices: all depths alike, all kernels alike, all expand ratios alike, at every resolution; the grid of
    compound scaling (Tan and Le, 2019, arXiv:1905.11946).

    What it has in feasible members is evaluated from the middle outwards by bisecting their order of cost.
    """

    def ask(self, count: int) -> Proposal:
        genomes = self._tied()
        genomes = distinct_unknown(self.history, genomes[self.problem.violation(genomes) <= 0], len(genomes))
        order = np.argsort(self.problem.cost(genomes), kind="stable") if len(genomes) else np.empty(0, dtype=int)
        steps = np.unique(np.linspace(0, max(len(order) - 1, 0), min(count, len(order))).astype(int))
        return Proposal(genomes[order[steps]] if len(order) else genomes)

    def _tied(self) -> np.ndarray:
        layout = self.problem.space.layout
        kinds: list[list[int]] = [*([column] for column in layout.branch_columns), []]
        depths = kinds[-1]
        for segment in layout.segments:
            depths += [] if segment.depth_column is None else [segment.depth_column]
            for slot in segment.slots:
                for position, column in enumerate(slot, start=len(layout.branch_columns) + 1):
                    kinds += [[] for _ in range(position + 1 - len(kinds))]
                    kinds[position].append(column)
        kinds = [columns for columns in kinds if columns]
        levels = [max(layout.gene_sizes[column] for column in columns) for columns in kinds]
        rows = []
        for chosen in product(*(range(level) for level in levels)):
            genome = np.zeros(len(layout.gene_sizes), dtype=int)
            for columns, level, levels_of_kind in zip(kinds, chosen, levels, strict=True):
                share = level / max(levels_of_kind - 1, 1)
                genome[columns] = [round(share * (layout.gene_sizes[column] - 1)) for column in columns]
            rows.append(genome)
        return np.unique(self.problem.space.canonical(np.stack(rows)), axis=0)


class CoarseToFine(Random):
    """Random search that narrows: a skewed sample first, then neighbours of the front, nearer and nearer ones. No paper's."""

    def ask(self, count: int) -> Proposal:
        batch = min(count, 25)
        front = self.history.population.front
        if len(self.history) < 25 or not len(front):
            return Proposal(self._feasible(lambda n: skewed_sample(self.problem.space, self.rng, n), batch))
        rate = max(0.03, 0.4 * 25 / len(self.history))
        sizes = self.problem.space.gene_sizes

        def neighbours(n: int) -> np.ndarray:
            parents = front.genomes[self.rng.integers(0, len(front), n)]
            moved = self.rng.random(parents.shape) < rate
            return self.problem.space.canonical(np.where(moved, self.rng.integers(0, sizes, parents.shape), parents))

        return Proposal(self._feasible(neighbours, batch))
