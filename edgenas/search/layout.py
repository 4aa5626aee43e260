"""What genes mean: the structure that lets a search take a genome apart. Any space that has one can be searched."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from math import prod
from typing import Protocol

import numpy as np

from edgenas.errors import UsageError
from edgenas.space import BlockChoice, SearchSpace


class Space(Protocol):
    """What is searched: `SearchSpace`, `Categorical`, or one's own with a `layout` attribute.

    A genome is a row of small integers, `0 <= gene < gene_sizes`. `canonical` maps all genomes of one architecture to one.
    """

    name: str

    @property
    def gene_sizes(self) -> np.ndarray: ...
    def canonical(self, genomes: np.ndarray) -> np.ndarray: ...
    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray: ...
    def decode(self, genome: np.ndarray) -> Hashable: ...
    def encode(self, architecture: Hashable) -> np.ndarray: ...


@dataclass(frozen=True)
class Segment:
    """A stage: slots, each with one or more genes, of which a depth gene lets the first few count.

    depths: for every value of the gene at `depth_column` the number of slots that count; a single entry without the gene.
    slots: the gene columns of every slot. What a slot adds to a sum may depend on all its genes together.
    """

    depth_column: int | None
    depths: tuple[int, ...]
    slots: tuple[tuple[int, ...], ...]


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
        """`(n, d)` -> `(n, d)`: with the genes of slots that do not count set to 0."""
        genomes = np.array(genomes)
        for segment in self.segments:
            depth = np.zeros(len(genomes), dtype=int) if segment.depth_column is None else genomes[:, segment.depth_column]
            for u, slot in enumerate(segment.slots):
                genomes[:, list(slot)] *= (u < np.array(segment.depths)[depth])[:, None]
        return genomes


@cache
def _product(sizes: tuple[int, ...]) -> np.ndarray:
    rows = np.stack(np.unravel_index(np.arange(prod(sizes)), sizes), axis=1)
    rows.flags.writeable = False
    return rows


@dataclass(frozen=True)
class Categorical:
    """A plain product of choices: `Categorical([3] * 8)` has 3 ** 8 architectures, each a tuple of integers.

    Raises UsageError for a gene without choices.
    """

    sizes: Sequence[int]
    name: str = "categorical"

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", tuple(int(size) for size in self.sizes))
        if not self.sizes or min(self.sizes) < 1:
            raise UsageError(f"a categorical space needs at least one gene, each with at least one choice, not {self.sizes}")

    @cached_property
    def gene_sizes(self) -> np.ndarray:
        return np.array(self.sizes)

    @property
    def layout(self) -> Layout:
        return Layout(self.sizes, (), tuple(Segment(None, (1,), ((column,),)) for column in range(len(self.sizes))))

    def count(self) -> int:
        return prod(self.sizes)

    def canonical(self, genomes: np.ndarray) -> np.ndarray:
        return np.array(genomes)

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
        return rng.integers(0, self.gene_sizes, (n, len(self.sizes)))

    def decode(self, genome: np.ndarray) -> tuple[int, ...]:
        """Raises ValueError where a gene is out of range."""
        genome = np.asarray(genome)
        if genome.shape != self.gene_sizes.shape or (genome < 0).any() or (genome >= self.gene_sizes).any():
            raise ValueError(f"not a genome of {self.name}: {genome}")
        return tuple(genome.tolist())

    def encode(self, architecture: Hashable) -> np.ndarray:
        """Inverse of `decode`. Raises ValueError for a stranger to this space."""
        return np.array(self.decode(np.array(architecture)))


def layout_of(space: Space) -> Layout:
    """The structure of a space's genomes."""
    if not isinstance(space, SearchSpace):
        return space.layout
    segments = [
        Segment(depth_column, stage.depths, tuple(map(tuple, blocks.tolist())))
        for stage, (depth_column, blocks) in zip(space.stages, space.stage_columns, strict=True)
    ]
    return Layout(tuple(space.gene_sizes.tolist()), (0, 1) if space.has_elastic_width else (0,), tuple(segments))


def gene_names(space: Space) -> list[str]:
    """One name for every gene, such as `stage1.block2.kernel`."""
    layout = layout_of(space)
    names = [f"gene{column}" for column in range(len(layout.gene_sizes))]
    if isinstance(space, SearchSpace):
        for column, name in zip(layout.branch_columns, ("resolution", "width"), strict=False):
            names[column] = name
        for s, segment in enumerate(layout.segments, start=1):
            names[segment.depth_column] = f"stage{s}.depth"
            for u, slot in enumerate(segment.slots, start=1):
                for column, field in zip(slot, BlockChoice._fields, strict=False):
                    names[column] = f"stage{s}.block{u}.{field}"
    return names
