"""Convolutions that train fast where torch's own do not.

On a CPU oneDNN, which computes torch's convolutions there, has a fast weight gradient for depthwise kernels of up to 3 columns
only: for 5x5 and 7x7 it falls back to one that takes most of a training step (measured in torch 2.13 on AVX-512: 3 to 7 times
as long), and in bfloat16 to one slower still. A kernel's columns are independent of each other, so we ask for 3 at a time.

On a GPU cuDNN looks for a way to compute every convolution of a shape that it has not met, and for its gradients. That took
40 ms each (torch 2.11, cuDNN 9, H200), and subnets have thousands of shapes: the first steps of a supernet around
EfficientNet-Lite0 took 4 to 13 s each, where known shapes take 0.1 s. So pointwise convolutions are matrix products there, and
depthwise ones are torch's own kernels, which need no search.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FAST_COLUMNS = 3


def conv2d(
    in_channels: int, out_channels: int, kernel: int, stride: int = 1, padding: int = 0, *, bias: bool = False
) -> nn.Conv2d:
    """A convolution across all channels, with weights as `nn.Conv2d` has them."""
    kind = PointwiseConv2d if (kernel, stride, padding) == (1, 1, 0) else nn.Conv2d
    return kind(in_channels, out_channels, kernel, stride, padding, bias=bias)


class PointwiseConv2d(nn.Conv2d):
    """A stock `nn.Conv2d` of 1 x 1 and stride 1."""

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type == "cpu":
            return super().forward(x)
        return F.linear(x.movedim(1, -1), self.weight.flatten(1), self.bias).movedim(-1, 1)


class DepthwiseConv2d(nn.Conv2d):
    """A stock depthwise `nn.Conv2d`, square in kernel, stride and padding.

    In training, and on a GPU, it runs in float32 under autocast too, and gives back the dtype that it gets.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type == "cpu" and not torch.is_grad_enabled():
            return super().forward(x)
        return depthwise_conv2d(x, self.weight, self.stride[0], int(self.padding[0]))


def depthwise_conv2d(x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """`F.conv2d` of each channel alone, as `DepthwiseConv2d` computes it."""
    with torch.autocast(x.device.type, enabled=False):
        value: Tensor = _Depthwise.apply(x.float(), weight, stride, padding)
        return value.to(x.dtype)


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        if x.device.type == "cpu":
            return F.conv2d(x, weight, None, stride, padding, groups=len(weight))
        with torch.backends.cudnn.flags(enabled=False):
            planes = F.conv2d(x.contiguous(), weight.contiguous(), None, stride, padding, groups=len(weight))
        return planes.contiguous(memory_format=torch.channels_last)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        needs_x, needs_weight = ctx.needs_input_grad[:2]
        if x.device.type != "cpu":
            with torch.backends.cudnn.flags(enabled=False):
                grad, x, weight = (tensor.contiguous() for tensor in (grad, x, weight))
                grad_x, grad_weight = _gradients(grad, x, weight, ctx.stride, ctx.padding, (needs_x, needs_weight))
            return grad_x.contiguous(memory_format=torch.channels_last) if needs_x else None, grad_weight, None, None
        whole = needs_weight and weight.shape[-1] <= FAST_COLUMNS
        grad_x, grad_weight = _gradients(grad, x, weight, ctx.stride, ctx.padding, (needs_x, whole))
        if needs_weight and not whole:
            grad_weight = _weight_gradient_by_columns(grad, x, weight, ctx.stride, ctx.padding)
        return grad_x, grad_weight, None, None


def _gradients(grad: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int, which: tuple[bool, bool]) -> tuple[Any, Any]:
    """Of the input and of the weight, a Tensor each; None where `which` does not ask for it."""
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
