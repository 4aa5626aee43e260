"""Descriptions of search spaces in TOML files, and the lines of what is wrong in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from edgenas.errors import UsageError
from edgenas.space.description import DescriptionError, KeyPath, build_space
from edgenas.values import decoded_toml, read_text

MOST_BYTES = 2**20

_HEADER = re.compile(r"\s*\[{1,2}\s*([\w-]+)\s*\]{1,2}")
_KEY = re.compile(r"\s*([\w-]+)\s*=")
_ELEMENT = re.compile(r"\s*\{")


def read_description(path: Path) -> dict[str, Any]:
    """The content of a file that describes a space. Raises UsageError with the line of what is wrong."""
    text = read_text(path, "description of a space", MOST_BYTES, UsageError)
    try:
        data = decoded_toml(text)
    except ValueError as error:
        reason = re.sub(r" \(at .*\)$", "", str(error))
        at = re.search(r"\(at line (\d+)", str(error))
        line = int(at[1]) if at else len(text.splitlines())
        raise UsageError(f"{path}, line {line}: this is no TOML: {reason}.") from None
    try:
        build_space(data, path.stem, classes=2)
    except DescriptionError as error:
        raise UsageError(f"{path}, line {line_of(text, error.path)}: {error}") from None
    return data


def line_of(text: str, key_path: KeyPath) -> int:
    """The line, counted from 1, of a key path in a description, or the nearest that is found.

    tomllib tells no lines. This finds keys of the top, of `[tables]`, of `[[lists of tables]]` and, in a list written as
    `stages = [`, the lines that begin an inline table.
    """
    found: dict[KeyPath, int] = {(): 1}
    counts: dict[str, int] = {}
    table: KeyPath = ()
    open_list = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            name, open_list = header[1], ""
            if line.lstrip().startswith("[["):
                table = (name, counts.setdefault(name, 0))
                counts[name] += 1
            else:
                table = (name,)
            found.setdefault(table, number)
            found.setdefault((name,), number)
        elif key := _KEY.match(line):
            found.setdefault((*table, key[1]), number)
            open_list = key[1] if not table else ""
        elif open_list and _ELEMENT.match(line):
            found.setdefault((open_list, counts.setdefault(open_list, 0)), number)
            counts[open_list] += 1
    return next(found[key_path[:n]] for n in range(len(key_path), -1, -1) if key_path[:n] in found)
