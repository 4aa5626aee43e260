"""Multiply-accumulates, parameters and peak activation memory, each a function of BlockSpecs. Batch size 1."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise

from edgenas.space import BlockSpec, layers


def block_macs(spec: BlockSpec) -> int:
    """Multiply-accumulates of the convolutions and linear layers.

    Like the published Once-for-All figures; activations, pooling, batch norm (folded) and SE's scaling count nothing.
    """
    return sum(layer.resolution**2 * math.prod(layer.shape) for layer in layers(spec))


def block_depthwise_macs(spec: BlockSpec) -> int:
    """Those of the depthwise convolutions, which take longer each."""
    return sum(layer.resolution**2 * math.prod(layer.shape) for layer in layers(spec) if layer.depthwise)


def block_parameters(spec: BlockSpec) -> int:
    """Learned parameters, two per batch-norm channel among them."""
    return sum(math.prod(layer.shape) + (2 * layer.norm + layer.bias) * layer.out_channels for layer in layers(spec))


def block_peak_memory_bytes(spec: BlockSpec, bytes_per_value: int = 4) -> int:
    """Most activation bytes alive at once inside the block, executed operator by operator, each with its own output.

    The input of a residual block stays alive until the addition. The convention of MCUNet (arXiv:2007.10319) without
    its in-place depthwise.
    """
    return bytes_per_value * max(_MEMORY_STEPS.get(spec.op, _memory_steps)(spec))


def _memory_steps(spec: BlockSpec) -> list[int]:
    """Values alive in each operator of a block that is one chain, and its residual addition."""
    inputs, outputs = spec.in_channels * spec.resolution**2, spec.out_channels * spec.out_resolution**2
    kept = inputs if spec.residual else 0
    chain = [layer for layer in layers(spec) if not layer.name.startswith("se.")]
    sizes = [inputs, *(layer.out_channels * layer.resolution**2 for layer in chain)] if chain else [inputs, outputs]
    # The first operator reads the input itself: kept or not, that counts once.
    steps = [before + after + (kept if i else 0) for i, (before, after) in enumerate(pairwise(sizes))]
    if spec.se:  # the scaling: what it reads, the gates, what it writes
        steps.append(kept + 2 * sizes[-2] + spec.mid_channels)
    return [*steps, kept + 2 * outputs] if spec.residual else steps


def _bottleneck_steps(spec: BlockSpec) -> list[int]:
    inputs, outputs = spec.in_channels * spec.resolution**2, spec.out_channels * spec.out_resolution**2
    wide, narrow = spec.mid_channels * spec.resolution**2, spec.mid_channels * spec.out_resolution**2
    steps = [inputs + wide, inputs + wide + narrow, inputs + narrow + outputs]
    if spec.residual:
        return [*steps, inputs + 2 * outputs]
    pooled = spec.in_channels * spec.out_resolution**2
    pooling = [inputs + outputs + pooled] if spec.stride > 1 else []
    return [*steps, *pooling, pooled + 2 * outputs, 3 * outputs]


def _head_steps(spec: BlockSpec) -> list[int]:
    widths = [spec.in_channels, *([spec.mid_channels] if spec.mid_channels else []), spec.out_channels]
    return [spec.in_channels * (spec.resolution**2 + 1), *(a + b for a, b in pairwise(widths))]


_MEMORY_STEPS = {"bottleneck": _bottleneck_steps, "head": _head_steps}


def macs(blocks: Iterable[BlockSpec]) -> int:
    return sum(map(block_macs, blocks))


def parameters(blocks: Iterable[BlockSpec]) -> int:
    return sum(map(block_parameters, blocks))


def peak_memory_bytes(blocks: Iterable[BlockSpec]) -> int:
    return max(map(block_peak_memory_bytes, blocks))
