"""Names of the package `efficientnet-lite-pytorch`, whose weights are Google's."""

from __future__ import annotations

from collections.abc import Collection

from edgenas.pretrained.naming import Modules, with_norms
from edgenas.space import SearchSpace


def modules(space: SearchSpace, published: Collection[str]) -> list[Modules]:
    blocks = [
        with_norms({
            "expand": (f"_blocks.{i}._expand_conv", f"_blocks.{i}._bn0"),
            "depthwise": (f"_blocks.{i}._depthwise_conv", f"_blocks.{i}._bn1"),
            "project": (f"_blocks.{i}._project_conv", f"_blocks.{i}._bn2"),
        })
        for i in range(space.slots - 3)
    ]  # fmt: skip
    stem, head = with_norms({"conv": ("_conv_stem", "_bn0")}), with_norms({"conv": ("_conv_head", "_bn1")})
    return [stem, *blocks, head, {"classify": "_fc"}]
