"""Multiply-accumulates, parameters and peak activation memory, each a function of BlockSpecs. Batch size 1."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from edgenas.space import BlockSpec


def block_macs(spec: BlockSpec) -> int:
    """Multiply-accumulates of the convolutions and linear layers.

    Like the published Once-for-All figures; activations, pooling, batch norm (folded) and SE's scaling count nothing.
    """
    out_pixels = spec.out_resolution**2
    if spec.op == "conv":
        return out_pixels * spec.in_channels * spec.out_channels * spec.kernel**2
    if spec.op == "head":
        return _head_weights(spec)
    expand = spec.resolution**2 * spec.in_channels * spec.mid_channels if spec.expands else 0
    depthwise = out_pixels * spec.mid_channels * spec.kernel**2
    excite = 2 * spec.mid_channels * spec.se_channels if spec.se else 0
    return expand + depthwise + excite + out_pixels * spec.mid_channels * spec.out_channels


def block_parameters(spec: BlockSpec) -> int:
    """Learned parameters, two per batch-norm channel among them."""
    if spec.op == "conv":
        return spec.in_channels * spec.out_channels * spec.kernel**2 + 2 * spec.out_channels
    if spec.op == "head":
        return _head_weights(spec) + spec.out_channels
    mid = spec.mid_channels
    expand = spec.in_channels * mid + 2 * mid if spec.expands else 0
    excite = 2 * mid * spec.se_channels + mid + spec.se_channels if spec.se else 0
    return expand + mid * spec.kernel**2 + 2 * mid + excite + mid * spec.out_channels + 2 * spec.out_channels


def block_peak_memory_bytes(spec: BlockSpec, bytes_per_value: int = 4) -> int:
    """Most activation bytes alive at once inside the block, executed operator by operator, each with its own output.

    The input of a residual block stays alive until the addition. The convention of MCUNet (arXiv:2007.10319) without
    its in-place depthwise.
    """
    inputs = spec.in_channels * spec.resolution**2
    outputs = spec.out_channels * spec.out_resolution**2
    if spec.op == "conv":
        return bytes_per_value * (inputs + outputs)
    if spec.op == "head":
        widths = [spec.in_channels, *([spec.mid_channels] if spec.mid_channels else []), spec.out_channels]
        return bytes_per_value * max(inputs + spec.in_channels, *(a + b for a, b in pairwise(widths)))
    kept = inputs if spec.residual else 0
    wide = spec.mid_channels * spec.resolution**2 if spec.expands else inputs
    deep = spec.mid_channels * spec.out_resolution**2
    steps = [kept + deep + (wide if spec.expands or not spec.residual else 0), kept + deep + outputs]
    if spec.expands:
        steps.append(inputs + wide)
    if spec.se:
        steps.append(kept + 2 * deep + spec.mid_channels)
    if spec.residual:
        steps.append(kept + 2 * outputs)
    return bytes_per_value * max(steps)


def macs(blocks: Iterable[BlockSpec]) -> int:
    return sum(map(block_macs, blocks))


def parameters(blocks: Iterable[BlockSpec]) -> int:
    return sum(map(block_parameters, blocks))


def peak_memory_bytes(blocks: Iterable[BlockSpec]) -> int:
    return max(map(block_peak_memory_bytes, blocks))


def _head_weights(spec: BlockSpec) -> int:
    if spec.mid_channels:
        return spec.mid_channels * (spec.in_channels + spec.out_channels)
    return spec.in_channels * spec.out_channels
