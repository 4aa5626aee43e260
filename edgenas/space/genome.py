"""What genes mean: the structure that lets a search take a genome apart. Any space that tells its own can be searched."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cache, cached_property
from math import prod
from typing import Protocol, TypeVar

import numpy as np

A = TypeVar("A", bound=Hashable)


class Space(Protocol[A]):
    """What can be searched: `SearchSpace`, `Categorical`, or a class of one's own.

    A genome is a row of small integers, `0 <= gene < gene_sizes`. `canonical` maps all genomes of one architecture to one, as
    `layout.canonical` does; `decode` and `encode` translate between that one and the architecture, of whatever kind `A` it is.
    gene_names: one for every gene, such as `stage1.block2.kernel`, all different.
    """

    @property
    def name(self) -> str: ...
    @property
    def gene_sizes(self) -> np.ndarray: ...
    @property
    def gene_names(self) -> tuple[str, ...]: ...
    @property
    def layout(self) -> Layout: ...
    def canonical(self, genomes: np.ndarray) -> np.ndarray: ...
    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray: ...
    def decode(self, genome: np.ndarray) -> A: ...
    def encode(self, architecture: A) -> np.ndarray: ...


@dataclass(frozen=True)
class Segment:
    """A stage: slots, each with one or more genes, of which a depth gene lets the first few count.

    depths: for every value of the gene at `depth_column` the number of slots that count; a single entry without the gene.
    slots: the gene columns of every slot. What a slot adds to a sum may depend on all its genes together.
    """

    depth_column: int | None
    depths: tuple[int, ...]
    slots: tuple[tuple[int, ...], ...]

    def depth_gene(self, genomes: np.ndarray) -> np.ndarray:
        """`(n, d)` genomes -> `(n,)` indices into `depths`."""
        return np.zeros(len(genomes), dtype=int) if self.depth_column is None else genomes[:, self.depth_column]

    def counts(self, genomes: np.ndarray) -> np.ndarray:
        """`(n, d)` genomes -> `(n, slots)` booleans: which slots count."""
        return np.arange(len(self.slots)) < np.array(self.depths)[self.depth_gene(genomes)][:, None]


@dataclass(frozen=True)
class Layout:
    """The genes as a branch, upon which everything may depend, and independent segments.

    branch_columns: the genes that make the branch together: the resolution, and an elastic width.
    """

    gene_sizes: tuple[int, ...]
    branch_columns: tuple[int, ...]
    segments: tuple[Segment, ...]

    @property
    def branches(self) -> int:
        return prod(self._branch_sizes)

    @property
    def _branch_sizes(self) -> tuple[int, ...]:
        return tuple(self.gene_sizes[column] for column in self.branch_columns)

    def branch(self, genomes: np.ndarray) -> np.ndarray:
        """`(n, d)` genomes -> `(n,)` branches."""
        if not self.branch_columns:
            return np.zeros(len(genomes), dtype=int)
        return np.ravel_multi_index(tuple(genomes[:, list(self.branch_columns)].T), self._branch_sizes)

    def choices(self, slot: tuple[int, ...]) -> np.ndarray:
        """`(c, len(slot))` genes: every joint choice of a slot."""
        return _product(tuple(self.gene_sizes[column] for column in slot))

    def empty(self, n: int, branch: int | np.ndarray = 0) -> np.ndarray:
        """`(n, d)` genomes of one branch, or of `(n,)` branches, whose other genes are 0."""
        genomes = np.zeros((n, len(self.gene_sizes)), dtype=int)
        if self.branch_columns:
            genomes[:, list(self.branch_columns)] = np.stack(np.unravel_index(branch, self._branch_sizes), axis=-1)
        return genomes

    def canonical(self, genomes: np.ndarray) -> np.ndarray:
        """`(n, d)` -> `(n, d)`: the same architectures, with the genes of slots that do not count set to 0."""
        genomes = np.array(genomes)
        for segment, (columns, slot) in zip(self.segments, self._slot_columns, strict=True):
            if columns.size and min(segment.depths) < len(segment.slots):
                genomes[:, columns] *= segment.counts(genomes)[:, slot]
        return genomes

    @cached_property
    def _slot_columns(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each segment its slots' columns, and the slot that each of them belongs to."""
        pairs = ([(column, u) for u, slot in enumerate(segment.slots) for column in slot] for segment in self.segments)
        columns = (np.array(of_segment, dtype=int).reshape(-1, 2) for of_segment in pairs)
        return [(of_segment[:, 0], of_segment[:, 1]) for of_segment in columns]


@cache
def _product(sizes: tuple[int, ...]) -> np.ndarray:
    rows = np.stack(np.unravel_index(np.arange(prod(sizes)), sizes), axis=1)
    rows.flags.writeable = False
    return rows
