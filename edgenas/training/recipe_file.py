"""Recipes as TOML files: some of a recipe's fields, to be given to a training."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from edgenas.errors import UsageError
from edgenas.files import write_toml
from edgenas.training.recipe import Recipe
from edgenas.values import decoded_toml, read_text


def read_recipe(path: Path) -> dict[str, Any]:
    """The fields that a file sets. Raises UsageError, with the line, for what is no TOML or no part of a recipe."""
    text = read_text(path, "recipe", error=UsageError)
    try:
        fields = decoded_toml(text)
    except ValueError as error:
        raise UsageError(f"The recipe {path} is no TOML: {error}.") from None
    try:
        recipe = Recipe.from_dict(fields)
    except UsageError as error:
        raise UsageError(f"{path}{_line_of(str(error), fields, text)}: {error}") from None
    return {name: getattr(recipe, name) for name in fields}


def write_recipe(path: Path, fields: dict[str, Any], comment: str) -> None:
    """Write fields below a comment of one or more lines."""
    write_toml(path, fields, comment)


def _line_of(message: str, fields: dict[str, Any], text: str) -> str:
    """Where the field that a message is about, the first that it names, is set."""
    places = {name: found.start() for name in fields if (found := re.search(rf"\b{re.escape(name)}\b", message))}
    if not places:
        return ""
    field = re.escape(min(places, key=places.__getitem__))
    return next((f", line {n}" for n, line in enumerate(text.splitlines(), 1) if re.match(rf'\s*\[?"?{field}\b', line)), "")
