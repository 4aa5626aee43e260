"""`--json` and `--quiet`, which every command has: one JSON document on standard output, and nothing beside the answer."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

_AS_JSON, _QUIET = "edgenas.json", "edgenas.quiet"


class Answering(click.Command):
    """A command that gives its answer to people, or by `reply` to another program.

    One that declares `--json` itself has an answer that is no single document.
    """

    def __init__(self, *arguments: Any, **settings: Any):
        super().__init__(*arguments, **settings)
        declared = {text for parameter in self.params for text in parameter.opts}
        self.params += [
            click.Option([text], is_flag=True, expose_value=False, callback=_kept(name), help=what)
            for text, name, what in _OPTIONS
            if text not in declared
        ]

    def invoke(self, ctx: click.Context) -> Any:
        from edgenas.cli.display import speaking  # here, so that `edgenas --help` waits for nothing

        with speaking(as_json=ctx.meta.get(_AS_JSON, False), quiet=ctx.meta[_QUIET]):
            return super().invoke(ctx)


_OPTIONS = (
    ("--json", _AS_JSON, "Print the answer as one JSON document; all else goes to standard error."),
    ("--quiet", _QUIET, "Print the answer and errors, and nothing on the way."),
)


def _kept(name: str) -> Any:
    def keep(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
        ctx.meta[name] = value

    return keep


def reply(answer: Any) -> None:
    """The answer of the current command for another program, where `--json` asks for it.

    answer: what `edgenas.values.plain` takes, with the fields that the kept artefacts have.
    """
    from edgenas.files import to_json
    from edgenas.processes import is_main_process
    from edgenas.values import plain

    context = click.get_current_context(silent=True)
    if context is not None and context.meta.get(_AS_JSON) and is_main_process():
        click.echo(to_json(_strict(plain(answer))))


def _strict(value: Any) -> Any:
    """Plain data as every reader of JSON takes it: paths are texts, and what is no number is null."""
    from edgenas.names import of_file, storable

    if isinstance(value, dict):
        return {name: _strict(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_strict(entry) for entry in value]
    if isinstance(value, Path):
        return of_file(str(value))
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return storable(value)
