"""BlockSpecs as plain torch modules. Their parameters are named as `edgenas.graph.weights` names the folded weights."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgenas.space import BlockSpec
from edgenas.supernet.depthwise import DepthwiseConv2d

# In place where the gradient needs the output alone: they follow batch norms and linear layers, which need it no more.
ACTIVATIONS = {"relu": partial(nn.ReLU, inplace=True), "relu6": partial(nn.ReLU6, inplace=True), "hswish": nn.Hardswish}


class ConvBlock(nn.Module):
    """Convolution, batch norm, activation."""

    def __init__(self, spec: BlockSpec):
        super().__init__()
        self.conv = nn.Conv2d(spec.in_channels, spec.out_channels, spec.kernel, spec.stride, spec.padding, bias=False)
        self.conv_norm = nn.BatchNorm2d(spec.out_channels)
        self.activation = ACTIVATIONS[spec.activation]()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.conv_norm(self.conv(x)))


class SqueezeExcite(nn.Module):
    """Channel gates from globally pooled features (arXiv:1709.01507), with MobileNetV3's hard sigmoid."""

    def __init__(self, channels: int, bottleneck: int):
        super().__init__()
        self.reduce = nn.Conv2d(channels, bottleneck, 1)
        self.expand = nn.Conv2d(bottleneck, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.expand(F.relu(self.reduce(x.mean((2, 3), keepdim=True))))
        return x * F.hardsigmoid(gate)


class MBConvBlock(nn.Module):
    """Inverted bottleneck: expansion, depthwise convolution, squeeze-and-excitation, linear projection."""

    def __init__(self, spec: BlockSpec):
        super().__init__()
        mid = spec.mid_channels
        self.expand = nn.Conv2d(spec.in_channels, mid, 1, bias=False) if spec.expands else None
        self.expand_norm = nn.BatchNorm2d(mid) if spec.expands else None
        self.depthwise = DepthwiseConv2d(mid, mid, spec.kernel, spec.stride, spec.padding, groups=mid, bias=False)
        self.depthwise_norm = nn.BatchNorm2d(mid)
        self.se = SqueezeExcite(mid, spec.se_channels) if spec.se else None
        self.project = nn.Conv2d(mid, spec.out_channels, 1, bias=False)
        self.project_norm = nn.BatchNorm2d(spec.out_channels)
        self.activation = ACTIVATIONS[spec.activation]()
        self.residual = spec.residual

    def forward(self, x: Tensor) -> Tensor:
        y = x
        if self.expand is not None:
            y = self.activation(self.expand_norm(self.expand(y)))
        y = self.activation(self.depthwise_norm(self.depthwise(y)))
        if self.se is not None:
            y = self.se(y)
        y = self.project_norm(self.project(y))
        return x + y if self.residual else y


class Head(nn.Module):
    """Global average pool, feature mix, dropout, classifier."""

    def __init__(self, spec: BlockSpec):
        super().__init__()
        self.mix = nn.Linear(spec.in_channels, spec.mid_channels, bias=False) if spec.mid_channels else None
        self.classify = nn.Linear(spec.mid_channels or spec.in_channels, spec.out_channels)
        self.activation = ACTIVATIONS[spec.activation]()
        self.dropout = nn.Dropout(0.0)

    def forward(self, x: Tensor) -> Tensor:
        x = x.mean((2, 3))
        if self.mix is not None:
            x = self.activation(self.mix(x))
        return self.classify(self.dropout(x))


MODULES = {"conv": ConvBlock, "mbconv": MBConvBlock, "head": Head}


def build_block(spec: BlockSpec, dropout: float = 0.0, batch_norm_momentum: float = 0.1) -> nn.Module:
    """The module of a spec. dropout: before the classifier. batch_norm_momentum: share of a batch in running statistics."""
    block = MODULES[spec.op](spec)
    for part in block.modules():
        if isinstance(part, nn.Dropout):
            part.p = dropout
        elif isinstance(part, nn.BatchNorm2d):
            part.momentum = batch_norm_momentum
    return block


class Network(nn.Sequential):
    """A concrete network: `(n, 3, resolution, resolution)` normalised images -> `(n, classes)` logits."""

    def __init__(self, specs: Iterable[BlockSpec]):
        self.specs = tuple(specs)
        super().__init__(*map(build_block, self.specs))

    @property
    def resolution(self) -> int:
        return self.specs[0].resolution


@torch.no_grad()
def initialise(module: nn.Module, kind: str = "he") -> None:
    """Convolutions after He (`he`, arXiv:1502.01852) or Glorot (`xavier`, AISTATS 2010); residual branches begin as nothing.

    A zero last batch-norm scale makes every residual block the identity at first (arXiv:1706.02677), so that
    depth does not slow the start.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            if kind == "he":
                nn.init.kaiming_normal_(part.weight, mode="fan_in", nonlinearity="relu")
            else:
                nn.init.xavier_normal_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=0.01 if part.bias is not None else (2 / part.in_features) ** 0.5)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, MBConvBlock) and part.residual:
            nn.init.zeros_(part.project_norm.weight)
