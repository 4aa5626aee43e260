"""What a block is made of: its convolutions and linear layers. Costs and the shapes of weights follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from edgenas.space.block import BlockSpec


@dataclass(frozen=True)
class Layer:
    """A convolution, or a linear layer.

    resolution: height and width of the output. bias: of its own. norm: batch norm follows, and becomes a bias when folded.
    """

    name: str
    in_channels: int
    out_channels: int
    resolution: int = 1
    kernel: int = 1
    depthwise: bool = False
    bias: bool = False
    norm: bool = True
    linear: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the weight as in torch: `(out, in / groups, k, k)`, linear layers `(out, in)`."""
        if self.linear:
            return self.out_channels, self.in_channels
        return self.out_channels, 1 if self.depthwise else self.in_channels, self.kernel, self.kernel


@cache
def layers(spec: BlockSpec) -> tuple[Layer, ...]:
    """The layers of a block that have weights, in the order of computation."""
    return tuple(_LAYERS[spec.op](spec))


def _conv(spec: BlockSpec) -> list[Layer]:
    return [Layer("conv", spec.in_channels, spec.out_channels, spec.out_resolution, spec.kernel)]


def _maxpool(spec: BlockSpec) -> list[Layer]:
    return []


def _mbconv(spec: BlockSpec) -> list[Layer]:
    mid, out = spec.mid_channels, spec.out_resolution
    parts = []
    if spec.start:
        parts.append(Layer("start", spec.in_channels, spec.in_channels, spec.mid_resolution, spec.start, depthwise=True))
    if spec.expands:
        parts.append(Layer("expand", spec.in_channels, mid, spec.mid_resolution))
    if spec.kernel:
        parts.append(Layer("depthwise", mid, mid, out, spec.kernel, depthwise=True))
    if spec.se:
        parts.append(Layer("se.reduce", mid, spec.se_channels, bias=True, norm=False))
        parts.append(Layer("se.expand", spec.se_channels, mid, bias=True, norm=False))
    return [*parts, Layer("project", mid, spec.out_channels, out)]


def _fused(spec: BlockSpec) -> list[Layer]:
    return [
        Layer("expand", spec.in_channels, spec.mid_channels, spec.out_resolution, spec.kernel),
        Layer("project", spec.mid_channels, spec.out_channels, spec.out_resolution),
    ]


def _bottleneck(spec: BlockSpec) -> list[Layer]:
    mid, out = spec.mid_channels, spec.out_resolution
    shortcut = [] if spec.residual else [Layer("shortcut", spec.in_channels, spec.out_channels, out)]
    return [
        Layer("reduce", spec.in_channels, mid, spec.resolution),
        Layer("conv", mid, mid, out, spec.kernel),
        Layer("project", mid, spec.out_channels, out),
        *shortcut,
    ]


def _head(spec: BlockSpec) -> list[Layer]:
    bias, norm = spec.mix == "biased", spec.mix == "normalised"
    mix = Layer("mix", spec.in_channels, spec.mid_channels, bias=bias, norm=norm, linear=True)
    classify = Layer("classify", spec.mid_channels or spec.in_channels, spec.out_channels, bias=True, norm=False, linear=True)
    return [mix, classify] if spec.mid_channels else [classify]


_LAYERS = {"conv": _conv, "maxpool": _maxpool, "mbconv": _mbconv, "fused": _fused, "bottleneck": _bottleneck, "head": _head}
