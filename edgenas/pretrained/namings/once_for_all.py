"""Names of Once-for-All's supernets (arXiv:1908.09791, its package `ofa`)."""

from __future__ import annotations

import re
from collections.abc import Collection

from edgenas.pretrained.naming import Modules, with_norms
from edgenas.space import SearchSpace


def plain(name: str) -> str:
    """One spelling of a name. Published files call a block's layers `mobile_inverted_conv`, and may double the last parts."""
    return re.sub(r"\.(conv|bn|linear)(\.\1)+\.", r".\1.", name.replace(".mobile_inverted_conv.", ".conv."))


def modules(space: SearchSpace, published: Collection[str]) -> list[Modules]:
    """MobileNetV3 and ProxylessNAS. What is a feature mix there is, with a batch norm, a convolution of the head here."""
    stem = with_norms({"conv": ("first_conv.conv", "first_conv.bn")})
    head = {"classify": "classifier.linear"}
    if space.head[-1].mid_channels:
        last, head = "final_expand_layer", {"mix": "feature_mix_layer.conv"} | head
    else:
        last = "feature_mix_layer"
    last_conv = with_norms({"conv": (f"{last}.conv", f"{last}.bn")})
    return [stem, *(_block(f"blocks.{i}.conv.") for i in range(space.slots - 3)), last_conv, head]


def _block(prefix: str) -> Modules:
    layers = {"expand": "inverted_bottleneck", "depthwise": "depth_conv", "project": "point_linear"}
    block = with_norms({ours: (f"{prefix}{theirs}.conv", f"{prefix}{theirs}.bn") for ours, theirs in layers.items()})
    block |= {f"se.{part}": f"{prefix}depth_conv.se.fc.{part}" for part in ("reduce", "expand")}
    return block | {
        "kernel_transforms.to5": f"{prefix}depth_conv.conv.7to5_matrix",
        "kernel_transforms.to3": f"{prefix}depth_conv.conv.5to3_matrix",
    }


def resnet_modules(space: SearchSpace, published: Collection[str]) -> list[Modules]:
    """ResNet-50D. Its pooling has no tensors."""
    # The second layer of the stem is wrapped by its residual.
    norms = ("input_stem.0.bn", "input_stem.1.conv.bn", "input_stem.2.bn")
    stem = [with_norms({"conv": (f"input_stem.{i}.conv", norm)}) for i, norm in enumerate(norms)]
    layers = {"reduce": "conv1", "conv": "conv2", "project": "conv3", "shortcut": "downsample"}
    blocks = [
        with_norms({ours: (f"blocks.{i}.{theirs}.conv", f"blocks.{i}.{theirs}.bn") for ours, theirs in layers.items()})
        for i in range(space.slots - 5)
    ]
    return [*stem, {}, *blocks, {"classify": "classifier.linear"}]
