"""The library's words in the command line's: `seconds` becomes --time, `export(runs/photos)` edgenas export runs/photos."""

from __future__ import annotations

import re
from collections.abc import Callable

import click

WORD = re.compile(r"`(\w+)(?:\(([^`]*)\))?`")

FindCommand = Callable[[str], click.Command | None]
"""A command of the group by its name."""


def in_flags(text: str, command: str | None, find: FindCommand) -> str:
    """A message of the library with the options of the command that it ends in, and commands in place of steps."""

    def replaced(match: re.Match[str]) -> str:
        word, arguments = match.groups()
        if arguments is None:
            return _flag(word, find(command) if command else None)
        name = word.replace("_", "-")
        return " ".join(["edgenas", name, *(_argument(part, find(name)) for part in arguments.split(", ") if part)])

    return WORD.sub(replaced, text)


def _argument(text: str, command: click.Command | None) -> str:
    parameter, given, value = text.partition("=")
    return f"{_flag(parameter, command)} {value}" if given else text


def _flag(parameter: str, command: click.Command | None) -> str:
    options = {option.name: option.opts[0] for option in command.params if isinstance(option, click.Option)} if command else {}
    return options.get(parameter, f"--{parameter.replace('_', '-')}")
