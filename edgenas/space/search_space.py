"""`SearchSpace`: a family of networks and the three forms of its members.

    genome (a row of small integers)  <->  Architecture  ->  BlockSpecs

A population is an `(n, d)` integer array of genomes. `block_ids` turns it into an `(n, slots)` array of indices into
`distinct_blocks`, so any additive cost of a whole population is one gather and one sum.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Protocol, TypeVar

import numpy as np

from edgenas.space.architecture import Architecture, BlockChoice
from edgenas.space.block import BlockSpec
from edgenas.space.genome import Layout, Segment
from edgenas.space.stage import FixedBlock, Stage, described, later

Number = TypeVar("Number", int, float)


class Pick(Protocol):
    """One of several values, by a rule such as `max`."""

    def __call__(self, values: tuple[Number, ...], /) -> Number: ...


@dataclass(frozen=True)
class SearchSpace:
    """All networks of one family: stem, stages, head, and the input resolutions.

    A genome holds, as indices into the choices: the resolution; the width, where it is elastic; then for each stage its
    depth and, for each of its `max(depths)` blocks, kernel, expand ratio and, where the stage has them, start depthwise. In
    canonical form the genes of dropped blocks are 0.

    widths: what an architecture may multiply the channel counts of the whole network by, the classes excepted. One width
    for all stages: what a block costs then depends on its own choices, the resolution and the width, and on no neighbour.
    batch_norm_epsilon: what is added to variances. TensorFlow's networks have 1e-3, and weights depend on theirs.
    """

    name: str
    resolutions: tuple[int, ...]
    stem: tuple[FixedBlock, ...]
    stages: tuple[Stage, ...]
    head: tuple[FixedBlock, ...]
    image_channels: int = 3
    widths: tuple[float, ...] = later((1.0,))
    batch_norm_epsilon: float = later(1e-5)

    # ---- identity ----

    @cached_property
    def fingerprint(self) -> str:
        """Changes when anything in the description does."""
        return hashlib.sha256(repr(described(self)).encode()).hexdigest()[:12]

    @property
    def classes(self) -> int:
        return self.head[-1].out_channels

    def count(self) -> int:
        """How many distinct architectures there are."""
        per_stage = (sum(len(s.choices) ** d for d in s.depths) for s in self.stages)
        return len(self.resolutions) * len(self.widths) * math.prod(per_stage)

    # ---- genomes ----

    @property
    def has_elastic_width(self) -> bool:
        return len(self.widths) > 1

    @cached_property
    def gene_sizes(self) -> np.ndarray:
        """`(d,)` integers: the number of choices of each gene."""
        sizes = [len(self.resolutions)] + [len(self.widths)] * self.has_elastic_width
        for stage in self.stages:
            sizes += [len(stage.depths)] + [len(values) for values in stage.genes] * max(stage.depths)
        return np.array(sizes)

    @cached_property
    def stage_columns(self) -> list[tuple[int, np.ndarray]]:
        """For each stage the column of its depth gene, and `(max(depths), genes)` columns of its blocks' genes."""
        columns, first = [], 1 + self.has_elastic_width
        for stage in self.stages:
            blocks = first + 1 + np.arange(max(stage.depths) * len(stage.genes)).reshape(-1, len(stage.genes))
            columns.append((first, blocks))
            first += 1 + blocks.size
        return columns

    @cached_property
    def layout(self) -> Layout:
        segments = [
            Segment(depth_column, stage.depths, tuple(map(tuple, blocks.tolist())))
            for stage, (depth_column, blocks) in zip(self.stages, self.stage_columns, strict=True)
        ]
        return Layout(tuple(self.gene_sizes.tolist()), (0, 1) if self.has_elastic_width else (0,), tuple(segments))

    @cached_property
    def gene_names(self) -> tuple[str, ...]:
        """One for every gene, such as `stage1.block2.kernel`."""
        names = ["resolution"] + ["width"] * self.has_elastic_width
        for s, stage in enumerate(self.stages, start=1):
            fields = BlockChoice._fields[: len(stage.genes)]
            blocks = range(1, max(stage.depths) + 1)
            names += [f"stage{s}.depth", *(f"stage{s}.block{block}.{field}" for block in blocks for field in fields)]
        return tuple(names)

    def canonical(self, genomes: np.ndarray) -> np.ndarray:
        """`(n, d)` -> `(n, d)`: the same architectures, with the genes of dropped blocks set to 0."""
        return self.layout.canonical(genomes)

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """`(n, d)` canonical genomes, each gene uniform over its choices."""
        return self.canonical(rng.integers(0, self.gene_sizes, size=(n, len(self.gene_sizes))))

    def decode(self, genome: np.ndarray) -> Architecture:
        """A genome `(d,)` as an Architecture. Raises ValueError where a gene is out of range."""
        genome = np.asarray(genome)
        if genome.shape != self.gene_sizes.shape or (genome < 0).any() or (genome >= self.gene_sizes).any():
            raise ValueError(f"not a genome of {self.name}: {genome}")
        stages = []
        for stage, (depth_column, blocks) in zip(self.stages, self.stage_columns, strict=True):
            genes = genome[blocks[: stage.depths[genome[depth_column]]]]
            stages.append(tuple(BlockChoice(*(v[g] for v, g in zip(stage.genes, row, strict=True))) for row in genes))
        width = self.widths[genome[1]] if self.has_elastic_width else self.widths[0]
        return Architecture(self.resolutions[genome[0]], tuple(stages), width)

    def encode(self, architecture: Architecture) -> np.ndarray:
        """Inverse of `decode`: `(d,)` integers in canonical form. Raises ValueError for a stranger to this space."""
        self.validate(architecture)
        genome = np.zeros(len(self.gene_sizes), dtype=int)
        genome[0] = self.resolutions.index(architecture.resolution)
        if self.has_elastic_width:
            genome[1] = self.widths.index(architecture.width)
        for stage, (depth_column, blocks), choices in zip(self.stages, self.stage_columns, architecture.stages, strict=True):
            genome[depth_column] = stage.depths.index(len(choices))
            for columns, choice in zip(blocks, choices, strict=False):
                genome[columns] = [values.index(value) for values, value in zip(stage.genes, choice, strict=False)]
        return genome

    def validate(self, architecture: Architecture) -> None:
        """Raises ValueError naming what does not belong to this space."""
        if architecture.resolution not in self.resolutions:
            raise ValueError(f"{self.name} has resolutions {self.resolutions}, not {architecture.resolution}")
        if architecture.width not in self.widths:
            raise ValueError(f"{self.name} has widths {self.widths}, not {architecture.width}")
        if len(architecture.stages) != len(self.stages):
            raise ValueError(f"{self.name} has {len(self.stages)} stages, not {len(architecture.stages)}")
        for number, (stage, choices) in enumerate(zip(self.stages, architecture.stages, strict=True), start=1):
            if len(choices) not in stage.depths:
                raise ValueError(f"stage {number} of {self.name} has depths {stage.depths}, not {len(choices)}")
            for choice in choices:
                if any(value not in values for value, values in zip(choice, (*stage.genes, stage.starts), strict=False)):
                    raise ValueError(f"stage {number} of {self.name} has kernels {stage.kernels}, expand ratios "
                                     f"{stage.expands} and start depthwises {stage.starts}, not {tuple(choice)}")  # fmt: skip

    # ---- named members ----

    def architecture(self, resolution: int, depth: Pick, choice: Pick) -> Architecture:
        """The architecture whose width and every depth, kernel and expand ratio are picked by one rule, such as `max`."""
        stages = tuple(
            (BlockChoice(choice(s.kernels), choice(s.expands), choice(s.starts)),) * depth(s.depths) for s in self.stages
        )
        return Architecture(resolution, stages, choice(self.widths) if self.has_elastic_width else self.widths[0])

    @property
    def largest(self) -> Architecture:
        return self.architecture(max(self.resolutions), max, max)

    @property
    def smallest(self) -> Architecture:
        return self.architecture(min(self.resolutions), min, min)

    def covering(self, resolution: int, width: float) -> Iterator[Architecture]:
        """Architectures of full depth that between them meet every choice at every place: the k-th makes all k-th choices."""
        for k in range(max(len(stage.choices) for stage in self.stages)):
            picks = (stage.choices[min(k, len(stage.choices) - 1)] for stage in self.stages)
            stages = tuple((pick,) * max(stage.depths) for pick, stage in zip(picks, self.stages, strict=True))
            yield Architecture(resolution, stages, width)

    def restricted_to(self, architecture: Architecture) -> SearchSpace:
        """The space of one network, its `largest`: every block is a stage of its own, without a choice."""
        self.validate(architecture)
        stages = tuple(
            replace(stage, stride=stage.stride if i == 0 else 1, padding=stage.padding if i == 0 else "symmetric",
                    depths=(1,), kernels=(choice.kernel,), expands=(choice.expand,), starts=(choice.start,))
            for stage, choices in zip(self.stages, architecture.stages, strict=True)
            for i, choice in enumerate(choices)
        )  # fmt: skip
        return replace(self, resolutions=(architecture.resolution,), widths=(architecture.width,), stages=stages)

    # ---- blocks ----

    def blocks(self, architecture: Architecture) -> tuple[BlockSpec, ...]:
        """The network that an architecture stands for, from the image to the class scores."""
        self.validate(architecture)
        return tuple(spec for _, spec in self.placed_blocks(architecture))

    def placed_blocks(self, architecture: Architecture) -> Iterator[tuple[int, BlockSpec]]:
        """The blocks with their slots: their places in the network of full depth, counted from 0."""
        resolution, channels, width, slot = architecture.resolution, self.image_channels, architecture.width, 0

        def place(spec: BlockSpec) -> tuple[int, BlockSpec]:
            nonlocal resolution, channels
            resolution, channels = spec.out_resolution, spec.out_channels
            return slot, spec

        for block in self.stem:
            yield place(block.spec(resolution, channels, width))
            slot += 1
        for stage, choices in zip(self.stages, architecture.stages, strict=True):
            for i, choice in enumerate(choices):
                yield place(stage.spec(i, choice, resolution, channels, width))
                slot += 1
            slot += max(stage.depths) - len(choices)
        for block in self.head:
            yield place(block.spec(resolution, channels, width))
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
        """`(resolutions * widths, slots, joint choices)` indices into the sorted blocks beside it."""
        shape = len(self.resolutions) * len(self.widths), self.slots, max(len(stage.choices) for stage in self.stages)
        lookup = np.zeros(shape, dtype=int)
        found: dict[BlockSpec, int] = {}
        for branch, (resolution, width) in enumerate(product(self.resolutions, self.widths)):
            for choice, architecture in enumerate(self.covering(resolution, width)):
                for slot, spec in self.placed_blocks(architecture):
                    lookup[branch, slot, choice] = found.setdefault(spec, len(found))
        blocks = sorted(found)
        rank = np.empty(len(blocks), dtype=int)
        rank[[found[spec] for spec in blocks]] = np.arange(len(blocks))
        return rank[lookup], tuple(blocks)

    def block_ids(self, genomes: np.ndarray) -> np.ndarray:
        """`(n, d)` genomes -> `(n, slots)` indices into `distinct_blocks`; dropped blocks have `len(distinct_blocks)`."""
        genomes = np.asarray(genomes)
        lookup, _ = self._block_lookup
        ids = np.empty((len(genomes), self.slots), dtype=int)
        branch, slot = self.layout.branch(genomes), len(self.stem)
        ids[:, :slot] = lookup[branch, :slot, 0]
        for stage, (depth_column, blocks) in zip(self.stages, self.stage_columns, strict=True):
            depth, sizes = np.array(stage.depths)[genomes[:, depth_column]], [len(values) for values in stage.genes]
            for i, columns in enumerate(blocks):
                block = lookup[branch, slot, np.ravel_multi_index(tuple(genomes[:, columns].T), sizes)]
                ids[:, slot] = np.where(i < depth, block, len(self.distinct_blocks))
                slot += 1
        ids[:, slot:] = lookup[branch, slot:, 0]
        return ids

    def gather(self, costs: np.ndarray, genomes: np.ndarray) -> np.ndarray:
        """Sums of an additive cost: `(len(distinct_blocks),)` per block and `(n, d)` genomes -> `(n,)`."""
        return np.append(costs, 0.0)[self.block_ids(genomes)].sum(axis=1)
