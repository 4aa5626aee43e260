"""`ElasticBlock`: the weights of every size of a block, in one."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn
from torch.func import functional_call

from edgenas.space import BlockSpec
from edgenas.supernet.blocks import build_block


class ElasticBlock(nn.Module):
    """Holds the largest form of a block; every smaller form uses a part of it (Once-for-All, arXiv:1908.09791).

    Channels: the first ones, which `sort_channels` makes the most important ones. Kernels: the centre of the next
    larger kernel, transformed by a learned matrix that all channels share.

    largest: the spec with the largest kernel and expand ratio.
    kernels: the kernel sizes that the depthwise convolution can take.
    dropout, batch_norm_momentum: in training.
    """

    def __init__(self, largest: BlockSpec, kernels: tuple[int, ...], dropout: float = 0.0, batch_norm_momentum: float = 0.1):
        super().__init__()
        self.full = build_block(largest)
        self.largest = largest
        self.regularisation = (dropout, batch_norm_momentum)
        self.kernels = tuple(sorted(kernels, reverse=True))
        # From each kernel to the next smaller one. The identity at first: the plain centre crop.
        self.kernel_transforms = nn.ParameterDict(
            {f"to{small}": nn.Parameter(torch.eye(small * small)) for small in self.kernels[1:]}
        )

    def forward(self, x: Tensor, spec: BlockSpec) -> Tensor:
        """The block of this spec, computed by the very module that extraction would give."""
        module = _template(spec, *self.regularisation)
        module.train(self.training)
        return functional_call(module, self.tensors(spec), (x,), tie_weights=False)

    def tensors(self, spec: BlockSpec) -> dict[str, Tensor]:
        """Parameters and buffers of the block of this spec, as views of the shared ones wherever possible."""
        own = dict(self.full.named_parameters()) | dict(self.full.named_buffers())
        tensors = {}
        for name, shape in _shapes(spec).items():
            if name == "depthwise.weight":
                tensors[name] = self._depthwise(spec.mid_channels, spec.kernel)
            else:
                tensors[name] = own[name][tuple(slice(size) for size in shape)]
        return tensors

    def _depthwise(self, channels: int, kernel: int) -> Tensor:
        weight = self.full.depthwise.weight[:channels]
        for size in self.kernels:
            if size < weight.shape[-1] and weight.shape[-1] > kernel:
                margin = (weight.shape[-1] - size) // 2
                centre = weight[:, :, margin : margin + size, margin : margin + size]
                with torch.autocast(weight.device.type, enabled=False):  # it makes weights, whose precision is float32
                    weight = (centre.flatten(1) @ self.kernel_transforms[f"to{size}"].T).view(channels, 1, size, size)
        return weight

    @torch.no_grad()
    def sort_channels(self) -> None:
        """Move the most important expanded channels to the front. The largest form computes what it did before.

        Importance of a channel: the L1 norm of the weights that read it, in the projection and inside SE.
        """
        if not self.largest.expands:
            return
        block = self.full
        by_projection = block.project.weight.abs().sum((0, 2, 3)).argsort(descending=True, stable=True)
        for tensor in (block.expand.weight, *_state(block.expand_norm), block.depthwise.weight, *_state(block.depthwise_norm)):
            tensor.copy_(tensor[by_projection])
        block.project.weight.copy_(block.project.weight[:, by_projection])
        if block.se is not None:
            by_gate = block.se.expand.weight.abs().sum((0, 2, 3)).argsort(descending=True, stable=True)
            reduce, expand = block.se.reduce, block.se.expand
            reduce.weight.copy_(reduce.weight[by_gate][:, by_projection])
            reduce.bias.copy_(reduce.bias[by_gate])
            expand.weight.copy_(expand.weight[by_projection][:, by_gate])
            expand.bias.copy_(expand.bias[by_projection])


def _state(norm: nn.BatchNorm2d) -> tuple[Tensor, ...]:
    return norm.weight, norm.bias, norm.running_mean, norm.running_var


@cache
def _template(spec: BlockSpec, *regularisation: float) -> nn.Module:
    """The module of a spec without weights of its own."""
    with torch.device("meta"):
        return build_block(spec, *regularisation)


@cache
def _shapes(spec: BlockSpec) -> dict[str, torch.Size]:
    module = _template(spec)
    named = dict(module.named_parameters()) | dict(module.named_buffers())
    return {name: tensor.shape for name, tensor in named.items()}
