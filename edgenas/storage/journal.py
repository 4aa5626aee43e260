"""`Journal`: Optuna's journal file, made to outlive whoever writes to it."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from optuna.storages.journal import BaseJournalBackend, JournalFileBackend

from edgenas.errors import EdgeNASError
from edgenas.files import cut_torn_line

if sys.platform != "win32":
    import fcntl

NOTICE_S = 3.0
"""How long a lock is waited for before that is said. A record is written in milliseconds."""
PATIENCE_S = 30.0
"""How long at all."""

_log = logging.getLogger(__name__)


class Journal(JournalFileBackend):
    """A file of records, one a line, in Optuna's format, which its own backend and optuna-dashboard read and write as well.

    Two things differ. The lock is the kernel's, on the file itself, so that it ends with the process that holds it, however
    that dies; Optuna's is a link beside the file, which a killed process leaves behind. And a last line that a killed process
    or a full disk left incomplete is cut before another is appended.
    """

    def __init__(self, path: Path):
        self._path = path.absolute()
        super().__init__(str(self._path))

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        lines = b"".join(json.dumps(log, separators=(",", ":")).encode() + b"\n" for log in logs)
        with _locked(self._path) as file:
            cut_torn_line(file)
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())

    def mend(self) -> None:
        """Keep the records up to the first line that is none; what follows it, whose meaning depends on it, is put aside."""
        if _first_damaged(self._path.read_bytes()) is None:
            return
        with _locked(self._path) as file:  # nobody is in the middle of writing now
            cut_torn_line(file)
            file.seek(0)
            content = file.read()
            if (damaged := _first_damaged(content)) is None:
                return
            line, begin = damaged
            aside = self._path.with_name(f"{self._path.name}.damaged")
            with aside.open("ab") as others:
                others.write(content[begin:])
            file.truncate(begin)
        _log.warning("%s is damaged from line %d on. What is before is kept; the rest is now in %s.", self._path, line, aside)


class JournalCopy(BaseJournalBackend):
    """The records that a journal has now, up to the first that is none, in memory. What is added stays there: the file is read
    once, without a lock, and never written, whoever is at work on it. One that is not there has none."""

    def __init__(self, path: Path):
        content = path.read_bytes() if path.exists() else b""
        damaged = _first_damaged(content)
        if damaged is not None and content.find(b"\n", damaged[1]) >= 0:  # else it is one that is being written
            _log.warning("%s is damaged from line %d on. What is before counts.", path, damaged[0])
        self._logs = [json.loads(line) for line in content[: damaged and damaged[1]].splitlines()]

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        return self._logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self._logs += logs


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """The file, open to be read, cut and appended to, and nobody else's meanwhile. Closing it gives it free."""
    with path.open("a+b") as file:
        _wait_for_lock(file, path)
        yield file


def _wait_for_lock(file: BinaryIO, path: Path) -> None:
    begin, said = time.monotonic(), False
    while not _try_lock(file, path):
        waited = time.monotonic() - begin
        if waited > PATIENCE_S:
            raise EdgeNASError(
                f"{path} has been locked by another process for {PATIENCE_S:g} s: it is stopped, or its disk does not answer. "
                "End it or let it go on, then run the same command again."
            )
        if waited > NOTICE_S and not said:
            _log.warning("Waiting for another process that writes to %s.", path)
            said = True
        time.sleep(0.005)


def _try_lock(file: BinaryIO, path: Path) -> bool:
    """Whether it is ours now. On Windows, and where a file system knows no locks, it always is."""
    try:
        if sys.platform != "win32":
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        _log.warning("%s cannot be locked (%s): let no two searches use it at once.", path, error.strerror)
    return True


def _first_damaged(content: bytes) -> tuple[int, int] | None:
    """The first line that is no record: its number, from 1, and where it begins."""
    begin = 0
    for number, line in enumerate(content.splitlines(keepends=True), start=1):
        if not line.endswith(b"\n") or not _is_record(line):
            return number, begin
        begin += len(line)
    return None


def _is_record(line: bytes) -> bool:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(record, dict) and isinstance(record.get("op_code"), int)
