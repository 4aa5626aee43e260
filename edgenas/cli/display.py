"""What the commands show: lines and tables."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from edgenas.bars import bars_console
from edgenas.metric import Score
from edgenas.names import printable
from edgenas.processes import is_main_process

# Text is printed as it is, since names in it are others': `[red]` is no colour there and `:cat:` no picture.
# Where no terminal says how wide it is, lines and tables are as long as they need to be.
console = Console(
    markup=False, emoji=False, highlight=False, width=None if sys.stdout.isatty() else 200, quiet=not is_main_process()
)


def say(text: str) -> None:
    """A line for the person at the terminal."""
    bars_console().print(text, soft_wrap=True)


def say_all(sentences: Iterable[str]) -> None:
    for sentence in sentences:
        say(sentence)


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> Table:
    """Columns whose name begins with `<` are aligned to the left, others to the right. What is too wide is wrapped, not cut."""
    grid = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=SIMPLE_HEAD)
    for name in columns:
        grid.add_column(name.removeprefix("<"), justify="left" if name.startswith("<") else "right", overflow="fold")
    for row in rows:
        grid.add_row(*map(printable, row))
    return grid


def counted(epochs: int) -> str:
    return "1 epoch" if epochs == 1 else f"{epochs} epochs"


def scored(score: Score | None) -> str:
    """A value with its 95 % interval, where that is known."""
    if score is None or score.low is None or score.high is None:
        return percent(None if score is None else score.value)
    return f"{percent(score.value)} ({100 * score.low:.1f}-{100 * score.high:.1f})"


def percent(value: float | None, digits: int = 2) -> str:
    """A dash for None, what nobody knows."""
    return "-" if value is None else f"{100 * value:.{digits}f} %"
