"""`edgenas ui`."""

from __future__ import annotations

from pathlib import Path

import click

from edgenas.bars import track
from edgenas.cli.answering import Answering, reply
from edgenas.cli.display import answer, say
from edgenas.cli.options import data_option, run_argument
from edgenas.cli.stopping import exit_status
from edgenas.cli.vocabulary import worded
from edgenas.pipeline.ui import latest, live_page


@click.command("ui", cls=Answering)
@run_argument
@click.option("--port", type=int, default=0, help="Of this machine.  [default: a free one]")
@data_option
def command(run: Path | None, port: int, data: str | None) -> None:
    """Show a run in the browser while it is trained and searched: the page of edgenas report, of what there is so far.

    \b
    edgenas ui runs/photos

    The page follows what is new by itself, until Ctrl-C. It is there for this machine alone and whoever has its address, and
    nothing is written into the run.
    """
    if run is None:
        run = latest()
        click.echo(f"Using the latest run: {run}", err=True)
    with live_page(run, port=port, data=data, track=track, in_words=worded) as page:
        answer(page.address)
        answer(f"Shows {run} as it grows, to a browser on this machine. Ctrl-C ends it.")
        reply({"address": page.address})
        try:
            page.follow()
        except KeyboardInterrupt as stop:
            say("\nEnded. The page stays open as it is, and follows no more.")
            raise SystemExit(exit_status(stop)) from None
