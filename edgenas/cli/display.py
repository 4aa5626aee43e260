"""What the commands show: progress bars, tables, notes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from edgenas.processes import leads

T = TypeVar("T")

# Where no terminal says how wide it is, lines and tables are as long as they need to be.
console = Console(highlight=False, width=None if sys.stdout.isatty() else 200, quiet=not leads())
progress_console = Console(stderr=True, highlight=False, quiet=not leads())


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """A bar with the time left, on standard error. It is gone when the work is done.

    Bars may nest: the inner one appears beneath the outer one.
    """
    if total is None and hasattr(items, "__len__"):
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
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=progress_console,
                transient=True,
                disable=progress_console.quiet or not progress_console.is_terminal,
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


def say(text: str) -> None:
    """A line for the person at the terminal."""
    (_Bars.progress.console if _Bars.progress else progress_console).print(text, markup=False, soft_wrap=True)


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> Table:
    """Columns whose name begins with `<` are aligned to the left, others to the right. What is too wide is wrapped, not cut."""
    grid = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=SIMPLE_HEAD)
    for name in columns:
        grid.add_column(name.removeprefix("<"), justify="left" if name.startswith("<") else "right", overflow="fold")
    for row in rows:
        grid.add_row(*row)
    return grid


def counted(epochs: int) -> str:
    return "1 epoch" if epochs == 1 else f"{epochs} epochs"


def percent(value: float, digits: int = 2) -> str:
    return f"{100 * value:.{digits}f} %"
