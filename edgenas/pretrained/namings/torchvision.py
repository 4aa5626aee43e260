"""Names of torchvision's MobileNets: places within sequences."""

from __future__ import annotations

from collections.abc import Callable, Collection

from edgenas.pretrained.naming import Modules, with_norms
from edgenas.space import BlockSpec, SearchSpace


def mobilenetv2_modules(space: SearchSpace, published: Collection[str]) -> list[Modules]:
    return _modules(space, _v2_block, {"classify": "classifier.1"})


def mobilenetv3_modules(space: SearchSpace, published: Collection[str]) -> list[Modules]:
    return _modules(space, _v3_block, {"mix": "classifier.0", "classify": "classifier.3"})


def _modules(space: SearchSpace, block: Callable[[str, BlockSpec], Modules], head: Modules) -> list[Modules]:
    *trunk, _ = [spec for _, spec in space.placed_blocks(space.largest)]
    return [
        block(f"features.{i}.", spec) if spec.op == "mbconv" else with_norms({"conv": (f"features.{i}.0", f"features.{i}.1")})
        for i, spec in enumerate(trunk)
    ] + [head]


def _v2_block(prefix: str, spec: BlockSpec) -> Modules:
    first = ["expand", "depthwise"] if spec.expands else ["depthwise"]
    names = {ours: (f"{prefix}conv.{i}.0", f"{prefix}conv.{i}.1") for i, ours in enumerate(first)}
    return with_norms(names | {"project": (f"{prefix}conv.{len(first)}", f"{prefix}conv.{len(first) + 1}")})


def _v3_block(prefix: str, spec: BlockSpec) -> Modules:
    order = ["expand"] * spec.expands + ["depthwise"] + ["se"] * spec.se + ["project"]
    at = {part: f"{prefix}block.{i}" for i, part in enumerate(order)}
    block = with_norms({part: (f"{place}.0", f"{place}.1") for part, place in at.items() if part != "se"})
    return block | ({"se.reduce": f"{at['se']}.fc1", "se.expand": f"{at['se']}.fc2"} if spec.se else {})
