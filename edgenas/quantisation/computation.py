"""What a chain of blocks computes, step by step, in torch: in floats, or as int8 kernels compute it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

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
Depthwise = Callable[[Tensor, Tensor, int, int], Tensor]
"""Is given `(n, c, r, r)`, the `(c, 1, k, k)` weights, a stride and a padding."""
Multiply = Callable[[str, Weighted, str, Tensor], Tensor]
"""Is given the name of a block, a step of it that has weights, the activation that its kernel computes as well, and what the
kernel reads; returns what it writes."""


def depthwise_conv2d(x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    return F.conv2d(x, weight, None, stride, padding, groups=len(weight))


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


class Steps(NamedTuple):
    """Of a value. scale: of one step; zero: which of 0..255 stands for zero. Both are `()` tensors."""

    scale: Tensor
    zero: Tensor

    @classmethod
    def of(cls, limits: Range) -> Steps:
        return cls(torch.tensor(float(limits.scale)), torch.tensor(float(limits.zero_point)))


def simulate(quantisation: Quantisation, weights: Sequence[Mapping[str, np.ndarray]]) -> Callable[[Tensor], Tensor]:
    """The int8 network as a function of float32 images: what its files compute, but for rounding of kernels' own.

    weights: one of each per block, in floats, batch norm folded.

    Convolutions and matrix products are those of ONNX Runtime and of XNNPACK, bit by bit. A value that is off by one step in
    ten thousand elsewhere, as in sums, changes the next layers' rounding, and these that of the next: so whole networks differ
    by a few steps.
    """
    steps = {name: Steps.of(limits) for name, limits in quantisation.ranges.items()}
    tensors = [{name: torch.from_numpy(array) for name, array in arrays.items()} for arrays in weights]
    compute_integers = in_integers(quantisation, tensors, steps)
    return torch.no_grad()(compute_integers)


def in_integers(
    quantisation: Quantisation, weights: Sequence[Weights], steps: Mapping[str, Steps], depthwise: Depthwise = depthwise_conv2d
) -> Callable[[Tensor], Tensor]:
    """As `simulate`, from tensors. Gradients reach the weights and the steps as if nothing were rounded, and not what lies
    outside a range (straight through, arXiv:1308.3432; of a scale that is learned, arXiv:1902.08153).

    steps: of all values by name, with the numbers of the quantisation's ranges. depthwise: computes convolutions of each
    channel alone.
    """
    kernels = _kernels(quantisation, weights, steps, depthwise)

    def multiply(block: str, step: Weighted, activation: str, x: Tensor) -> Tensor:
        return kernels[block, step.name](x)

    def on_value(name: str, value: Tensor) -> Tensor:
        return fake_quantise(value, steps[name])

    return lambda images: compute(quantisation.blocks, multiply, images, on_value)


def _kernels(
    quantisation: Quantisation, weights: Sequence[Weights], steps: Mapping[str, Steps], depthwise: Depthwise
) -> dict[tuple[str, str], Callable[[Tensor], Tensor]]:
    """By block and step."""
    kernels = {}
    for index, (spec, tensors) in enumerate(zip(quantisation.blocks, weights, strict=True)):
        block, program = f"block{index}", quantised_steps(spec)
        fused = fused_activations(program)
        for step in program:
            if isinstance(step, Weighted):
                activation = fused[step.name].kind if step.name in fused else ""
                ends = steps[f"{block}.{step.reads[0]}"], steps[f"{block}.{step.name}"]
                kernels[block, step.name] = _kernel(quantisation, block, step, tensors, activation, *ends, depthwise)
    return kernels


def _kernel(
    quantisation: Quantisation,
    block: str,
    step: Weighted,
    weights: Weights,
    activation: str,
    reads: Steps,
    writes: Steps,
    depthwise: Depthwise,
) -> Callable[[Tensor], Tensor]:
    """Products of integers, and their sums, in floats, which are exact up to 2**24; then one multiplication of floats.

    Where a sum leaves the range it stays at its end: that is the ReLU. The scale of what is read has no gradient here: whatever
    it is, the sums stand for the same number.
    """
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in weights.items() if name.startswith(f"{step.name}.")}
    found = quantisation.parameters(block, step, arrays, activation)
    weight, bias = weights[f"{step.name}.weight"], weights.get(f"{step.name}.bias")
    scale, bias_scale = (torch.from_numpy(array).to(weight.device) for array in (found.scale, found.bias_scale))
    weight = straight(weight / scale.view(-1, *[1] * (weight.ndim - 1)), torch.from_numpy(found.weight).to(weight.device))
    if found.bias is not None:
        exact = found.bias if bias is None else bias / bias_scale
        bias = straight(torch.as_tensor(exact, device=weight.device), torch.from_numpy(found.bias).to(weight.device))
    multiplier = bias_scale / (writes.scale.detach() * (GATE_LIMIT if activation == "gate" else 1))
    if isinstance(step, Conv):
        multiplier = multiplier.view(-1, 1, 1)

    def kernel(x: Tensor) -> Tensor:
        return _InSteps.of(_product(step, _Integers.of(x, reads.scale), weight, bias, depthwise), multiplier, writes)

    return kernel


def fake_quantise(x: Tensor, steps: Steps) -> Tensor:
    """The nearest of 256 steps; of two equally near ones the even one, as kernels round."""
    return _InSteps.of(x, None, steps)


def straight(exact: Tensor, rounded: Tensor) -> Tensor:
    """Of two tensors the second, with the gradient of the first."""
    value: Tensor = _Straight.apply(exact, rounded)
    return value


class _Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, exact: Tensor, rounded: Tensor) -> Tensor:
        return rounded.to(exact)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None


class _Integers(torch.autograd.Function):
    """Of a value that is in steps: which multiples of its scale."""

    @staticmethod
    def of(x: Tensor, scale: Tensor) -> Tensor:
        value: Tensor = _Integers.apply(x, scale.detach())
        return value

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor) -> Tensor:
        ctx.save_for_backward(scale)
        return (x / scale).round_()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (scale,) = ctx.saved_tensors
        return grad / scale, None


class _InSteps(torch.autograd.Function):
    """Numbers as the nearest steps, what lies outside as the last. One function, since training waits for memory here.

    multiplier: makes steps of numbers; None: they are divided by the scale.
    """

    @staticmethod
    def of(x: Tensor, multiplier: Tensor | None, steps: Steps) -> Tensor:
        value: Tensor = _InSteps.apply(x, multiplier, *steps)
        return value

    @staticmethod
    def forward(ctx: Any, x: Tensor, multiplier: Tensor | None, scale: Tensor, zero: Tensor) -> Tensor:
        exact = x / scale if multiplier is None else x * multiplier
        if not any(ctx.needs_input_grad):
            return exact.round_().add_(zero).clamp_(0, STEPS).sub_(zero).mul_(scale)
        unlimited = exact.round().add_(zero)
        steps = unlimited.clamp(0, STEPS).sub_(zero)
        # What a larger scale adds: the step where that is the last, elsewhere what rounding has added.
        ctx.save_for_backward(multiplier, scale, unlimited, steps - _within(exact, unlimited))
        return steps.mul_(scale)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, Tensor | None, Tensor | None]:
        multiplier, scale, unlimited, by_scale = ctx.saved_tensors
        inside = _within(grad, unlimited)
        of_scale = (by_scale * grad).sum() if ctx.needs_input_grad[2] else None
        of_zero = scale * (inside.sum() - grad.sum()) if ctx.needs_input_grad[3] else None
        return inside if multiplier is None else inside.mul_(scale * multiplier), None, of_scale, of_zero


def _within(x: Tensor, steps: Tensor) -> Tensor:
    """x, zero where the steps are none of the 256."""
    found: Tensor = torch.ops.aten.hardtanh_backward(x, steps, -0.5, STEPS + 0.5)
    return found


def _product(step: Weighted, x: Tensor, weight: Tensor, bias: Tensor | None, depthwise: Depthwise = depthwise_conv2d) -> Tensor:
    if not isinstance(step, Conv):
        return F.linear(x, weight, bias)
    x, padding = _padded(x, step.pads)
    if not step.depthwise:
        return F.conv2d(x, weight, bias, step.stride, padding)
    value = depthwise(x, weight, step.stride, padding)
    return value if bias is None else value.add_(bias.view(-1, 1, 1))


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
