"""`SearchSpace`: a family of networks and the three forms of its members.

    genome (a row of small integers)  <->  Architecture  ->  BlockSpecs

A population is an `(n, d)` integer array of genomes. `block_ids` turns it into an `(n, slots)` array of indices into
`distinct_blocks`, so any additive cost of a whole population is one gather and one sum.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property

import numpy as np

from edgenas.space.architecture import Architecture, BlockChoice
from edgenas.space.block import BlockSpec, make_divisible


@dataclass(frozen=True)
class FixedBlock:
    """A block that every architecture has as it is: the stem and the head."""

    op: str
    out_channels: int
    mid_channels: int = 0
    kernel: int = 1
    stride: int = 1
    activation: str = "relu"
    se: bool = False

    def spec(self, resolution: int, in_channels: int) -> BlockSpec:
        residual = self.op == "mbconv" and self.stride == 1 and in_channels == self.out_channels
        return BlockSpec(self.op, resolution, in_channels, self.mid_channels, self.out_channels, self.kernel, self.stride,
                         self.activation, self.se, residual)  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """A run of blocks of one width. The first has the stride; depth, kernels and expand ratios are elastic."""

    out_channels: int
    stride: int
    activation: str
    se: bool
    depths: tuple[int, ...]
    kernels: tuple[int, ...]
    expands: tuple[float, ...]

    def spec(self, index: int, choice: BlockChoice, resolution: int, in_channels: int) -> BlockSpec:
        """Block `index` of the stage."""
        stride = self.stride if index == 0 else 1
        mid = make_divisible(round(in_channels * choice.expand))
        residual = stride == 1 and in_channels == self.out_channels
        return BlockSpec("mbconv", resolution, in_channels, mid, self.out_channels, choice.kernel, stride, self.activation,
                         self.se, residual)  # fmt: skip

    @property
    def choices(self) -> list[BlockChoice]:
        return [BlockChoice(k, e) for k in self.kernels for e in self.expands]


@dataclass(frozen=True)
class SearchSpace:
    """All networks of one family: stem, stages, head, and the input resolutions.

    A genome holds, as indices into the choices: the resolution; then for each stage its depth and, for each of its
    `max(depths)` blocks, kernel and expand ratio. In canonical form the genes of dropped blocks are 0.
    """

    name: str
    resolutions: tuple[int, ...]
    stem: tuple[FixedBlock, ...]
    stages: tuple[Stage, ...]
    head: tuple[FixedBlock, ...]
    image_channels: int = 3

    # ---- identity ----

    @cached_property
    def fingerprint(self) -> str:
        """Changes when anything in the description does."""
        return hashlib.sha256(repr(asdict(self)).encode()).hexdigest()[:12]

    @property
    def classes(self) -> int:
        return self.head[-1].out_channels

    def count(self) -> int:
        """How many distinct architectures there are."""
        per_stage = (sum((len(s.kernels) * len(s.expands)) ** d for d in s.depths) for s in self.stages)
        return len(self.resolutions) * math.prod(per_stage)

    # ---- genomes ----

    @cached_property
    def gene_sizes(self) -> np.ndarray:
        """`(d,)` integers: the number of choices of each gene."""
        sizes = [len(self.resolutions)]
        for stage in self.stages:
            sizes += [len(stage.depths)] + [len(stage.kernels), len(stage.expands)] * max(stage.depths)
        return np.array(sizes)

    @cached_property
    def _stage_columns(self) -> list[int]:
        """The column of each stage's depth gene."""
        widths = [1 + 2 * max(stage.depths) for stage in self.stages]
        return [1 + sum(widths[:i]) for i in range(len(widths))]

    def canonical(self, genomes: np.ndarray) -> np.ndarray:
        """`(n, d)` -> `(n, d)`: the same architectures, with the genes of dropped blocks set to 0."""
        genomes = np.array(genomes)
        for stage, column in zip(self.stages, self._stage_columns, strict=True):
            depth = np.array(stage.depths)[genomes[:, column]]
            dropped = np.repeat(np.arange(max(stage.depths)), 2)[None] >= depth[:, None]
            genomes[:, column + 1 : column + 1 + dropped.shape[1]][dropped] = 0
        return genomes

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """`(n, d)` canonical genomes, each gene uniform over its choices."""
        return self.canonical(rng.integers(0, self.gene_sizes, size=(n, len(self.gene_sizes))))

    def decode(self, genome: np.ndarray) -> Architecture:
        """A genome `(d,)` as an Architecture. Raises ValueError where a gene is out of range."""
        genome = np.asarray(genome)
        if genome.shape != self.gene_sizes.shape or (genome < 0).any() or (genome >= self.gene_sizes).any():
            raise ValueError(f"not a genome of {self.name}: {genome}")
        stages = []
        for stage, column in zip(self.stages, self._stage_columns, strict=True):
            genes = genome[column + 1 : column + 1 + 2 * stage.depths[genome[column]]].reshape(-1, 2)
            stages.append(tuple(BlockChoice(stage.kernels[k], stage.expands[e]) for k, e in genes))
        return Architecture(self.resolutions[genome[0]], tuple(stages))

    def encode(self, architecture: Architecture) -> np.ndarray:
        """Inverse of `decode`: `(d,)` integers in canonical form. Raises ValueError for a stranger to this space."""
        self.validate(architecture)
        genome = np.zeros(len(self.gene_sizes), dtype=int)
        genome[0] = self.resolutions.index(architecture.resolution)
        for stage, column, choices in zip(self.stages, self._stage_columns, architecture.stages, strict=True):
            genome[column] = stage.depths.index(len(choices))
            for i, choice in enumerate(choices):
                genome[column + 1 + 2 * i] = stage.kernels.index(choice.kernel)
                genome[column + 2 + 2 * i] = stage.expands.index(choice.expand)
        return genome

    def validate(self, architecture: Architecture) -> None:
        """Raises ValueError naming what does not belong to this space."""
        if architecture.resolution not in self.resolutions:
            raise ValueError(f"{self.name} has resolutions {self.resolutions}, not {architecture.resolution}")
        if len(architecture.stages) != len(self.stages):
            raise ValueError(f"{self.name} has {len(self.stages)} stages, not {len(architecture.stages)}")
        for number, (stage, choices) in enumerate(zip(self.stages, architecture.stages, strict=True), start=1):
            if len(choices) not in stage.depths:
                raise ValueError(f"stage {number} of {self.name} has depths {stage.depths}, not {len(choices)}")
            for choice in choices:
                if choice.kernel not in stage.kernels or choice.expand not in stage.expands:
                    raise ValueError(f"stage {number} of {self.name} has kernels {stage.kernels} and expand ratios "
                                     f"{stage.expands}, not {choice}")  # fmt: skip

    # ---- named members ----

    def architecture(self, resolution: int, depth: Callable[[tuple], int], choice: Callable[[tuple], float]) -> Architecture:
        """The architecture whose every depth, kernel and expand ratio is picked by one rule, such as `max`."""
        stages = tuple((BlockChoice(choice(s.kernels), choice(s.expands)),) * depth(s.depths) for s in self.stages)
        return Architecture(resolution, stages)

    @property
    def largest(self) -> Architecture:
        return self.architecture(max(self.resolutions), max, max)

    @property
    def smallest(self) -> Architecture:
        return self.architecture(min(self.resolutions), min, min)

    def restricted_to(self, architecture: Architecture) -> SearchSpace:
        """The space of one network, its `largest`: every block is a stage of its own, without a choice."""
        self.validate(architecture)
        stages = tuple(
            replace(
                stage,
                stride=stage.stride if i == 0 else 1,
                depths=(1,),
                **{
                    f"{gene}s": (value,) for gene, value in choice._asdict().items()
                },  # the choices become the stage's only ones
            )
            for stage, choices in zip(self.stages, architecture.stages, strict=True)
            for i, choice in enumerate(choices)
        )
        return replace(self, resolutions=(architecture.resolution,), stages=stages)

    # ---- blocks ----

    def blocks(self, architecture: Architecture) -> tuple[BlockSpec, ...]:
        """The network that an architecture stands for, from the image to the class scores."""
        self.validate(architecture)
        return tuple(spec for _, spec in self.placed_blocks(architecture))

    def placed_blocks(self, architecture: Architecture) -> Iterator[tuple[int, BlockSpec]]:
        """The blocks with their slots: their places in the network of full depth, counted from 0."""
        resolution, channels, slot = architecture.resolution, self.image_channels, 0

        def place(spec: BlockSpec) -> tuple[int, BlockSpec]:
            nonlocal resolution, channels
            resolution, channels = spec.out_resolution, spec.out_channels
            return slot, spec

        for block in self.stem:
            yield place(block.spec(resolution, channels))
            slot += 1
        for stage, choices in zip(self.stages, architecture.stages, strict=True):
            for i, choice in enumerate(choices):
                yield place(stage.spec(i, choice, resolution, channels))
                slot += 1
            slot += max(stage.depths) - len(choices)
        for block in self.head:
            yield place(block.spec(resolution, channels))
            slot += 1

    @property
    def slots(self) -> int:
        """The number of blocks of the deepest network."""
        return len(self.stem) + sum(max(stage.depths) for stage in self.stages) + len(self.head)

    @cached_property
    def distinct_blocks(self) -> tuple[BlockSpec, ...]:
        """Every block that some architecture of this space contains, once, in a fixed order."""
        return self._block_lookup[1]

    @cached_property
    def _block_lookup(self) -> tuple[np.ndarray, tuple[BlockSpec, ...]]:
        """`(resolutions, slots, kernels, expands)` indices into the sorted blocks beside it."""
        shape = max(len(s.kernels) for s in self.stages), max(len(s.expands) for s in self.stages)
        lookup = np.zeros((len(self.resolutions), self.slots, *shape), dtype=int)
        found: dict[BlockSpec, int] = {}
        for r, resolution in enumerate(self.resolutions):
            for k in range(shape[0]):
                for e in range(shape[1]):
                    stages = tuple((BlockChoice(s.kernels[min(k, len(s.kernels) - 1)], s.expands[min(e, len(s.expands) - 1)]),)
                                   * max(s.depths) for s in self.stages)  # fmt: skip
                    for slot, spec in self.placed_blocks(Architecture(resolution, stages)):
                        lookup[r, slot, k, e] = found.setdefault(spec, len(found))
        blocks = sorted(found)
        rank = np.empty(len(blocks), dtype=int)
        rank[[found[spec] for spec in blocks]] = np.arange(len(blocks))
        return rank[lookup], tuple(blocks)

    def block_ids(self, genomes: np.ndarray) -> np.ndarray:
        """`(n, d)` genomes -> `(n, slots)` indices into `distinct_blocks`; dropped blocks have `len(distinct_blocks)`."""
        genomes = np.asarray(genomes)
        lookup, _ = self._block_lookup
        ids = np.empty((len(genomes), self.slots), dtype=int)
        resolution, slot = genomes[:, 0], len(self.stem)
        ids[:, :slot] = lookup[resolution, :slot, 0, 0]
        for stage, column in zip(self.stages, self._stage_columns, strict=True):
            depth = np.array(stage.depths)[genomes[:, column]]
            for i in range(max(stage.depths)):
                block = lookup[resolution, slot, genomes[:, column + 1 + 2 * i], genomes[:, column + 2 + 2 * i]]
                ids[:, slot] = np.where(i < depth, block, len(self.distinct_blocks))
                slot += 1
        ids[:, slot:] = lookup[resolution, slot:, 0, 0]
        return ids

    def gather(self, costs: np.ndarray, genomes: np.ndarray) -> np.ndarray:
        """Sums of an additive cost: `(len(distinct_blocks),)` per block and `(n, d)` genomes -> `(n,)`."""
        return np.append(costs, 0.0)[self.block_ids(genomes)].sum(axis=1)
