"""What a network may be: search spaces, architectures and blocks. Pure data: neither torch nor a runtime is imported."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from edgenas.errors import UsageError
from edgenas.space import operators as _operators  # noqa: F401 (registers them)
from edgenas.space.architecture import Architecture, BlockChoice
from edgenas.space.block import BlockSpec
from edgenas.space.categorical import Categorical
from edgenas.space.description import DescriptionError, build_space
from edgenas.space.genome import Layout, Segment, Space
from edgenas.space.operator import OPERATORS, Operator, is_flat, program_of, register_operator, weighted
from edgenas.space.program import Program
from edgenas.space.search_space import SearchSpace
from edgenas.space.stage import FixedBlock, Stage
from edgenas.space.toml_file import read_description
from edgenas.values import checked, unknown
from edgenas.values.kinds import Classes, GivenText, Resolutions, WidthFactor

_FOLDER = Path(__file__).parent / "families"
FAMILIES = {folder.name: tuple(sorted(file.stem for file in folder.glob("*.toml"))) for folder in sorted(_FOLDER.iterdir())}
"""The families that come with EdgeNAS, and their presets."""
_NETWORKS = Path(__file__).parent / "networks"
NETWORKS = tuple(sorted(file.name.removesuffix(".toml") for file in _NETWORKS.glob("*.toml")))
"""Networks that people designed by hand: spaces of one member, but for the resolution."""
DEFAULT_PRESET = "small"


@checked
def get_space(
    family: GivenText, preset: str | None, classes: Classes, *, width: WidthFactor = 1.0,
    resolutions: Resolutions | None = None, description: dict[str, Any] | None = None, padding: str | None = None,
    batch_norm_epsilon: float | None = None,
) -> SearchSpace:  # fmt: skip
    """A space by name, such as `get_space("mobilenetv3", "tiny", 10)`, or from a file: `get_space("my.toml", None, 10)`.

    family: its name, that of a network in `NETWORKS`, or a TOML file.
    preset: of a family; None is its `default_preset`. width: multiplies all channel counts, which become multiples of 8.
    resolutions: input sizes in pixels, in place of the description's.
    description: the content of the file as it was read earlier; the file is not looked for.
    padding, batch_norm_epsilon: in place of the description's, for weights that were trained with others.

    Raises UsageError for an unknown family or preset, naming the nearest, for sizes that cannot be, and for a file with
    mistakes, naming the line.
    """
    if preset is not None and default_preset(family) is None:
        raise UsageError(f"Presets belong to the families {', '.join(FAMILIES)}: leave the preset out for {family}.")
    name, data = (Path(family).stem, description) if description is not None else _find(family, preset)
    given = {"padding": padding, "batch_norm_epsilon": batch_norm_epsilon}
    data = data | {key: value for key, value in given.items() if value is not None}
    try:
        return build_space(data, name, classes, width, resolutions)
    except DescriptionError as error:
        where = " ".join(str(part + 1) if isinstance(part, int) else part for part in error.path)
        raise UsageError(f"The description of the space {name} is wrong at {where or 'its top'}: {error}") from None


def is_file(family: str) -> bool:
    """Whether a family is a user's own TOML file."""
    return family.endswith(".toml")


def default_preset(family: str) -> str | None:
    """What a family's preset is unless another one is asked for; None for a single network and for a file, which have none."""
    return None if is_file(family) or family in NETWORKS else _default_of(FAMILIES.get(family, ()))


def _default_of(presets: tuple[str, ...]) -> str:
    return DEFAULT_PRESET if DEFAULT_PRESET in presets or not presets else presets[0]


def _find(family: str, preset: str | None) -> tuple[str, dict[str, Any]]:
    """The name and the description of a space."""
    if is_file(family):
        return Path(family).stem, read_description(Path(family))
    if family in NETWORKS:
        return family, tomllib.loads((_NETWORKS / f"{family}.toml").read_text(encoding="utf-8"))
    if family not in FAMILIES:
        raise UsageError(unknown("space", family, (*FAMILIES, *NETWORKS)))
    preset = _default_of(FAMILIES[family]) if preset is None else preset
    if preset not in FAMILIES[family]:
        raise UsageError(unknown(f"preset of {family}", preset, FAMILIES[family]))
    return f"{family}-{preset}", tomllib.loads((_FOLDER / family / f"{preset}.toml").read_text(encoding="utf-8"))


__all__ = [
    "DEFAULT_PRESET",
    "FAMILIES",
    "NETWORKS",
    "OPERATORS",
    "Architecture",
    "BlockChoice",
    "BlockSpec",
    "Categorical",
    "DescriptionError",
    "FixedBlock",
    "Layout",
    "Operator",
    "Program",
    "SearchSpace",
    "Segment",
    "Space",
    "Stage",
    "default_preset",
    "get_space",
    "is_file",
    "is_flat",
    "program_of",
    "read_description",
    "register_operator",
    "weighted",
]
