"""Multiply-accumulates, parameters, peak activation memory and the size of files: functions of BlockSpecs, for one image."""

from __future__ import annotations

import math
from collections.abc import Iterable

from edgenas.cost.files import block_file_bytes, file_bytes
from edgenas.cost.memory import arena_bytes, block_peak_memory_bytes, peak_memory_bytes
from edgenas.space import BlockSpec, weighted
from edgenas.space.program import Weighted

__all__ = [
    "arena_bytes",
    "block_depthwise_macs",
    "block_file_bytes",
    "block_macs",
    "block_parameters",
    "block_peak_memory_bytes",
    "file_bytes",
    "macs",
    "parameters",
    "peak_memory_bytes",
]


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


def macs(blocks: Iterable[BlockSpec]) -> int:
    return sum(map(block_macs, blocks))


def parameters(blocks: Iterable[BlockSpec]) -> int:
    return sum(map(block_parameters, blocks))
