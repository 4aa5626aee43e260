"""How long work tells how far it is: functions take a `track` and wrap the loop they run in it."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

T = TypeVar("T")


class Track(Protocol):
    """Yields the items of a loop and shows its progress. The command line's shows a bar with the time left."""

    def __call__(self, items: Iterable[T], description: str, total: int | None = None) -> Generator[T]: ...


def quiet(items: Iterable[T], description: str, total: int | None = None) -> Generator[T]:
    """A `Track` that shows nothing: the library's default."""
    yield from items


@contextmanager
def ticking(track: Track, description: str, seconds: float) -> Iterator[None]:
    """Progress by the clock, for work that takes a known time and tells nothing in the meantime."""
    ended = threading.Event()
    bar = iter(track(range(max(1, round(seconds))), description))

    def tick() -> None:
        next(bar, None)
        while not ended.wait(1):
            next(bar, None)

    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    try:
        yield
    finally:
        ended.set()
        ticker.join()
        bar.close()
