"""`edgenas data`."""

from __future__ import annotations

import logging
from typing import Any

import click

from edgenas.bars import track
from edgenas.cli.display import console, say, table
from edgenas.cli.options import IMAGES, fit_option, resolutions_option, seed_option, stream_option
from edgenas.data import DataReport
from edgenas.data.sources import PARTS
from edgenas.pipeline.data import survey

SHOWN = 30  # classes, the smallest

log = logging.getLogger("edgenas")


@click.command("data")
@click.argument("data", metavar=IMAGES)
@resolutions_option
@fit_option
@stream_option
@seed_option
def command(data: str, **options: Any) -> None:
    """Show what is in a data set: classes, splits, what is left out and why, and what will mislead a training.

    \b
    edgenas data photos/
    edgenas data photos.zip --fit pad

    Images are decoded as a training would, which then finds them ready.
    """
    show(survey(data, track=track, **options))


def show(report: DataReport) -> None:
    rows = sorted(zip(report.classes, *(report.counts[part] for part in PARTS), strict=True), key=lambda row: row[1])
    shown = [[name, *map(str, numbers)] for name, *numbers in rows[:SHOWN]]
    title = f"The {SHOWN} smallest of {len(rows)} classes" if len(rows) > SHOWN else f"Images of {report.source}"
    console.print(table(title, ["<class", *PARTS], shown))
    for fact in report.facts:
        say(fact)
    for warning in report.warnings:
        log.warning(f"Warning: {warning}")
