"""Objectives that an exact search can take apart, and the terms of their sums."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgenas.space import Layout, SearchSpace

Objective = Callable[[np.ndarray], np.ndarray]
"""`(n, d)` genomes -> `(n,)` values, of a whole population at once."""


def _identity(values: np.ndarray) -> np.ndarray:
    return values


@dataclass(frozen=True)
class Additive:
    """A monotone function of a sum: `link(score(genomes))`.

    score: given the branch (resolution and width), a sum over segments; within one, of a term for its depth and one for every
    slot that counts. A table's latency, MACs, parameters and a link-ridge predictor's score are such sums.
    link: never falls where its argument rises.
    """

    score: Objective
    link: Objective = _identity

    def __call__(self, genomes: np.ndarray) -> np.ndarray:
        return self.link(self.score(genomes))


@dataclass(frozen=True)
class Bottleneck:
    """The largest of what the blocks of a network take each: `(len(space.distinct_blocks),)` costs -> such as peak memory."""

    space: SearchSpace
    costs: np.ndarray

    def __call__(self, genomes: np.ndarray) -> np.ndarray:
        return self._of_blocks(genomes).max(axis=1)

    def _of_blocks(self, genomes: np.ndarray) -> np.ndarray:
        return np.append(self.costs, 0.0)[self.space.block_ids(genomes)]

    def parts(self, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
        """`(r,)` largest cost of the fixed blocks and `(r, s, u, c)` costs of each choice; see `Terms` for the axes."""
        terms = Terms.zeros(layout)
        segments, stem = layout.segments, len(self.space.stem)
        for branch in range(layout.branches):
            for choice in range(terms.choice.shape[-1]):
                genome = layout.empty(1, branch)
                for segment in segments:
                    genome[0, segment.depth_column] = np.argmax(segment.depths)
                    for slot in segment.slots:
                        options = layout.choices(slot)
                        genome[0, slot] = options[min(choice, len(options) - 1)]
                costs, place = self._of_blocks(genome)[0], stem
                for s, segment in enumerate(segments):
                    terms.choice[branch, s, : len(segment.slots), choice] = costs[place : place + len(segment.slots)]
                    place += len(segment.slots)
                terms.base[branch] = max(costs[:stem].max(initial=0.0), costs[place:].max(initial=0.0))
        return terms.base, terms.choice


@dataclass(frozen=True)
class Terms:
    """An additive function's terms. Its value is

        base[r] + sum over segments s of (depth[r, s, j_s] + sum over the slots u that j_s lets count of choice[r, s, u, c_su])

    with branch r, value j of a segment's depth gene and joint choice c of a slot. Segments, slots, depths and choices that
    a smaller segment lacks are padding: `usable` tells them apart.
    """

    base: np.ndarray
    depth: np.ndarray
    choice: np.ndarray

    @classmethod
    def zeros(cls, layout: Layout) -> Terms:
        segments = layout.segments
        slots = max(len(segment.slots) for segment in segments)
        choices = max(len(layout.choices(slot)) for segment in segments for slot in segment.slots)
        depths = max(len(segment.depths) for segment in segments)
        head = layout.branches, len(segments)
        return cls(np.zeros(layout.branches), np.zeros((*head, depths)), np.zeros((*head, slots, choices)))

    @classmethod
    def of(cls, objective: Additive, layout: Layout) -> Terms:
        """Takes a sum apart by calling it once, on genomes that differ from one another in one place.

        Raises ValueError when it is not additive, as told from 64 random genomes.
        """
        terms, empty = cls.zeros(layout), layout.empty(1, 0)[0]
        genomes = [empty]  # of one branch
        targets: list[tuple[np.ndarray, int | None]] = [(terms.base, None)]  # views of the terms
        for s, segment in enumerate(layout.segments):
            longest = int(np.argmax(segment.depths))
            for j in range(len(segment.depths)):
                genome = empty.copy()
                if segment.depth_column is not None:
                    genome[segment.depth_column] = j
                genomes.append(genome)
                targets.append((terms.depth[:, s, j], 0))
            deepest = len(genomes) - len(segment.depths) + longest
            for u, slot in enumerate(segment.slots):
                for c, genes in enumerate(layout.choices(slot)):
                    genome = genomes[deepest].copy()
                    genome[list(slot)] = genes
                    genomes.append(genome)
                    targets.append((terms.choice[:, s, u, c], deepest))
        changes = layout.empty(layout.branches, np.arange(layout.branches)) - empty
        everywhere = np.stack(genomes) + changes[:, None]
        values = objective.score(everywhere.reshape(-1, everywhere.shape[-1])).reshape(layout.branches, -1)
        for i, (target, reference) in enumerate(targets):
            target[:] = values[:, i] if reference is None else values[:, i] - values[:, reference]
        terms._check(objective, layout)
        return terms

    @property
    def negative(self) -> Terms:
        return Terms(-self.base, -self.depth, -self.choice)

    @property
    def range(self) -> float:
        """How far apart two sums can be at most, roughly; above 0."""
        slots = np.ptp(self.choice, axis=-1).sum(axis=(1, 2)).max()
        return float(np.ptp(self.base) + np.ptp(self.depth, axis=-1).sum(axis=-1).max() + slots) or 1.0

    def breaking_ties(self, other: Terms) -> Terms:
        """These terms, plus so little of the other that it decides between equal sums alone."""
        weight = 1e-9 * self.range / other.range
        parts = zip((self.base, self.depth, self.choice), (other.base, other.depth, other.choice), strict=True)
        return Terms(*(own + weight * its for own, its in parts))

    def __call__(self, genomes: np.ndarray, layout: Layout) -> np.ndarray:
        """`(n, d)` genomes -> `(n,)` sums."""
        branch = layout.branch(genomes)
        total = self.base[branch]
        for s, segment in enumerate(layout.segments):
            counts, j = segment.counts(genomes), segment.depth_gene(genomes)
            total = total + self.depth[branch, s, j]
            for u, slot in enumerate(segment.slots):
                sizes = [layout.gene_sizes[column] for column in slot]
                c = np.ravel_multi_index(tuple(genomes[:, column] for column in slot), sizes)
                total = total + np.where(counts[:, u], self.choice[branch, s, u, c], 0.0)
        return total

    def _check(self, objective: Additive, layout: Layout) -> None:
        rng = np.random.default_rng(0)
        genomes = layout.canonical(rng.integers(0, layout.gene_sizes, (64, len(layout.gene_sizes))))
        expected, got = objective.score(genomes), self(genomes, layout)
        if not np.allclose(got, expected, rtol=1e-6, atol=1e-6 * max(1e-12, float(np.abs(expected).max()))):
            raise ValueError("this objective is no sum over segments: search with Evolution, or give it without Additive")


def usable(layout: Layout) -> np.ndarray:
    """`(s, u, c)`: which choices of `Terms` are no padding."""
    mask = np.zeros(Terms.zeros(layout).choice.shape[1:], dtype=bool)
    for s, segment in enumerate(layout.segments):
        for u, slot in enumerate(segment.slots):
            mask[s, u, : len(layout.choices(slot))] = True
    return mask
