"""How long work tells how far it is: functions take a `track` and wrap the loop they run in it."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Track(Protocol):
    """Yields the items of a loop and shows its progress. The command line's shows a bar with the time left."""

    def __call__(self, items: Iterable[T], description: str, total: int | None = None) -> Generator[T]: ...


def quiet(items: Iterable[T], description: str, total: int | None = None) -> Generator[T]:
    """A `Track` that shows nothing: the library's default."""
    yield from items
