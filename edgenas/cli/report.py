"""`edgenas report`."""

from __future__ import annotations

from pathlib import Path

import click

from edgenas.bars import track
from edgenas.cli.answering import Answering, reply
from edgenas.cli.options import data_option, open_run, run_argument
from edgenas.cli.show_report import show_report
from edgenas.pipeline.report import report_run


@click.command("report", cls=Answering)
@run_argument
@data_option
def command(run: Path | None, data: str | None) -> None:
    """Show a run's results: tables here, and in its folder report.html, a page that opens offline.

    There are report.json, classes.csv, confusion.csv and the front as a picture, too.

    \b
    edgenas report runs/photos

    What edgenas baseline has trained is shown beside the winners.
    """
    opened = open_run(run)
    report = report_run(opened, data=data, track=track)
    show_report(opened, report)
    reply(report)
