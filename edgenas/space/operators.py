"""The operators that come with EdgeNAS. `BlockSpec` says in words what each is."""

from __future__ import annotations

from edgenas.space.block import BlockSpec
from edgenas.space.operator import Operator, register_operator
from edgenas.space.program import INPUT, Program


def conv(p: Program, spec: BlockSpec) -> None:
    p.conv("conv", spec.out_channels, spec.kernel, spec.stride, spec.pads)
    p.act(spec.activation)
    _residual(p, spec)


def maxpool(p: Program, spec: BlockSpec) -> None:
    p.max_pool("pool", spec.kernel, spec.stride, spec.pads)


def mbconv(p: Program, spec: BlockSpec) -> None:
    if spec.start:
        p.depthwise("start", spec.start, spec.start_stride, None if spec.kernel else spec.pads)
    if spec.expands:
        p.conv("expand", spec.mid_channels)
        p.act(spec.activation)
    if spec.kernel:
        p.depthwise("depthwise", spec.kernel, spec.stride, spec.pads)
        p.act(spec.activation)
    if spec.se:
        p.squeeze_excite(spec.se_channels)
    p.conv("project", spec.out_channels)
    _residual(p, spec)


def fused(p: Program, spec: BlockSpec) -> None:
    p.conv("expand", spec.mid_channels, spec.kernel, spec.stride, spec.pads)
    p.act(spec.activation)
    p.conv("project", spec.out_channels)
    _residual(p, spec)


def bottleneck(p: Program, spec: BlockSpec) -> None:
    p.conv("reduce", spec.mid_channels)
    p.act(spec.activation)
    p.conv("conv", spec.mid_channels, spec.kernel, spec.stride, spec.pads)
    p.act(spec.activation)
    projected, shortcut = p.conv("project", spec.out_channels), INPUT
    if not spec.residual:
        if spec.stride > 1:
            shortcut = p.mean_pool("pool", spec.stride, reads=INPUT)
        shortcut = p.conv("shortcut", spec.out_channels, reads=shortcut)
    p.add("residual", projected, shortcut)
    p.act(spec.activation)


def head(p: Program, spec: BlockSpec) -> None:
    if spec.resolution > 1:  # the mean of one value is that value, and every operator takes time
        p.global_mean("pool")
    p.flatten("flatten")
    if spec.mid_channels:
        p.linear("mix", spec.mid_channels, bias=spec.mix == "biased", norm=spec.mix == "normalised")
        p.act(spec.activation)
    p.linear("classify", spec.out_channels)


def _residual(p: Program, spec: BlockSpec) -> None:
    if spec.residual:
        p.add("residual", p.last, INPUT)


_BLOCKS = "edgenas.supernet.blocks"
register_operator(
    Operator(
        "mbconv", mbconv, f"{_BLOCKS}:MBConvBlock", expands="input", residual=True, start=True, optional_kernel=True, se=True
    )
)
register_operator(Operator("fused", fused, f"{_BLOCKS}:FusedBlock", expands="input", residual=True))
register_operator(Operator("bottleneck", bottleneck, f"{_BLOCKS}:Bottleneck", expands="output", residual=True, rectifies=True))
register_operator(Operator("conv", conv, f"{_BLOCKS}:ConvBlock", residual=True, rectifies=True, unpadded=True))
register_operator(Operator("maxpool", maxpool, f"{_BLOCKS}:MaxPool", keeps_channels=True, unpadded=True))
register_operator(Operator("head", head, f"{_BLOCKS}:Head", classifies=True))
