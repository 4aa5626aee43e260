"""`edgenas data`."""

from __future__ import annotations

from typing import Any

import click

from edgenas.bars import track
from edgenas.cli.answering import Answering, reply
from edgenas.cli.display import answer, answer_all, conclude, tabulate
from edgenas.cli.options import IMAGES, fit_option, resolutions_option, seed_option, stream_option
from edgenas.cli.vocabulary import worded
from edgenas.data import DataReport
from edgenas.data.sources import PARTS
from edgenas.pipeline.data import survey
from edgenas.values import plain_fields

SHOWN = 30  # classes, the smallest


@click.command("data", cls=Answering)
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
    report = survey(data, track=track, **options)
    show(report)
    conclude(f"{report.images} images can be trained on.", "train-supernet", "--data", data)
    reply(plain_fields(report) | {"facts": report.facts, "warnings": [worded(warning) for warning in report.warnings]})


def show(report: DataReport) -> None:
    rows = sorted(zip(report.classes, *(report.counts[part] for part in PARTS), strict=True), key=lambda row: row[1])
    shown = [[name, *map(str, numbers)] for name, *numbers in rows[:SHOWN]]
    title = f"The {SHOWN} smallest of {len(rows)} classes" if len(rows) > SHOWN else f"Images of {report.source}"
    tabulate(title, ["<class", *PARTS], shown)
    answer_all(report.facts)
    for warning in report.warnings:
        answer(f"Warning: {worded(warning)}")
