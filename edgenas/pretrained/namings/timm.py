"""Names of timm's networks. Blocks are those of the file, in order: timm counts them within stages of its own."""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import chain

from edgenas.pretrained.naming import Modules, with_norms
from edgenas.space import BlockSpec, SearchSpace


def modules(space: SearchSpace, published: Collection[str]) -> list[Modules]:
    """MobileNets and EfficientNet-Lite. The last convolution is a block of the file, or its `conv_head`, which else mixes."""
    *trunk, _ = [spec for _, spec in space.placed_blocks(space.largest)]
    found = {match[0]: None for name in published if (match := re.match(r"blocks\.\d+\.\d+\.", name))}
    prefixes = sorted(found, key=lambda prefix: tuple(map(int, re.findall(r"\d+", prefix))))
    stem = with_norms({"conv": ("conv_stem", "bn1")})
    blocks = [
        _universal(prefix) if f"{prefix}pw_proj.conv.weight" in published else _block(prefix, spec)
        for prefix, spec in zip(prefixes, trunk[1:], strict=False)
    ]
    named = [stem, *blocks]
    if len(named) < len(trunk):
        named.append(with_norms({"conv": ("conv_head", "bn2")}))
    return [*named, {"mix": "conv_head", "mix_norm": "norm_head", "classify": "classifier"}]


def _block(prefix: str, spec: BlockSpec) -> Modules:
    orders = {
        "conv": {"conv": "conv"},
        "fused": {"expand": "conv_exp", "project": "conv_pwl"},
        "mbconv": {"expand": "conv_pw", "depthwise": "conv_dw", "project": "conv_pwl"},
    }
    order = orders.get(spec.op, {}) if spec.op != "mbconv" or spec.expands else {"depthwise": "conv_dw", "project": "conv_pw"}
    block = with_norms({ours: (prefix + theirs, f"{prefix}bn{n}") for n, (ours, theirs) in enumerate(order.items(), start=1)})
    return block | {f"se.{part}": f"{prefix}se.conv_{part}" for part in ("reduce", "expand")}


def _universal(prefix: str) -> Modules:
    """MobileNetV4's block."""
    layers = {"start": "dw_start", "expand": "pw_exp", "depthwise": "dw_mid", "project": "pw_proj"}
    return with_norms({ours: (f"{prefix}{theirs}.conv", f"{prefix}{theirs}.bn") for ours, theirs in layers.items()})


def resnet_modules(space: SearchSpace, published: Collection[str]) -> list[Modules]:
    """ResNet-50D."""
    stem = [with_norms({"conv": names}) for names in (("conv1.0", "conv1.1"), ("conv1.3", "conv1.4"), ("conv1.6", "bn1"))]
    order = {"reduce": ("conv1", "bn1"), "conv": ("conv2", "bn2"), "project": ("conv3", "bn3"),
             "shortcut": ("downsample.1", "downsample.2")}  # fmt: skip
    blocks = [
        with_norms({ours: (f"layer{stage}.{i}.{conv}", f"layer{stage}.{i}.{norm}") for ours, (conv, norm) in order.items()})
        for stage, i in chain.from_iterable(((s, i) for i in range(depth)) for s, depth in enumerate((3, 4, 6, 3), start=1))
    ]
    return [*stem, {}, *blocks, {"classify": "fc"}]
