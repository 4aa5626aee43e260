"""`attempt`: a search that was begun is written down until it ends, so that one that is killed goes on as if it never had been.

Whoever goes on repeats it from its beginning with the same seed. What was evaluated then is not evaluated again, and counts as
it did (`edgenas.search.ledger.Ledger`); what was known before is known as it was: so it ends with what it would have found.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgenas.device import Execution
from edgenas.errors import InfeasibleError, UsageError
from edgenas.files import locked_alone
from edgenas.values import decoded_json, plain, read
from edgenas.values.kinds import Hex, Milliseconds, Name, Text

NAME = "unfinished.json"


@dataclass(frozen=True)
class Sought:
    """What a search looks for, for those who watch it. executions: one in each precision that it searches in."""

    device: Name
    executions: tuple[Execution, ...]
    budgets_ms: tuple[Milliseconds, ...]
    metric: Text


@dataclass(frozen=True)
class Attempt:
    """id: by which the ledger knows its evaluations. asked: a hash of what was asked for."""

    id: Hex
    asked: Hex
    sought: Sought | None = None


@contextmanager
def attempt(folder: Path, asked: object, name: str = NAME, sought: Sought | None = None) -> Iterator[tuple[str, bool]]:
    """The id of a search, and whether it is one that was begun before and goes on: the same was asked for then.

    folder: of the run's searches, where it is written down, in a file of this name, until the block ends without an error. A
    lock tells whether its process is at work: a search that begins beside it cannot be gone on with later, and is not written
    down.
    """
    wanted = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]
    new = Attempt(uuid.uuid4().hex, wanted, sought)
    path = folder / name
    folder.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        if not locked_alone(file.fileno()):
            yield new.id, False
            return
        begun = unfinished(folder, name)
        goes_on = begun is not None and begun.asked == wanted
        current = begun if begun is not None and goes_on else new
        if not goes_on:
            file.truncate(0)
            file.write(json.dumps(plain(new)).encode())
            file.flush()
            os.fsync(file.fileno())
        try:
            yield current.id, goes_on
        except (InfeasibleError, UsageError):  # before anything is evaluated
            path.unlink(missing_ok=True)
            raise
        path.unlink(missing_ok=True)


def unfinished(folder: Path, name: str = NAME) -> Attempt | None:
    """The search that has not ended; None where there is none, or its process was killed while it wrote that down."""
    try:
        found: Attempt = read(Attempt, decoded_json((folder / name).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None
    return found
