"""`edgenas doctor`."""

from __future__ import annotations

import sys
from dataclasses import replace

import click

from edgenas.bars import track
from edgenas.cli.answering import Answering, reply
from edgenas.cli.display import answer
from edgenas.cli.options import device_names
from edgenas.cli.vocabulary import worded
from edgenas.doctor import Finding
from edgenas.pipeline.doctor import Diagnosis, examine
from edgenas.words import counted


@click.command("doctor", cls=Answering)
@click.option(
    "--device", shell_complete=device_names,
    help="Look at this device instead: a profile such as pi4, or your own in devices/.",
)  # fmt: skip
@click.option("--on", metavar="local|ssh://USER@HOST[:PORT]|adb", help="Where it is.  [default: local, if it is this machine]")
def command(device: str | None, on: str | None) -> None:
    """Look for what is missing, slow or broken, and say what to do about it. Nothing is changed.

    \b
    edgenas doctor
    edgenas doctor --device pi4 --on ssh://pi@raspberrypi.local
    edgenas doctor --device android --on adb

    Every runtime that is installed really computes a small network. The exit status is 1 where something is broken, else 0.
    """
    found: list[Finding] = []
    for finding in examine(device, on, track=track):
        finding = replace(finding, found=worded(finding.found), advice=worded(finding.advice))
        if not found or found[-1].area != finding.area:
            answer(finding.area.capitalize())
        answer(_line(finding))
        found.append(finding)
    diagnosis = Diagnosis(tuple(found))
    reply(diagnosis)
    if diagnosis.broken:
        names = ", ".join(finding.name for finding in diagnosis.broken)
        answer(f"{counted(len(diagnosis.broken), 'thing is', 'things are')} broken: {names}. What to do is said above.")
        sys.exit(1)
    answer(f"Nothing is broken; {counted(len(diagnosis.notes), 'note')}.")


def _line(finding: Finding) -> str:
    advice = f" -> {finding.advice}" if finding.advice else ""
    return f"  {finding.state:<6}  {finding.name}: {finding.found}{advice}"
