"""Where EdgeNAS writes: whether it may, and how much room there is."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgenas.doctor.finding import BROKEN, NOTE, OK, Finding
from edgenas.files import cache_dir

AREA = "disk"
LEAST, COMFORTABLE = 200e6, 2e9
"""Bytes without which a training cannot keep its checkpoints, and with which decoded photos fit, too."""


def check_disk() -> Iterator[Finding]:
    places = {
        "runs/": (Path("runs"), "trainings and their results"),
        "devices/": (Path("devices"), "latency tables"),
        "cache": (cache_dir(), "decoded images; $EDGENAS_CACHE names another folder"),
        "temporary": (Path(tempfile.gettempdir()), "jobs of the timer; $TMPDIR names another folder"),
    }
    for name, (folder, what) in places.items():
        yield _check(name, folder, what)


def _check(name: str, folder: Path, what: str) -> Finding:
    there = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        return Finding(AREA, name, BROKEN, f"{there} cannot be written, for {what}", "mend its rights, or use another folder.")
    free = shutil.disk_usage(there).free
    found = f"{free / 1e9:.1f} GB are free at {there}, for {what}"
    if free < LEAST:
        return Finding(AREA, name, BROKEN, found, "free some space.")
    if free < COMFORTABLE:
        return Finding(AREA, name, NOTE, found, "photos take a few GB when they are decoded: free some space, or use `stream`.")
    return Finding(AREA, name, OK, found)
