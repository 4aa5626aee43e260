"""The library's words in the command line's: `seconds` becomes --time, `export(runs/photos)` edgenas export runs/photos."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import click

_QUOTED = r"""'[^']*'|"[^"]*\""""
WORD = re.compile(rf"`(\w+)(?:\(((?:{_QUOTED}|[^`'\"])*)\))?`")
ARGUMENT = re.compile(rf"(?:{_QUOTED}|[^,'\"]|,(?! ))+")
"""Of a step, after a comma and a space; what is quoted (`edgenas.names.pasted`) is kept together."""

FindCommand = Callable[[str], click.Command | None]
"""A command of the group by its name."""


def worded(text: str) -> str:
    """A message of the library in the words of the command that runs."""
    ctx = click.get_current_context()
    group = ctx.find_root()
    assert isinstance(group.command, click.Group)
    return in_flags(text, group.invoked_subcommand, partial(group.command.get_command, group))


def in_flags(text: str, command: str | None, find: FindCommand) -> str:
    """A message of the library with the options of the command that it ends in, and commands in place of steps."""

    def replaced(match: re.Match[str]) -> str:
        word, arguments = match.groups()
        if arguments is None:
            return flag(word, command)
        step = word.replace("_", "-")
        return " ".join(["edgenas", step, *(argument(part.strip(), step) for part in ARGUMENT.findall(arguments))])

    def argument(part: str, step: str) -> str:
        parameter, given, value = part.partition("=")
        return f"{flag(parameter, step)} {value}" if given and parameter.isidentifier() else part

    def flag(parameter: str, command: str | None) -> str:
        """Of the command, or of the training, where most parameters are decided."""
        name_without_unit = parameter.removesuffix("_ms")
        for name in (command, "train-supernet"):
            for option in found.params if name and (found := find(name)) else []:
                if isinstance(option, click.Option) and option.name == name_without_unit:
                    return option.opts[0]
        return f"--{name_without_unit.replace('_', '-')}"

    return WORD.sub(replaced, text)
