"""Which subnets are trained in a step: the sampling schemes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Protocol

import numpy as np

from edgenas import cost
from edgenas.space import Architecture, SearchSpace
from edgenas.training.recipe import Recipe


@dataclass(frozen=True)
class Phase:
    """A stretch of training, from the given share of all steps on.

    resolution: of the images when only the largest subnet is trained.
    sorts: order the channels by importance when it begins, because smaller expand ratios come into play.
    """

    name: str
    start: float
    resolution: int = 0
    sorts: bool = False


@dataclass(frozen=True)
class Draw:
    """One subnet of a step.

    share: the part of the batch it sees, as (begin, end) fractions.
    weight: of its loss.
    learns: whether it is trained; otherwise it only teaches the step's other subnets.
    teacher: None learns from labels; `largest` from the step's largest subnet, in place; `frozen` from labels and from
        the largest subnet as it was when it stopped being trained alone.
    """

    architecture: Architecture
    share: tuple[float, float] = (0.0, 1.0)
    weight: float = 1.0
    learns: bool = True
    teacher: str | None = None


class SamplingScheme(Protocol):
    """Decides the subnets of a step from its phase and the step's own randomness alone.

    freezes_teacher: keep a copy of the largest subnet as it is when the first phase ends, for draws with that teacher.
    """

    @property
    def phases(self) -> tuple[Phase, ...]: ...
    @property
    def freezes_teacher(self) -> bool: ...

    def draw(self, phase: Phase, rng: np.random.Generator) -> list[Draw]: ...


LEAST_SHARE = 0.75  # of the largest resolution: training at half of it was measured to hurt


def largest_alone(space: SearchSpace, recipe: Recipe, end: float) -> tuple[Phase, ...]:
    """The beginning of a training, in which there is only the largest subnet.

    Its images are as large as can be; or they grow through the space's resolutions, each for an equal part of the time, as
    in progressive learning (EfficientNetV2, arXiv:2104.00298).
    """
    largest = max(space.resolutions)
    sizes = [r for r in sorted(space.resolutions) if r >= LEAST_SHARE * largest] if recipe.progressive_resolution else [largest]
    return tuple(Phase("largest", end * i / len(sizes), size) for i, size in enumerate(sizes))


class RandomSubnets:
    """Where the random subnets of a step come from: uniform, or near the budgets that will be searched for.

    With budgets, each subnet draws one of them and then the nearest of a few uniform subnets, by the ratio of
    multiply-accumulates: a distribution of costs first, architectures within it second (AttentiveNAS, arXiv:2011.09011).
    """

    CANDIDATES = 16

    def __init__(self, space: SearchSpace, macs: tuple[int, ...] = ()):
        self.space = space
        self.macs = macs

    @cached_property
    def _block_macs(self) -> np.ndarray:
        return np.array([cost.block_macs(spec) for spec in self.space.distinct_blocks])

    def __call__(self, rng: np.random.Generator, n: int) -> list[Architecture]:
        if not self.macs:
            return [self.space.decode(genome) for genome in self.space.sample(rng, n)]
        budgets = rng.choice(self.macs, n)
        genomes = self.space.sample(rng, n * self.CANDIDATES)
        macs = self.space.gather(self._block_macs, genomes).reshape(n, self.CANDIDATES)
        nearest = np.abs(np.log(macs / budgets[:, None])).argmin(axis=1)
        return [self.space.decode(genomes[i * self.CANDIDATES + j]) for i, j in enumerate(nearest)]


class Sandwich:
    """The largest alone, then the sandwich rule with in-place distillation (BigNAS, arXiv:2003.11142).

    Each sandwich step trains the largest subnet on the whole batch, and the smallest and k random ones on one part
    of the batch each, so that a step costs little more than the largest alone; or on the whole batch, too, as in the paper.
    The largest may sit out some of these steps and only teach, which costs a third and leaves the time to the smaller ones.
    With an elastic resolution its images have another of the space's sizes in every step, as Once-for-All's always have.
    """

    def __init__(self, space: SearchSpace, recipe: Recipe):
        self.space = space
        self.recipe = recipe
        self.freezes_teacher = False
        self.random_subnets = RandomSubnets(space, recipe.macs)
        alone = largest_alone(space, recipe, recipe.largest_alone)
        self.phases = (*alone, Phase("sandwich", recipe.largest_alone, sorts=True))

    def draw(self, phase: Phase, rng: np.random.Generator) -> list[Draw]:
        resolution = phase.resolution or self.space.largest.resolution
        if self.recipe.elastic_resolution:
            resolution = int(rng.choice(self.space.resolutions))
        largest = replace(self.space.largest, resolution=resolution)
        if phase.name == "largest":
            return [Draw(largest)]
        smaller = [self.space.smallest, *self.random_subnets(rng, self.recipe.random_subnets)]
        draws = [Draw(largest, learns=rng.random() < self.recipe.largest_share)]
        weight = self.recipe.subnet_weight / len(smaller)
        for i, architecture in enumerate(smaller):
            share = (i / len(smaller), (i + 1) / len(smaller)) if self.recipe.split_batch else (0.0, 1.0)
            draws.append(Draw(architecture, share, weight, teacher="largest"))
        return draws


class ProgressiveShrinking:
    """Once-for-All's schedule (arXiv:1908.09791): the largest, then elastic kernel, depth and expand ratio, one by one.

    An elastic width of the network comes with the expand ratio.

    Resolution is elastic in every phase. Steps train several random subnets of the phase on the whole batch, with the
    frozen largest subnet as teacher. Phases have the paper's proportions of its 180 + 125 + (25 + 125) + (25 + 125)
    epochs, with the two parts of depth and of expand ratio merged, and one learning-rate schedule spans them all.
    """

    _SUBNETS: ClassVar = {"kernel": 1, "depth": 2, "expand": 4}  # per step, as in the paper's code

    def __init__(self, space: SearchSpace, recipe: Recipe):
        self.space = space
        self.freezes_teacher = True
        self.random_subnets = RandomSubnets(space, recipe.macs)
        self.phases = (
            *largest_alone(space, recipe, 180 / 605),
            Phase("kernel", 180 / 605),
            Phase("depth", 305 / 605),
            Phase("expand", 455 / 605, sorts=True),
        )

    def draw(self, phase: Phase, rng: np.random.Generator) -> list[Draw]:
        if phase.name == "largest":
            return [Draw(replace(self.space.largest, resolution=phase.resolution))]
        n = self._SUBNETS[phase.name]
        return [Draw(self._shrunk(phase, drawn), weight=1 / n, teacher="frozen") for drawn in self.random_subnets(rng, n)]

    def _shrunk(self, phase: Phase, drawn: Architecture) -> Architecture:
        """The architecture with what is not elastic yet as large as can be."""
        stages = []
        for stage, choices in zip(self.space.stages, drawn.stages, strict=True):
            depth = len(choices) if phase.name in ("depth", "expand") else max(stage.depths)
            # Blocks that a shallow draw left out take their choices from those it has.
            known = choices or [max(stage.choices)]
            padded = [known[i % len(known)] for i in range(depth)]
            if phase.name != "expand":
                padded = [choice._replace(expand=max(stage.expands)) for choice in padded]
            stages.append(tuple(padded))
        width = drawn.width if phase.name == "expand" else max(self.space.widths)
        return Architecture(drawn.resolution, tuple(stages), width)


class SinglePath:
    """One random subnet per step (Guo et al., ECCV 2020, arXiv:1904.00420): the plainest of all schemes."""

    def __init__(self, space: SearchSpace, recipe: Recipe):
        self.space = space
        self.freezes_teacher = False
        self.random_subnets = RandomSubnets(space, recipe.macs)
        self.phases = (Phase("single-path", 0.0),)

    def draw(self, phase: Phase, rng: np.random.Generator) -> list[Draw]:
        return [Draw(architecture) for architecture in self.random_subnets(rng, 1)]


def make_scheme(space: SearchSpace, recipe: Recipe) -> SamplingScheme:
    schemes: dict[str, Callable[[SearchSpace, Recipe], SamplingScheme]] = {
        "sandwich": Sandwich,
        "progressive-shrinking": ProgressiveShrinking,
        "single-path": SinglePath,
    }
    return schemes[recipe.scheme](space, recipe)
