"""Progress bars on standard error: the `Track` of the command line, of tools and of notebooks."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from edgenas.processes import is_main_process

T = TypeVar("T")

_console = Console(stderr=True, markup=False, emoji=False, highlight=False, quiet=not is_main_process())


def track(items: Iterable[T], description: str, total: int | None = None) -> Generator[T]:
    """A bar with the time left, on standard error. It is gone when the work is done.

    Bars may nest: the inner one appears beneath the outer one.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    progress = _Bars.enter()
    task = progress.add_task(description, total=total)
    try:
        for item in items:
            yield item
            progress.advance(task)
    finally:
        progress.remove_task(task)
        _Bars.leave()


class _Bars:
    """The one live display that nested bars share."""

    progress: Progress | None = None
    depth = 0

    @classmethod
    def enter(cls) -> Progress:
        if cls.progress is None:
            cls.progress = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=_console,
                transient=True,
                disable=_console.quiet or not _console.is_terminal,
            )
            cls.progress.start()
        cls.depth += 1
        return cls.progress

    @classmethod
    def leave(cls) -> None:
        cls.depth -= 1
        if cls.depth == 0 and cls.progress is not None:
            cls.progress.stop()
            cls.progress = None


@contextmanager
def hushed() -> Iterator[None]:
    """Within the block neither bars nor lines above them are shown."""
    before, _console.quiet = _console.quiet, True
    try:
        yield
    finally:
        _console.quiet = before


def bars_console() -> Console:
    """Where lines can be printed while bars are shown: above them."""
    return _Bars.progress.console if _Bars.progress else _console
