"""Who holds an entry of a shared storage, and whether that process is known to be dead."""

from __future__ import annotations

import os
from pathlib import Path

PROC = Path("/proc")
_ENDED = ("Z", "X")


def own_worker() -> str | None:
    """This process, unlike any other of any machine: boot, process namespace, number and start. None where that is unknown."""
    machine, begin = _machine(), _begin(os.getpid())
    return None if machine is None or begin is None else f"{machine}:{os.getpid()}:{begin}"


def is_dead(worker: object) -> bool:
    """Whether this was a process of this machine that has ended. False where it cannot be known, as of other machines."""
    machine, _, process = str(worker).rpartition(":")[0].rpartition(":")
    if machine != _machine() or not process.isdecimal():
        return False
    return f"{machine}:{process}:{_begin(int(process))}" != worker


def _machine() -> str | None:
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return f"{boot}:{os.readlink(PROC / 'self/ns/pid')}"
    except OSError:
        return None


def _begin(process: int) -> str | None:
    """When it began, in ticks since the machine did; None of one that is not there or has ended."""
    try:
        state, *others = (PROC / str(process) / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if state in _ENDED else others[18]
