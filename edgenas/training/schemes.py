"""Which subnets are trained in a step: the sampling schemes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from edgenas.space import Architecture, SearchSpace
from edgenas.training.recipe import Recipe


@dataclass(frozen=True)
class Phase:
    """A stretch of training, from the given share of all steps on.

    sorts: order the channels by importance when it begins, because smaller expand ratios come into play.
    """

    name: str
    start: float
    sorts: bool = False


@dataclass(frozen=True)
class Draw:
    """One subnet of a step.

    share: the part of the batch it sees, as (begin, end) fractions.
    weight: of its loss.
    teacher: None learns from labels; `largest` from the step's largest subnet, in place; `frozen` from labels and from the
        trainer's teacher, where it has one: the one it was given, or the largest subnet as it was when it stopped being
        trained alone.
    """

    architecture: Architecture
    share: tuple[float, float] = (0.0, 1.0)
    weight: float = 1.0
    teacher: str | None = None


class SamplingScheme(Protocol):
    """Decides the subnets of a step from its phase and the step's own randomness alone.

    freezes_teacher: keep a copy of the largest subnet as it is when the first phase ends, for draws with that teacher.
    """

    phases: tuple[Phase, ...]
    freezes_teacher: bool

    def draw(self, phase: Phase, rng: np.random.Generator) -> list[Draw]: ...


class Sandwich:
    """The largest alone, then the sandwich rule with in-place distillation (BigNAS, arXiv:2003.11142).

    Each sandwich step trains the largest subnet on the whole batch, and the smallest and k random ones on one part
    of the batch each, so that a step costs little more than the largest alone.
    """

    def __init__(self, space: SearchSpace, recipe: Recipe):
        self.space = space
        self.recipe = recipe
        self.freezes_teacher = False
        self.phases = (Phase("largest", 0.0), Phase("sandwich", recipe.largest_alone, sorts=True))

    def draw(self, phase: Phase, rng: np.random.Generator) -> list[Draw]:
        draws = [Draw(self.space.largest)]
        if phase.name == "largest":
            return draws
        random = [self.space.decode(genome) for genome in self.space.sample(rng, self.recipe.random_subnets)]
        smaller = [self.space.smallest, *random]
        weight = self.recipe.subnet_weight / len(smaller)
        for i, architecture in enumerate(smaller):
            draws.append(Draw(architecture, (i / len(smaller), (i + 1) / len(smaller)), weight, teacher="largest"))
        return draws


class ProgressiveShrinking:
    """Once-for-All's schedule (arXiv:1908.09791): the largest, then elastic kernel, depth and expand ratio, one by one.

    Resolution is elastic in every phase. Steps train several random subnets of the phase on the whole batch, with the
    frozen largest subnet as teacher. Phases have the paper's proportions of its 180 + 125 + (25 + 125) + (25 + 125)
    epochs, with the two parts of depth and of expand ratio merged, and one learning-rate schedule spans them all.
    """

    _SUBNETS: ClassVar = {"kernel": 1, "depth": 2, "expand": 4}  # per step, as in the paper's code

    def __init__(self, space: SearchSpace, recipe: Recipe):
        self.space = space
        self.freezes_teacher = True
        self.phases = (
            Phase("largest", 0.0),
            Phase("kernel", 180 / 605),
            Phase("depth", 305 / 605),
            Phase("expand", 455 / 605, sorts=True),
        )

    def draw(self, phase: Phase, rng: np.random.Generator) -> list[Draw]:
        if phase.name == "largest":
            return [Draw(self.space.largest)]
        n = self._SUBNETS[phase.name]
        return [Draw(self._shrunk(phase, genome), weight=1 / n, teacher="frozen") for genome in self.space.sample(rng, n)]

    def _shrunk(self, phase: Phase, genome: np.ndarray) -> Architecture:
        """A random architecture in which what is not elastic yet is as large as can be."""
        drawn = self.space.decode(genome)
        stages = []
        for stage, choices in zip(self.space.stages, drawn.stages, strict=True):
            depth = len(choices) if phase.name in ("depth", "expand") else max(stage.depths)
            # Blocks that a shallow draw left out take their choices from those it has.
            padded = [choices[i % len(choices)] for i in range(depth)]
            if phase.name != "expand":
                padded = [choice._replace(expand=max(stage.expands)) for choice in padded]
            stages.append(tuple(padded))
        return Architecture(drawn.resolution, tuple(stages))


class SinglePath:
    """One uniformly drawn subnet per step (Guo et al., ECCV 2020, arXiv:1904.00420): the plainest of all schemes."""

    def __init__(self, space: SearchSpace, recipe: Recipe):
        self.space = space
        self.freezes_teacher = False
        self.phases = (Phase("single-path", 0.0),)

    def draw(self, phase: Phase, rng: np.random.Generator) -> list[Draw]:
        return [Draw(self.space.decode(self.space.sample(rng, 1)[0]), teacher="frozen")]


def make_scheme(space: SearchSpace, recipe: Recipe) -> SamplingScheme:
    schemes = {"sandwich": Sandwich, "progressive-shrinking": ProgressiveShrinking, "single-path": SinglePath}
    return schemes[recipe.scheme](space, recipe)
