"""What the commands show: the answer, which is tables and lines on standard output, and what is said on the way to it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from edgenas.bars import bars_console, hushed
from edgenas.metric import Score
from edgenas.names import pasted, printable
from edgenas.processes import is_main_process

WIDE = 200
"""Characters of a line of a table where nobody says how many there is room for: in a file, or for another program."""
GAP = 2
"""Characters between two columns."""
MOST_TEXT = 30
"""Characters that a column of text takes at most, where that is what fits the table."""


@dataclass
class _Voice:
    """answers: whether the answer is for people, on standard output. It is on standard error where another program has that,
    and nowhere where that program alone is asked."""

    answers: bool = True
    is_for_programs: bool = False


_voice = _Voice()


@contextmanager
def speaking(*, as_json: bool, quiet: bool) -> Iterator[None]:
    """How a command speaks until the block ends: `--json` has standard output to itself, `--quiet` leaves the answer alone."""
    global _voice
    before, _voice = _voice, _Voice(answers=not (as_json and quiet), is_for_programs=as_json)
    with ExitStack() as until:
        if quiet:
            until.enter_context(hushed())
        try:
            yield
        finally:
            _voice = before


def say(text: str) -> None:
    """A line on the way, on standard error."""
    _print_line(bars_console(), text)


def answer(text: str) -> None:
    """A line of what was asked for."""
    if console := _answering():
        _print_line(console, text)


def answer_all(sentences: Iterable[str]) -> None:
    for sentence in sentences:
        answer(sentence)


def conclude(achieved: str, *do_next: str | os.PathLike[str]) -> None:
    """The last line after long work: what it has come to, and the command to go on with, to be pasted.

    do_next: the words of that command, after `edgenas`.
    """
    words = [str(word) if str(word).startswith("--") else pasted(word) for word in do_next]
    answer(" ".join([achieved, *(["Next: edgenas", *words] if words else [])]))


def tabulate(title: str, columns: Sequence[str], rows: Iterable[Iterable[str]], keys: int = 1) -> None:
    """A table of the answer. Columns whose name begins with `<` are aligned to the left, others to the right.

    keys: how many columns say what a row is of. Where not all columns fit beside each other, the others go on beneath, with
    these beside them again. What is too wide even so is wrapped, not cut.
    """
    if (console := _answering()) is None:
        return
    cells = [[printable(cell) for cell in row] for row in rows]
    console.print(title, style="bold")
    for widths in _side_by_side(columns, cells, keys, console.width):
        grid = Table(
            header_style="bold", box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0)
        )  # fmt: skip
        for column, width in widths.items():
            name, justify = columns[column].removeprefix("<"), "left" if columns[column].startswith("<") else "right"
            grid.add_column(name, justify=justify, overflow="fold", width=width)  # type: ignore[arg-type]
        for row in cells:
            grid.add_row(*(row[column] for column in widths))
        console.print(grid)
        console.print()


def _side_by_side(columns: Sequence[str], rows: Sequence[Sequence[str]], keys: int, width: int) -> list[dict[int, int]]:
    """Which columns are shown beside each other, and how wide: as many as fit, one at least, beside those that say what a row
    is of. Headings may be wrapped for that, and long texts."""
    least, most = [], []
    for column, name in enumerate(columns):
        longest = max((cell_len(row[column]) for row in rows), default=0)
        heading = name.removeprefix("<")
        text = min(longest, MOST_TEXT) if name.startswith("<") else longest
        least.append(max([text, *map(cell_len, heading.split())]))
        most.append(max(longest, cell_len(heading)))
    parts = [list(range(keys))]
    for column in range(keys, len(columns)):
        if len(parts[-1]) > keys and _total(least[i] for i in [*parts[-1], column]) > width:
            parts.append(list(range(keys)))
        parts[-1].append(column)
    return [_fitted({i: least[i] for i in part}, most, width) for part in parts]


def _fitted(widths: dict[int, int], most: Sequence[int], width: int) -> dict[int, int]:
    """With the room that is left, or less where it is too much."""
    for column in widths:
        widths[column] += max(0, min(most[column] - widths[column], width - _total(widths.values())))
    while _total(widths.values()) > width and max(widths.values()) > 1:
        widths[max(widths, key=lambda column: widths[column])] -= 1
    return widths


def _total(widths: Iterable[int]) -> int:
    """Of columns beside each other."""
    each = list(widths)
    return sum(each) + GAP * (len(each) - 1)


def _width() -> int | None:
    """Of the terminal, or as $COLUMNS says; None where nobody does."""
    return Console().width if os.environ.get("COLUMNS", "").isdigit() or sys.stdout.isatty() else None


def _answering() -> Console | None:
    """Where the answer is printed; None: nowhere.

    Text is printed as it is, since names in it are others': `[red]` is no colour there and `:cat:` no picture.
    """
    if not (_voice.answers and is_main_process()):
        return None
    return Console(stderr=_voice.is_for_programs, width=_width() or WIDE, markup=False, emoji=False, highlight=False)


def _print_line(console: Console, text: str) -> None:
    """Wrapped between words, but for what is to be pasted, and where nobody knows how wide lines may be."""
    is_to_paste = "/" in text or "edgenas " in text
    console.print(text, soft_wrap=is_to_paste or _width() is None)


def scored(score: Score | None) -> str:
    """A value with its 95 % interval, where that is known."""
    if score is None or score.low is None or score.high is None:
        return percent(None if score is None else score.value)
    return f"{percent(score.value)} ({100 * score.low:.1f}-{100 * score.high:.1f})"


def percent(value: float | None, digits: int = 2) -> str:
    """A dash for None, what nobody knows."""
    return "-" if value is None else f"{100 * value:.{digits}f} %"
