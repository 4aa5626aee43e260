"""What a network may be: search spaces, architectures and blocks. Pure data: neither torch nor a runtime is imported."""

from __future__ import annotations

from difflib import get_close_matches

from edgenas.errors import UsageError
from edgenas.space import mobilenetv3, proxyless
from edgenas.space.architecture import Architecture, BlockChoice
from edgenas.space.block import BlockSpec
from edgenas.space.layers import Layer, layers
from edgenas.space.search_space import SearchSpace
from edgenas.space.stage import FixedBlock, Stage

FAMILIES = {"mobilenetv3": mobilenetv3, "proxyless": proxyless}


def get_space(
    family: str, preset: str, classes: int, *, width: float = 1.0, resolutions: tuple[int, ...] | None = None
) -> SearchSpace:
    """A space by name, such as `get_space("mobilenetv3", "tiny", classes=10)`.

    Raises UsageError for an unknown family or preset, naming the nearest, and for sizes that cannot be.
    """
    if family not in FAMILIES:
        raise UsageError(unknown("space", family, FAMILIES))
    presets = FAMILIES[family].PRESETS
    if preset not in presets:
        raise UsageError(unknown(f"preset of {family}", preset, presets))
    if classes < 2:
        raise UsageError(f"a classifier needs at least 2 classes, not {classes}")
    if width <= 0:
        raise UsageError(f"the width multiplier must be above 0, not {width}")
    if resolutions is not None and min(resolutions, default=0) < 8:
        raise UsageError(f"resolutions must be at least 8 pixels, not {resolutions}")
    return FAMILIES[family].build(preset, classes, width, resolutions)


def unknown(what: str, name: str, known: object) -> str:
    """The sentence for a name that does not exist."""
    near = get_close_matches(name, list(known), n=1, cutoff=0.4)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"Unknown {what} {name!r}.{hint} Known: {', '.join(known)}."


__all__ = [
    "FAMILIES",
    "Architecture",
    "BlockChoice",
    "BlockSpec",
    "FixedBlock",
    "Layer",
    "SearchSpace",
    "Stage",
    "get_space",
    "layers",
    "unknown",
]
