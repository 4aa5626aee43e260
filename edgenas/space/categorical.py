"""`Categorical`: a space without networks, for a search in one's own table of accuracies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from edgenas.errors import UsageError
from edgenas.space.genome import Layout, Segment


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
    def gene_names(self) -> tuple[str, ...]:
        return tuple(f"gene{column}" for column in range(len(self.sizes)))

    @cached_property
    def layout(self) -> Layout:
        return Layout(tuple(self.sizes), (), tuple(Segment(None, (1,), ((column,),)) for column in range(len(self.sizes))))

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

    def encode(self, architecture: tuple[int, ...]) -> np.ndarray:
        """Inverse of `decode`. Raises ValueError for a stranger to this space."""
        return np.array(self.decode(np.array(architecture)))
