"""What a chain of blocks computes, step by step, in torch: in floats, or as int8 kernels compute it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import edgenas.torch_setup  # noqa: F401
from edgenas.quantisation.ranges import GATE_LIMIT, GATE_SHIFT, IMAGE, STEPS, Range, fused_activations, quantised_steps
from edgenas.quantisation.scheme import Quantisation
from edgenas.space import BlockSpec
from edgenas.space.program import (
    INPUT,
    Act,
    Add,
    Conv,
    Flatten,
    GlobalMean,
    MaxPool,
    MeanPool,
    Scale,
    Step,
    Weighted,
)

Weights = Mapping[str, Tensor]
OnValue = Callable[[str, Tensor], Tensor]
"""Is given the name of every value that a kernel writes, and it; returns what is computed with from there on."""
Multiply = Callable[[str, Weighted, str, Tensor], Tensor]
"""Is given the name of a block, a step of it that has weights, the activation that its kernel computes as well, and what the
kernel reads; returns what it writes."""


def compute(blocks: Sequence[BlockSpec], multiply: Multiply, images: Tensor, on_value: OnValue) -> Tensor:
    """`(n, channels, r, r)` -> `(n, classes)` or `(n, channels, r, r)`."""
    x = on_value(IMAGE, images)
    for index, spec in enumerate(blocks):
        block, steps, values = f"block{index}", quantised_steps(spec), {INPUT: x}
        fused = fused_activations(steps)
        for step in steps:
            reads = [values[name] for name in step.reads]
            activation = fused[step.name].kind if step.name in fused else ""
            if isinstance(step, Weighted):
                value = multiply(block, step, activation, reads[0])
            elif step in fused.values():  # the kernel before it has computed it
                value = reads[0]
            else:
                value = _activated(_computed(step, reads), activation)
            values[step.name] = value if activation else on_value(f"{block}.{step.name}", value)
        x = values[steps[-1].name]
    return x


def in_floats(weights: Sequence[Weights]) -> Multiply:
    """weights: one of each per block, batch norm folded, as `graph.weight_shapes` names them. Gradients flow through."""

    def multiply(block: str, step: Weighted, activation: str, x: Tensor) -> Tensor:
        arrays = weights[int(block.removeprefix("block"))]
        value = _product(step, x, arrays[f"{step.name}.weight"], arrays.get(f"{step.name}.bias"))
        return _activated(value, activation)

    return multiply


def simulate(quantisation: Quantisation, weights: Sequence[Mapping[str, np.ndarray]]) -> Callable[[Tensor], Tensor]:
    """The int8 network as a function of float32 images: what its files compute, but for rounding of kernels' own.

    weights: one of each per block, in floats, batch norm folded.

    Convolutions and matrix products are those of ONNX Runtime and of XNNPACK, bit by bit. A value that is off by one step in
    ten thousand elsewhere, as in sums, changes the next layers' rounding, and these that of the next: so whole networks differ
    by a few steps.
    """
    kernels = _kernels(quantisation, weights)

    def multiply(block: str, step: Weighted, activation: str, x: Tensor) -> Tensor:
        return kernels[block, step.name](x)

    def on_value(name: str, value: Tensor) -> Tensor:
        return fake_quantise(value, quantisation.ranges[name])

    @torch.no_grad()
    def compute_integers(images: Tensor) -> Tensor:
        return compute(quantisation.blocks, multiply, images, on_value)

    return compute_integers


def _kernels(
    quantisation: Quantisation, weights: Sequence[Mapping[str, np.ndarray]]
) -> dict[tuple[str, str], Callable[[Tensor], Tensor]]:
    """By block and step."""
    kernels = {}
    for index, (spec, arrays) in enumerate(zip(quantisation.blocks, weights, strict=True)):
        block, steps = f"block{index}", quantised_steps(spec)
        fused = fused_activations(steps)
        for step in steps:
            if isinstance(step, Weighted):
                activation = fused[step.name].kind if step.name in fused else ""
                kernels[block, step.name] = _kernel(quantisation, block, step, arrays, activation)
    return kernels


def _kernel(
    quantisation: Quantisation, block: str, step: Weighted, weights: Mapping[str, np.ndarray], activation: str
) -> Callable[[Tensor], Tensor]:
    """Products of integers, and their sums, in floats, which are exact up to 2**24; then one multiplication of floats.

    Where a sum leaves the range it stays at its end: that is the ReLU.
    """
    found = quantisation.parameters(block, step, weights, activation)
    ranges, factor = quantisation.ranges, GATE_LIMIT if activation == "gate" else 1
    reads, writes = ranges[f"{block}.{step.reads[0]}"], ranges[f"{block}.{step.name}"]
    scale, zero = float(writes.scale), writes.zero_point
    weight = torch.from_numpy(found.weight.astype(np.float32))
    bias = None if found.bias is None else torch.from_numpy(found.bias.astype(np.float32))
    multiplier = torch.from_numpy(found.bias_scale / (writes.scale * np.float32(factor)))
    if isinstance(step, Conv):
        multiplier = multiplier.view(-1, 1, 1)

    def kernel(x: Tensor) -> Tensor:
        sums = _product(step, (x / float(reads.scale)).round_(), weight, bias)
        return sums.mul_(multiplier).round_().add_(zero).clamp_(0, STEPS).sub_(zero).mul_(scale)

    return kernel


def fake_quantise(x: Tensor, limits: Range) -> Tensor:
    """The nearest of 256 steps; of two equally near ones the even one, as kernels round."""
    scale = float(limits.scale)
    steps = (x / scale).round_().add_(limits.zero_point).clamp_(0, STEPS)
    return steps.sub_(limits.zero_point).mul_(scale)


def _product(step: Weighted, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if not isinstance(step, Conv):
        return F.linear(x, weight, bias)
    x, padding = _padded(x, step.pads)
    return F.conv2d(x, weight, bias, step.stride, padding, groups=step.channels if step.depthwise else 1)


def _computed(step: Step, reads: list[Tensor]) -> Tensor:
    x = reads[0]
    match step:
        case Act():
            return _activated(x, step.kind)
        case MaxPool():
            x, padding = _padded(x, step.pads)
            return F.max_pool2d(x if not padding else F.pad(x, [padding] * 4), step.kernel, step.stride)
        case MeanPool():
            return F.avg_pool2d(x, step.stride, ceil_mode=True)
        case GlobalMean():
            return x.mean((2, 3), keepdim=True)
        case Flatten():
            return x.flatten(1)
        case Add():
            return x + reads[1]
        case Scale():
            return x * reads[1]
    raise TypeError(f"no int8 kernel computes {step}")


def _activated(x: Tensor, kind: str) -> Tensor:
    if kind == "gate":
        return F.relu6(x + GATE_SHIFT) / GATE_LIMIT
    return {"": lambda x: x, "relu": F.relu, "relu6": F.relu6}[kind](x)


def _padded(x: Tensor, pads: tuple[int, int]) -> tuple[Tensor, int]:
    """The image where its two sides differ in padding, and the padding left for torch, which is the same on all sides."""
    before, after = pads
    return (x, before) if before == after else (F.pad(x, [before, after] * 2), 0)
