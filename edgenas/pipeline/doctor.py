"""Doctor: what may be wrong here, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from edgenas.device import RUNTIMES, python_target
from edgenas.device.runtimes import PYTHON
from edgenas.doctor import (
    BROKEN,
    NOTE,
    Finding,
    check_device,
    check_disk,
    check_extras,
    check_installation,
    check_machine,
    check_runtimes,
    check_telemetry,
)
from edgenas.errors import EdgeNASError, UsageError
from edgenas.progress import Track, quiet
from edgenas.values import plain


@dataclass(frozen=True)
class Diagnosis:
    """Everything that was looked at, in the order in which it was."""

    findings: tuple[Finding, ...]

    @property
    def broken(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.state == BROKEN)

    @property
    def notes(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.state == NOTE)

    def to_json(self) -> dict[str, Any]:
        return {"broken": len(self.broken), "notes": len(self.notes), "findings": plain(self.findings)}


def examine(device: str | None = None, on: str | None = None, *, track: Track = quiet) -> Iterator[Finding]:
    """Look at this installation and machine, or at a device: a finding for everything, as it is found. Nothing is changed.

    device: the name of a profile. on: where it is, `local` or `ssh://USER@HOST[:PORT]`.
    """
    if device is not None:
        yield from check_device(device, on, track)
        return
    if on is not None:
        raise UsageError("`on` says where a device is: say which with `device`.")
    yield from check_installation()
    yield from check_extras()
    yield from check_runtimes(track)
    yield from _machine()
    yield from check_telemetry()
    yield from check_disk()


def _machine() -> Iterator[Finding]:
    """As the timer sees it, in the first runtime in which it works."""
    for runtime in RUNTIMES.values():
        if runtime.where == PYTHON and runtime.python is not None:
            try:
                about = python_target(runtime.python).environment(runtime.name)
            except EdgeNASError:
                continue
            yield from check_machine(about)
            return
