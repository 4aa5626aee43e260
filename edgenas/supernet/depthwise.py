"""Depthwise convolution that trains fast on a CPU.

oneDNN, which computes torch's convolutions there, has a fast weight gradient for kernels of up to 3 columns only: for 5x5
and 7x7 it falls back to one that takes most of a training step (measured in torch 2.13 on AVX-512: 3 to 7 times as long),
and in bfloat16 to one slower still. A kernel's columns are independent of each other, so we ask for 3 at a time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FAST_COLUMNS = 3


class DepthwiseConv2d(nn.Conv2d):
    """A stock depthwise `nn.Conv2d`, square in kernel, stride and padding. Only its gradients on a CPU are computed otherwise.

    There it runs in float32 under autocast too, and gives back the dtype that it gets.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or not torch.is_grad_enabled():
            return super().forward(x)
        return depthwise_conv2d(x, self.weight, self.stride[0], int(self.padding[0]))


def depthwise_conv2d(x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """`F.conv2d` of each channel alone, as `DepthwiseConv2d` computes it."""
    if x.device.type != "cpu":
        return F.conv2d(x, weight, None, stride, padding, groups=len(weight))
    with torch.autocast("cpu", enabled=False):
        value: Tensor = _Depthwise.apply(x.float(), weight, stride, padding)
        return value.to(x.dtype)


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(x, weight, None, stride, padding, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        needs_x, needs_weight = ctx.needs_input_grad[:2]
        whole = needs_weight and weight.shape[-1] <= FAST_COLUMNS
        grad_x, grad_weight = _gradients(grad, x, weight, ctx.stride, ctx.padding, (needs_x, whole))
        if needs_weight and not whole:
            grad_weight = _weight_gradient_by_columns(grad, x, weight, ctx.stride, ctx.padding)
        return grad_x, grad_weight, None, None


def _gradients(grad: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int, which: tuple[bool, bool]) -> tuple[Any, Any]:
    """Of the input and of the weight, a Tensor each, by oneDNN; None where `which` does not ask for it."""
    sizes = ([stride] * 2, [padding] * 2, [1, 1], False, [0, 0], len(weight))
    return torch.ops.aten.convolution_backward(grad, x, weight, None, *sizes, [*which, False])[:2]


def _weight_gradient_by_columns(grad: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """`(c, 1, k, k)` from the output's gradient `(n, c, h', w')` and the input `(n, c, h, w)`, a few columns of k at a time."""
    kernel, (height, width), (out_height, out_width) = weight.shape[-1], x.shape[2:], grad.shape[2:]
    below = stride * (out_height - 1) + kernel - height - padding
    parts = []
    for first in range(0, kernel, FAST_COLUMNS):
        columns = weight[..., first : first + FAST_COLUMNS]
        # The part of the padded input that these columns meet; negative padding crops.
        left = max(padding - first, -width)
        right = stride * (out_width - 1) + columns.shape[-1] - width - left
        parts.append(_gradients(grad, F.pad(x, (left, right, padding, below)), columns, stride, 0, (False, True))[1])
    return torch.cat(parts, dim=3)
