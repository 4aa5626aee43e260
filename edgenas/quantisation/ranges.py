"""`Range`: between which two numbers a value of a network lies, and the 256 steps that int8 has for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated

import numpy as np

from edgenas.space import BlockSpec, program_of
from edgenas.space.program import INPUT, Act, Add, Flatten, MaxPool, Scale, Step, Weighted, activations_of
from edgenas.values import Within

IMAGE = "image"
"""The name of a network's input."""
STEPS = 255
"""Between the 256 values of 8 bits."""
GATE_SHIFT, GATE_LIMIT = 3, 6
"""The hard sigmoid is relu6(x + 3) / 6: kernels compute relu6(x + 3), and what they write is read as a sixth of it."""

_NARROWEST = 1e-5
_LEAST_RATIO = 2**-9
"""XNNPACK adds no value whose step is less than a 1,024th of the sum's; and half a 512th of a step is rounded away."""


@dataclass(frozen=True)
class Range:
    """low, high: with zero between them, which must be one of the steps: it is what padding and ReLU write."""

    low: Annotated[float, Within(-1e30, 0)]
    high: Annotated[float, Within(0, 1e30)]

    @property
    def scale(self) -> np.float32:
        """Of one step. A value that is always zero has steps as well, of no unusual size."""
        width = self.high - self.low
        return np.float32((width if width > _NARROWEST else 1.0) / STEPS)

    @property
    def zero_point(self) -> int:
        """The step of zero, 0..255, as in uint8; in int8 it is 128 less."""
        return round(-self.low / float(self.scale))

    def with_steps_of(self, scale: float) -> Range:
        """Wider, where its steps are smaller than these."""
        factor = scale / float(self.scale)
        return self if factor <= 1 else Range(factor * self.low, max(factor * self.high, factor * self.low + scale * STEPS))

    def steps(self, values: np.ndarray, dtype: str) -> np.ndarray:
        """Numbers as `uint8` or `int8`."""
        steps = np.rint(values / self.scale) + self.zero_point
        return (steps.clip(0, STEPS) + np.iinfo(dtype).min).astype(dtype)

    def values(self, steps: np.ndarray) -> np.ndarray:
        """What uint8 or int8 stand for, as float32."""
        return (steps.astype(np.float32) - (self.zero_point + np.iinfo(steps.dtype).min)) * self.scale


GATE = Range(0, 1)
NOMINAL = Range(-6, 6)
NOMINAL_RECTIFIED = Range(0, 6)
"""For networks whose speed, not their output, is of interest: a kernel takes as long whatever the range."""


@cache
def quantised_steps(spec: BlockSpec) -> tuple[Step, ...]:
    """The program of a block in the operators that int8 kernels exist for: h-swish is its input times a gate.

    XNNPACK and ONNX Runtime have no int8 h-swish; a network that holds one falls into pieces, int8 slower than fp32.
    """
    steps: list[Step] = []
    for step in program_of(spec):
        if isinstance(step, Act) and step.kind == "hswish":
            gate = f"{step.name}.gate"
            steps.append(Act(gate, step.reads, step.channels, step.resolution, "gate"))
            steps.append(Scale(step.name, (*step.reads, gate), step.channels, step.resolution))
        else:
            steps.append(step)
    return tuple(steps)


def fused_activations(steps: Sequence[Step]) -> dict[str, Act]:
    """The steps whose kernel computes the activation that follows as well, each with it."""
    kernels = {step.name for step in steps if isinstance(step, Weighted | Add)}
    return {name: act for name, act in activations_of(steps).items() if name in kernels}


@dataclass(frozen=True)
class Value:
    """One value of a network that has a range.

    name: such as `block3.conv.relu`. activation: the one that it went through last, in the kernel that writes it.
    like: the value whose range it has; its own name where that is to be calibrated, nothing for a gate.
    """

    name: str
    activation: str
    like: str


def values_of(blocks: Sequence[BlockSpec]) -> Iterator[Value]:
    """Every value of a chain of blocks, in the order of computation, the network's input first.

    A block's `input` is the value that the block before it gives. A kernel that computes an activation as well writes one
    value, with two names.
    """
    last = IMAGE
    yield Value(IMAGE, "", IMAGE)
    for index, spec in enumerate(blocks):
        block, steps = f"block{index}", quantised_steps(spec)
        yield Value(f"{block}.{INPUT}", "", last)
        fused = fused_activations(steps)
        for step in steps:
            act = step if isinstance(step, Act) else fused.get(step.name)
            last = f"{block}.{step.name}"
            if act is not None:
                yield Value(last, act.kind, "" if act.kind == "gate" else f"{block}.{act.name}")
            elif isinstance(step, MaxPool | Flatten):  # what they write are steps of what they read
                yield Value(last, "", f"{block}.{step.reads[0]}")
            else:
                yield Value(last, "", last)


def calibrated(blocks: Sequence[BlockSpec]) -> list[Value]:
    """Those of `values_of` that have a range of their own, by which their networks are calibrated."""
    return [value for value in values_of(blocks) if value.like == value.name]


def sources(blocks: Sequence[BlockSpec]) -> dict[str, str]:
    """Of every value of a chain of blocks, by name: the calibrated one whose range it has; nothing for a gate."""
    found: dict[str, str] = {}
    for value in values_of(blocks):
        found[value.name] = found.get(value.like, value.like)
    return found


def all_ranges(blocks: Sequence[BlockSpec], own: Mapping[str, Range]) -> dict[str, Range]:
    """The ranges of all values by name, from those of `calibrated` values. Raises KeyError naming one that is not there.

    Values that are next to nothing beside what they are added to get wider ones, which kernels can add.
    """
    source_of = sources(blocks)
    ranges = {"": GATE} | {name: own[name] for name in source_of.values() if name}
    for index, spec in reversed(list(enumerate(blocks))):
        for step in (step for step in reversed(quantised_steps(spec)) if isinstance(step, Add)):
            least = _LEAST_RATIO * float(ranges[source_of[f"block{index}.{step.name}"]].scale)
            for source in (source_of[f"block{index}.{name}"] for name in step.reads):
                ranges[source] = ranges[source].with_steps_of(least)
    return {name: ranges[source] for name, source in source_of.items()}


def nominal_ranges(blocks: Sequence[BlockSpec]) -> dict[str, Range]:
    """For networks whose speed alone is of interest."""
    rectified = ("relu", "relu6")
    return {value.name: NOMINAL_RECTIFIED if value.activation in rectified else NOMINAL for value in calibrated(blocks)}
