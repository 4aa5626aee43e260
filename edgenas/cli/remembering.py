"""A run remembers the commands that made it: those that ended well, as they were given."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from edgenas.run import Run

_RUN, _GIVEN = "edgenas.run", "edgenas.given"


def given(ctx: click.Context, arguments: Sequence[str]) -> None:
    """Keep what the command line says."""
    ctx.meta[_GIVEN] = list(arguments)


def remembering(run: Run) -> Run:
    """The run that the current command works on."""
    click.get_current_context().meta[_RUN] = run
    return run


def ended_well(ctx: click.Context) -> None:
    if _RUN in ctx.meta:
        remember(ctx, ctx.meta[_RUN])


def remember(ctx: click.Context, run: Run) -> None:
    """At once: for a command that itself writes the page which says what made the run."""
    from edgenas.processes import is_main_process  # here, since it brings torch

    if is_main_process():
        run.remember(shlex.join(["edgenas", *ctx.meta[_GIVEN]]))
