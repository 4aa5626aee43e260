"""Multiply-accumulates, parameters and peak activation memory, each a function of BlockSpecs. Batch size 1."""

from __future__ import annotations

import math
from collections.abc import Iterable

from edgenas.space import BlockSpec, program_of, weighted
from edgenas.space.program import INPUT, Act, Flatten, Step, Weighted


def block_macs(spec: BlockSpec) -> int:
    """Multiply-accumulates of the convolutions and linear layers.

    Like the published Once-for-All figures; activations, pooling, batch norm (folded) and SE's scaling count nothing.
    """
    return sum(map(_macs, weighted(spec)))


def block_depthwise_macs(spec: BlockSpec) -> int:
    """Those of the depthwise convolutions, which take longer each."""
    return sum(_macs(step) for step in weighted(spec) if step.depthwise)


def _macs(step: Weighted) -> int:
    return step.resolution**2 * math.prod(step.shape)


def block_parameters(spec: BlockSpec) -> int:
    """Learned parameters, two per batch-norm channel among them."""
    return sum(math.prod(step.shape) + (2 * step.norm + step.bias) * step.channels for step in weighted(spec))


def block_peak_memory_bytes(spec: BlockSpec, bytes_per_value: int = 4) -> int:
    """Most activation bytes alive at once inside the block, executed operator by operator, each with its own output.

    A value stays alive until the last operator that reads it. Activations work in place. The convention of MCUNet
    (arXiv:2007.10319) without its in-place depthwise.
    """
    return bytes_per_value * max(_alive(spec))


def _alive(spec: BlockSpec) -> list[int]:
    """How many numbers are alive in each operator of a block."""
    steps = program_of(spec)
    place = {INPUT: INPUT}  # of each value: the value in whose memory it is
    for step in steps:
        place[step.name] = place[step.reads[0]] if isinstance(step, Act | Flatten) else step.name
    last_read = {place[name]: i for i, step in enumerate(steps) for name in step.reads}
    sizes = {INPUT: spec.in_channels * spec.resolution**2}
    alive = []
    for i, step in enumerate(steps):
        if place[step.name] == step.name:
            sizes[step.name] = _size(step)
            alive.append(sum(size for name, size in sizes.items() if last_read.get(name, i) >= i))
    return alive


def _size(step: Step) -> int:
    return step.channels * step.resolution**2


def macs(blocks: Iterable[BlockSpec]) -> int:
    return sum(map(block_macs, blocks))


def parameters(blocks: Iterable[BlockSpec]) -> int:
    return sum(map(block_parameters, blocks))


def peak_memory_bytes(blocks: Iterable[BlockSpec]) -> int:
    return max(map(block_peak_memory_bytes, blocks))
