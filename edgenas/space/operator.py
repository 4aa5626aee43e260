"""`Operator`: all that EdgeNAS has to know of a kind of block, in one place. `OPERATORS` has all of them, by name.

To add one, write its program and its torch module, and register both:

    def shuffle(p: Program, spec: BlockSpec) -> None: ...
    register_operator(Operator("shuffle", shuffle, "my_package.modules:Shuffle", residual=True))

Spaces can then use it by its name, and costs, training and files of all formats follow.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from edgenas.space.program import Flatten, Linear, Program, Step, Weighted

if TYPE_CHECKING:
    from edgenas.space.block import BlockSpec


@dataclass(frozen=True)
class Operator:
    """A kind of block, and what of a `BlockSpec` and of a space's description has a meaning for it.

    program: writes the block's steps down.
    module: of a spec, the torch module, whose layers have the names of the program's steps, batch norms those with `_norm`
        behind it. Where it has a true `residual`, `project_norm` is its last, whose scale begins as nothing. Given as
        `package.module:Class`, it is imported when a network is built and not before.
    expands: what an expand ratio multiplies to give `mid_channels`: the `input` channels, the `output` channels, or nothing.
    residual: a stage adds the input where the shape allows it. rectifies: what it writes is never negative where its
        activation is a ReLU. keeps_channels: it writes as many channels as it reads.
    unpadded: it can do without padding. start: it has a start depthwise. optional_kernel: it can do without its kernel.
    se: it has squeeze-and-excitation. classifies: it is the end of a network, with `(n, out_channels)` scores.
    """

    name: str
    program: Callable[[Program, BlockSpec], object]
    module: str | Callable[[BlockSpec], Any]
    expands: str = ""
    residual: bool = False
    rectifies: bool = False
    keeps_channels: bool = False
    unpadded: bool = False
    start: bool = False
    optional_kernel: bool = False
    se: bool = False
    classifies: bool = False

    def build_module(self, spec: BlockSpec) -> Any:
        """The torch module of a spec."""
        module = resolve_name(self.module) if isinstance(self.module, str) else self.module
        return module(spec)


OPERATORS: dict[str, Operator] = {}
"""All operators, by name."""


def register_operator(operator: Operator) -> Operator:
    """Make an operator known to `OPERATORS`. Raises ValueError where its name is taken or cannot be part of a key."""
    if operator.name in OPERATORS:
        raise ValueError(f"there is an operator {operator.name!r} already")
    if not re.fullmatch("[a-z]+", operator.name):
        raise ValueError(f"the name of an operator is of small letters a to z, not {operator.name!r}")
    OPERATORS[operator.name] = operator
    return operator


@cache
def program_of(spec: BlockSpec) -> tuple[Step, ...]:
    """The steps of a block, in the order of computation. The last one's value is what the block gives."""
    written = Program(spec.in_channels, spec.resolution)
    OPERATORS[spec.op].program(written, spec)
    last = written.steps[-1]
    if (last.channels, last.resolution) != (spec.out_channels, spec.out_resolution):
        raise ValueError(
            f"the program of {spec.op} gives {last.channels} channels at {last.resolution} pixels, "
            f"where the block has {spec.out_channels} at {spec.out_resolution}: {spec}"
        )
    return tuple(written.steps)


def weighted(spec: BlockSpec) -> tuple[Weighted, ...]:
    """The steps of a block that have weights."""
    return tuple(step for step in program_of(spec) if isinstance(step, Weighted))


def is_flat(spec: BlockSpec) -> bool:
    """Whether a block gives `(n, channels)` values, without height and width."""
    return isinstance(program_of(spec)[-1], Linear | Flatten)
