"""BlockSpecs as plain torch modules. Their parameters are named as `edgenas.graph.weights` names the folded weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgenas.space import BlockSpec
from edgenas.supernet.convolution import DepthwiseConv2d, conv2d

# In place where the gradient needs the output alone: they follow batch norms and linear layers, which need it no more.
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": partial(nn.ReLU, inplace=True),
    "relu6": partial(nn.ReLU6, inplace=True),
    "hswish": nn.Hardswish,
}


class ConvBlock(nn.Module):
    """Convolution, batch norm, activation; then a residual."""

    def __init__(self, spec: BlockSpec):
        super().__init__()
        self.pad, padding = padding_of(spec)
        self.conv = conv2d(spec.in_channels, spec.out_channels, spec.kernel, spec.stride, padding)
        self.conv_norm = nn.BatchNorm2d(spec.out_channels)
        self.activation = ACTIVATIONS[spec.activation]()
        self.residual = spec.residual

    def forward(self, x: Tensor) -> Tensor:
        y = self.activation(self.conv_norm(self.conv(self.pad(x))))
        return x + y if self.residual else y


class MaxPool(nn.Module):
    def __init__(self, spec: BlockSpec):
        super().__init__()
        self.pad, padding = padding_of(spec)
        self.pool = nn.MaxPool2d(spec.kernel, spec.stride, padding)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.pad(x))


class SqueezeExcite(nn.Module):
    """Channel gates from globally pooled features (arXiv:1709.01507), with MobileNetV3's hard sigmoid."""

    def __init__(self, channels: int, bottleneck: int):
        super().__init__()
        self.reduce = conv2d(channels, bottleneck, 1, bias=True)
        self.expand = conv2d(bottleneck, channels, 1, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.expand(F.relu(self.reduce(x.mean((2, 3), keepdim=True))))
        return x * F.hardsigmoid(gate)


class MBConvBlock(nn.Module):
    """Inverted bottleneck: start depthwise, expansion, depthwise, squeeze-and-excitation, linear projection."""

    def __init__(self, spec: BlockSpec):
        super().__init__()
        mid = spec.mid_channels
        self.pad, padding = padding_of(spec)
        start_padding = spec.start // 2 if spec.kernel else padding
        self.start = depthwise(spec.in_channels, spec.start, spec.start_stride, start_padding) if spec.start else None
        self.start_norm = nn.BatchNorm2d(spec.in_channels) if spec.start else None
        self.expand = conv2d(spec.in_channels, mid, 1) if spec.expands else None
        self.expand_norm = nn.BatchNorm2d(mid) if spec.expands else None
        self.depthwise = depthwise(mid, spec.kernel, spec.stride, padding) if spec.kernel else None
        self.depthwise_norm = nn.BatchNorm2d(mid) if spec.kernel else None
        self.se = SqueezeExcite(mid, spec.se_channels) if spec.se else None
        self.project = conv2d(mid, spec.out_channels, 1)
        self.project_norm = nn.BatchNorm2d(spec.out_channels)
        self.activation = ACTIVATIONS[spec.activation]()
        self.residual = spec.residual

    def forward(self, x: Tensor) -> Tensor:
        y = x
        if self.start is not None and self.start_norm is not None:
            y = self.start_norm(self.start(y if self.depthwise is not None else self.pad(y)))
        if self.expand is not None and self.expand_norm is not None:
            y = self.activation(self.expand_norm(self.expand(y)))
        if self.depthwise is not None and self.depthwise_norm is not None:
            y = self.activation(self.depthwise_norm(self.depthwise(self.pad(y))))
        if self.se is not None:
            y = self.se(y)
        y = self.project_norm(self.project(y))
        return x + y if self.residual else y


class FusedBlock(nn.Module):
    """Fused inverted bottleneck: an expansion of k x k, linear projection."""

    def __init__(self, spec: BlockSpec):
        super().__init__()
        mid = spec.mid_channels
        self.pad, padding = padding_of(spec)
        self.expand = conv2d(spec.in_channels, mid, spec.kernel, spec.stride, padding)
        self.expand_norm = nn.BatchNorm2d(mid)
        self.project = conv2d(mid, spec.out_channels, 1)
        self.project_norm = nn.BatchNorm2d(spec.out_channels)
        self.activation = ACTIVATIONS[spec.activation]()
        self.residual = spec.residual

    def forward(self, x: Tensor) -> Tensor:
        y = self.activation(self.expand_norm(self.expand(self.pad(x))))
        y = self.project_norm(self.project(y))
        return x + y if self.residual else y


class Bottleneck(nn.Module):
    """ResNet-D's bottleneck. The average pool of its shortcut counts only values inside, as at an odd size's end."""

    def __init__(self, spec: BlockSpec):
        super().__init__()
        mid = spec.mid_channels
        self.reduce = conv2d(spec.in_channels, mid, 1)
        self.reduce_norm = nn.BatchNorm2d(mid)
        self.pad, padding = padding_of(spec)
        self.conv = conv2d(mid, mid, spec.kernel, spec.stride, padding)
        self.conv_norm = nn.BatchNorm2d(mid)
        self.project = conv2d(mid, spec.out_channels, 1)
        self.project_norm = nn.BatchNorm2d(spec.out_channels)
        self.pool = nn.AvgPool2d(spec.stride, ceil_mode=True) if spec.stride > 1 else None
        self.shortcut = None if spec.residual else conv2d(spec.in_channels, spec.out_channels, 1)
        self.shortcut_norm = None if spec.residual else nn.BatchNorm2d(spec.out_channels)
        self.activation = ACTIVATIONS[spec.activation]()
        self.residual = spec.residual

    def forward(self, x: Tensor) -> Tensor:
        y = self.activation(self.reduce_norm(self.reduce(x)))
        y = self.activation(self.conv_norm(self.conv(self.pad(y))))
        y = self.project_norm(self.project(y))
        if self.pool is not None:
            x = self.pool(x)
        if self.shortcut is not None and self.shortcut_norm is not None:
            x = self.shortcut_norm(self.shortcut(x))
        return self.activation(x + y)


class Head(nn.Module):
    """Global average pool, feature mix, dropout, classifier."""

    def __init__(self, spec: BlockSpec):
        super().__init__()
        mid = spec.mid_channels
        self.mix = nn.Linear(spec.in_channels, mid, bias=spec.mix == "biased") if mid else None
        self.mix_norm = nn.BatchNorm2d(mid) if spec.mix == "normalised" else None
        self.classify = nn.Linear(mid or spec.in_channels, spec.out_channels)
        self.activation = ACTIVATIONS[spec.activation]()
        self.dropout = nn.Dropout(0.0)

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        x = x.mean((2, 3))
        if self.mix is not None:
            x = self.mix(x)
            if self.mix_norm is not None:
                x = self.mix_norm(x[..., None, None]).flatten(1)
            x = self.activation(x)
        if self.training and self.dropout.p:
            x = dropout(x, self.dropout.p, generator)
        return self.classify(x)


def depthwise(channels: int, kernel: int, stride: int, padding: int) -> nn.Conv2d:
    return DepthwiseConv2d(channels, channels, kernel, stride, padding, groups=channels, bias=False)


def dropout(x: Tensor, p: float, generator: torch.Generator | None = None) -> Tensor:
    """torch's, from a generator of one's own; None is the global one."""
    kept = torch.empty_like(x, dtype=torch.bool).bernoulli_(1 - p, generator=generator)
    return x * kept * (1 / (1 - p))


def padding_of(spec: BlockSpec) -> tuple[nn.Module, int]:
    """What goes before the kernel that has the stride, and the padding of its own: torch's is the same on all sides."""
    before, after = spec.pads
    return (nn.Identity(), before) if before == after else (nn.ZeroPad2d((before, after) * 2), 0)


def build_block(
    spec: BlockSpec, dropout: float = 0.0, batch_norm_momentum: float = 0.1, batch_norm_epsilon: float = 1e-5
) -> nn.Module:
    """The module of a spec.

    dropout: before the classifier. batch_norm_momentum: share of a batch in running statistics. batch_norm_epsilon: is added
    to variances.
    """
    block = spec.operator.build_module(spec)
    for part in block.modules():
        if isinstance(part, nn.Dropout):
            part.p = dropout
        elif isinstance(part, nn.BatchNorm2d):
            part.momentum, part.eps = batch_norm_momentum, batch_norm_epsilon
    return block


class Network(nn.Sequential):
    """A concrete network: `(n, 3, resolution, resolution)` normalised images -> `(n, classes)` logits."""

    def __init__(self, specs: Iterable[BlockSpec], batch_norm_epsilon: float = 1e-5):
        self.specs = tuple(specs)
        super().__init__(*(build_block(spec, batch_norm_epsilon=batch_norm_epsilon) for spec in self.specs))

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
        elif getattr(part, "residual", False) and hasattr(part, "project_norm"):
            nn.init.zeros_(part.get_parameter("project_norm.weight"))
