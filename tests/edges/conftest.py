"""A working folder with a small run, quickly: the run of commit 1a12b32, its table, and files of every other kind."""

from __future__ import annotations

import os
import resource
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

OLD = Path(__file__).parents[1] / "pipeline" / "run_of_1a12b32"
TABLE = Path("devices/cpu/onnxruntime-fp32-1t.json")

SECONDS = 10
"""How long a refusal may take. It takes milliseconds, on a busy machine too."""
BYTES = 2 * 2**30
"""How much memory may be asked for before a refusal."""


@pytest.fixture(scope="session")
def old_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """runs/old and devices/cpu."""
    folder = tmp_path_factory.mktemp("edges")
    shutil.copytree(OLD, folder / "runs" / "old")
    (folder / TABLE).parent.mkdir(parents=True)
    (folder / "runs/old/table.json").rename(folder / TABLE)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    """Everything in a folder: files with what is in them, folders with a slash."""
    return {
        f"{path.relative_to(folder)}{'/' * path.is_dir()}": path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


class Hang(Exception):
    """What was to be refused was still at work."""


@contextmanager
def bounded(seconds: int = SECONDS, more_bytes: int = BYTES) -> Iterator[None]:
    """Raises Hang after so long, and lets no more memory be had than is had already and so much more."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Hang

    had = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGALRM, stop)
    resource.setrlimit(resource.RLIMIT_AS, (had + more_bytes, hard))
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
