"""`edgenas add-images`."""

from __future__ import annotations

from pathlib import Path

import click

from edgenas.bars import track
from edgenas.cli.answering import Answering, reply
from edgenas.cli.display import answer, conclude
from edgenas.cli.options import data_option, open_run, run_argument
from edgenas.pipeline.data import add_images
from edgenas.words import counted


@click.command("add-images", cls=Answering)
@run_argument
@data_option
def command(run: Path | None, data: str | None) -> None:
    """Take images that have come to a run's folder since it was trained into its splits.

    \b
    edgenas add-images runs/photos --data photos/

    A run records which images it is trained, validated and tested on, by their content: they may be renamed and moved. Those
    that it does not know are left aside by every other command. Here they are split by the shares of the others, and recorded,
    so that they stay where they are put. No image moves from one split to another. `finetune` trains on the new ones; what was
    searched before was evaluated without them.
    """
    opened = open_run(run)
    added = add_images(opened, data=data, track=track).counts
    reply({"run": opened.path, "counts": added})
    if not any(added.values()):
        answer(f"No image there is new to {opened.path}.")
        return
    by_part = ", ".join(f"{count} for {part}" for part, count in added.items())
    conclude(f"{counted(sum(added.values()), 'new image')} in the splits of {opened.path}: {by_part}.", "finetune", opened.path)
