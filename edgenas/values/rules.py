"""What may be demanded of a value besides its type: written into `typing.Annotated`, beside the type, where a field or a
parameter is declared."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Any

MOST_SHOWN = 60
"""Characters of a wrong value, or name, that a message repeats."""


def shown(value: Any) -> str:
    """A value as a message repeats it: on one line, and not for ever."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of more digits than Python prints, or what is nested too deeply
        text = f"a {type(value).__name__}"
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def unknown(what: str, name: object, known: Iterable[str]) -> str:
    """The sentence for a name that does not exist."""
    names = list(known)
    near = get_close_matches(name, names, n=1, cutoff=0.4) if isinstance(name, str) and len(name) <= MOST_SHOWN else []
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"Unknown {what} {shown(name)}.{hint} Known: {', '.join(names)}."


class Rule:
    """words: what is demanded, to follow the name of the type: `a number` + `above 0`."""

    @property
    def words(self) -> str:
        return ""

    def allows(self, value: Any) -> bool:
        raise NotImplementedError

    def refusal(self, place: str, demanded: str, value: Any) -> str:
        """The sentence for a value that is not allowed."""
        return f"{place} must be {demanded}, not {shown(value)}."


@dataclass(frozen=True)
class Within(Rule):
    """Numbers from `least` to `most`, both included but where `above` or `below` says otherwise. NaN is never within."""

    least: float
    most: float
    above: bool = False
    below: bool = False

    @property
    def words(self) -> str:
        least, most = _plain(self.least), _plain(self.most)
        if not self.above and not self.below and not math.isinf(self.most):
            return f"from {least} to {most}"
        low = f"{'above' if self.above else 'at least'} {least}"
        return low if math.isinf(self.most) else f"{low} and {'below' if self.below else 'at most'} {most}"

    def allows(self, value: Any) -> bool:
        low = value > self.least if self.above else value >= self.least
        return bool(low and (value < self.most if self.below else value <= self.most))


def _plain(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"


@dataclass(frozen=True)
class OrNaN(Rule):
    """What a rule allows, and NaN: of what may be undefined, such as the rank correlation of equal values."""

    rule: Rule

    @property
    def words(self) -> str:
        return self.rule.words

    def allows(self, value: Any) -> bool:
        return value != value or self.rule.allows(value)


class AsWritten(Rule):
    """A number that stays whole, or a float, as it was: where its text is part of a fingerprint."""

    def allows(self, value: Any) -> bool:
        return True


@dataclass(frozen=True)
class Length(Rule):
    """Of a text, a list or a table: so many characters or entries."""

    least: int
    most: int
    of: str = "entries"

    @property
    def words(self) -> str:
        return f"with {self.least if self.least == self.most else f'{self.least} to {self.most}'} {self.of}"

    def allows(self, value: Any) -> bool:
        return self.least <= len(value) <= self.most

    def refusal(self, place: str, demanded: str, value: Any) -> str:
        return f"{place} must be {demanded}, not with {len(value)}."


class Distinct(Rule):
    """A list that names nothing twice."""

    def allows(self, value: Any) -> bool:
        return len(set(value)) == len(value)

    def refusal(self, place: str, demanded: str, value: Any) -> str:
        twice = next(entry for entry in value if list(value).count(entry) > 1)
        return f"{place} must not list {shown(twice)} twice."


class Ascending(Rule):
    """Numbers none of which is smaller than the one before."""

    words = "in ascending order"

    def allows(self, value: Any) -> bool:
        return all(a <= b for a, b in pairwise(value))


@dataclass(frozen=True)
class Matches(Rule):
    """Text that a regular expression matches as a whole."""

    pattern: str
    words: str = ""

    def allows(self, value: Any) -> bool:
        return re.fullmatch(self.pattern, value) is not None


@dataclass(frozen=True)
class OneOf(Rule):
    """One of the names that a collection holds when the value is looked at. what: they name, for the message."""

    what: str
    known: Collection[str]

    def allows(self, value: Any) -> bool:
        return value in self.known

    def refusal(self, place: str, demanded: str, value: Any) -> str:
        return unknown(self.what, value, self.known)


MOST_CORES = 1024


class ListsCores(Rule):
    """Text that names cores of a processor, as the kernel and `taskset` write them."""

    words = "that lists cores, such as 4-7 or 0,2-3"

    def allows(self, value: Any) -> bool:
        return bool(cores_of(value))


def cores_of(text: str) -> tuple[int, ...]:
    """`"0,2-3"` -> `(0, 2, 3)`, sorted; nothing where the text lists no cores."""
    if len(text) > 4 * MOST_CORES or not re.fullmatch(r"\d{1,4}(-\d{1,4})?(,\d{1,4}(-\d{1,4})?)*", text, re.ASCII):
        return ()
    runs = [(int(first), int(last or first)) for first, _, last in (part.partition("-") for part in text.split(","))]
    if any(first > last or last >= MOST_CORES for first, last in runs):
        return ()
    return tuple(sorted({core for first, last in runs for core in range(first, last + 1)}))


MOST_PATH_BYTES, MOST_NAME_BYTES = 4000, 240
"""What file systems take, less what temporary files beside one add to its name."""


class PathLike(Rule):
    """Text that can be the path of a file, whether or not there is one."""

    def allows(self, value: Any) -> bool:
        return not self._wrong(str(value))

    def refusal(self, place: str, demanded: str, value: Any) -> str:
        return f"{place} {shown(str(value))} {self._wrong(str(value))}."

    def _wrong(self, text: str) -> str:
        try:
            encoded = os.fsencode(text)
        except UnicodeEncodeError:
            return "has characters that no file name can have"
        if b"\0" in encoded:
            return "has a NUL character, which no file name can have"
        if len(encoded) > MOST_PATH_BYTES or max(map(len, encoded.split(b"/"))) > MOST_NAME_BYTES:
            return f"is too long: names of files have {MOST_NAME_BYTES} bytes at most, paths {MOST_PATH_BYTES}"
        if text.startswith("~"):
            try:
                Path(text).expanduser()
            except RuntimeError:
                return "begins with the home folder of a user whom this machine does not know"
        return ""


@dataclass(frozen=True)
class Writable(Rule):
    """A path where a folder, or a file, is or can be made."""

    folder: bool

    def allows(self, value: Any) -> bool:
        return not self._wrong(Path(value))

    def refusal(self, place: str, demanded: str, value: Any) -> str:
        return f"{place} {value} cannot be made: {self._wrong(Path(value))}."

    def _wrong(self, path: Path) -> str:
        try:
            if self.folder and (path.exists() or path.is_symlink()) and not path.is_dir():
                return "it is no folder"
            if not self.folder and path.is_dir():
                return "it is a folder"
            above = path if self.folder and path.is_dir() else path.absolute().parent
            while not above.exists():
                above = above.parent
        except OSError as error:
            return error.strerror or str(error)
        if not above.is_dir():
            return f"{above} is no folder"
        return "" if os.access(above, os.W_OK | os.X_OK) and _takes_files(above) else f"{above} cannot be written"


def _takes_files(folder: Path) -> bool:
    """False of what the kernel only shows, where root is told that it may write."""
    return Path("/proc") not in (folder.resolve(), *folder.resolve().parents)
