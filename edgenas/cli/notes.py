"""What the library notes on its way, for the person at the terminal."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from edgenas.cli.vocabulary import worded


@contextmanager
def shown_notes() -> Iterator[None]:
    """Show what the library notes on its way, in the command line's words, until the block ends."""

    class Shown(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            from edgenas.cli.display import say  # here, so that `edgenas --help` waits for nothing

            say(worded(record.getMessage()))

    log, handler = logging.getLogger("edgenas"), Shown()
    level = log.level
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
