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
    Linear,
    MaxPool,
    MeanPool,
    Scale,
    Step,
    Weighted,
)

Weights = Mapping[str, Tensor]
OnValue = Callable[[str, Tensor], Tensor]
"""Is given the name of every value that a kernel writes, and it; returns what is computed with from there on."""


def compute(blocks: Sequence[BlockSpec], weights: Sequence[Weights], images: Tensor, on_value: OnValue) -> Tensor:
    """`(n, channels, r, r)` -> `(n, classes)` or `(n, channels, r, r)`.

    weights: one of each per block, as `graph.weight_shapes` names them. Gradients flow through.
    """
    x = on_value(IMAGE, images)
    for index, (spec, arrays) in enumerate(zip(blocks, weights, strict=True)):
        steps, values = quantised_steps(spec), {INPUT: x}
        fused = fused_activations(steps)
        for step in steps:
            value = _computed(step, [values[name] for name in step.reads], arrays)
            # The kernel that computes the activation as well writes its value alone.
            values[step.name] = value if step.name in fused else on_value(f"block{index}.{step.name}", value)
        x = values[steps[-1].name]
    return x


def simulate(
    quantisation: Quantisation, weights: Sequence[Mapping[str, np.ndarray]]
) -> Callable[[Tensor], Tensor]:
    """The int8 network as a function of float32 images, equal to what its files compute but for kernels' own rounding.

    weights: one of each per block, in floats, batch norm folded.
    """
    reals = real_weights(quantisation, weights)

    def on_value(name: str, value: Tensor) -> Tensor:
        return fake_quantise(value, quantisation.ranges[name])

    @torch.no_grad()
    def compute_integers(images: Tensor) -> Tensor:
        return compute(quantisation.blocks, reals, images, on_value)

    return compute_integers


def real_weights(quantisation: Quantisation, weights: Sequence[Mapping[str, np.ndarray]]) -> list[dict[str, Tensor]]:
    """What the integers of a network's weights stand for."""
    reals = []
    for index, (spec, arrays) in enumerate(zip(quantisation.blocks, weights, strict=True)):
        steps = quantised_steps(spec)
        fused = fused_activations(steps)
        real: dict[str, Tensor] = {}
        for step in steps:
            if isinstance(step, Weighted):
                kind = fused[step.name].kind if step.name in fused else ""
                found = quantisation.parameters(f"block{index}", step, arrays, kind)
                real[f"{step.name}.weight"] = torch.from_numpy(found.real_weight)
                if found.real_bias is not None:
                    bias = found.real_bias - (GATE_SHIFT if kind == "gate" else 0)
                    real[f"{step.name}.bias"] = torch.from_numpy(bias.astype(np.float32))
        reals.append(real)
    return reals


def fake_quantise(x: Tensor, limits: Range) -> Tensor:
    """The nearest of 256 steps; of two equally near ones the even one, as kernels round."""
    scale = float(limits.scale)
    steps = (x / scale).round_().add_(limits.zero_point).clamp_(0, STEPS)
    return steps.sub_(limits.zero_point).mul_(scale)


def _computed(step: Step, reads: list[Tensor], weights: Weights) -> Tensor:
    x = reads[0]
    match step:
        case Conv():
            groups = step.channels if step.depthwise else 1
            x, padding = _padded(x, step.pads)
            weight, bias = weights[f"{step.name}.weight"], weights.get(f"{step.name}.bias")
            return F.conv2d(x, weight, bias, step.stride, padding, groups=groups)
        case Linear():
            return F.linear(x, weights[f"{step.name}.weight"], weights.get(f"{step.name}.bias"))
        case Act():
            return _activation(x, step.kind)
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


def _activation(x: Tensor, kind: str) -> Tensor:
    if kind == "gate":
        return F.relu6(x + GATE_SHIFT) / GATE_LIMIT
    return {"relu": F.relu, "relu6": F.relu6}[kind](x)


def _padded(x: Tensor, pads: tuple[int, int]) -> tuple[Tensor, int]:
    """The image where its two sides differ in padding, and the padding left for torch, which is the same on all sides."""
    before, after = pads
    return (x, before) if before == after else (F.pad(x, [before, after] * 2), 0)
