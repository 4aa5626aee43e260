"""`Format`, a kind of JSON file with its version, and `Columns`, a kind of CSV file.

Sizes and nesting are bounded before anything is built.
"""

from __future__ import annotations

import csv
import io
import json
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TextIO, TypeVar

from edgenas import files
from edgenas.errors import CheckpointError, EdgeNASError, UsageError
from edgenas.values.kinds import GivenPath
from edgenas.values.reading import Unfit, plain, read
from edgenas.values.rules import Rule

T = TypeVar("T")

MOST_BYTES = 64 * 2**20
"""Of a file of plain data. Verifications of a thousand classes in all runtimes, the largest, have half of that."""
MOST_LINE = 100_000
"""Characters of a row of a table."""


def read_text(path: Path, what: str, most_bytes: int = MOST_BYTES, error: type[EdgeNASError] = EdgeNASError) -> str:
    """A text file, as `edgenas.names.text_of` decodes it.

    Raises `error`, naming `what` it should have been, when it is not there or cannot be read.
    """
    with _reading(path, what, error):
        return files.read_text(read(GivenPath, path, "the path"), most_bytes)


@contextmanager
def _reading(path: Path, what: str, error: type[EdgeNASError]) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise error(f"There is no {what} at {path}.") from None
    except Unfit as refusal:
        raise UsageError(f"There is no {what} there: {refusal}") from None
    except OSError as failure:
        raise error(f"{path} is no {what}: it cannot be read ({failure.strerror}).") from None
    except UnicodeDecodeError:
        raise error(f"{path} is no {what}: it is no text.") from None
    except ValueError as failure:
        raise error(f"{path} is no {what}: {failure}.") from None


def decoded_json(text: str | bytes) -> Any:
    """Raises ValueError for what is no JSON, or nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def decoded_toml(text: str) -> dict[str, Any]:
    """Raises ValueError for what is no TOML, or nested too deeply; `tomllib.TOMLDecodeError`, which is one, names the line."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


@dataclass(frozen=True)
class Format(Generic[T]):
    """A kind of JSON file: the version that this EdgeNAS writes, and the dataclass that it holds.

    what: it is called in messages. remedy: what to do about a damaged one. version: 0 of files that never had one.
    oldest: the first version that is still understood. upgrade: from the plain data of an older version, or with entries that
    are there for readers alone, to what the dataclass takes; it may change what it gets, which may be anything within a table.
    """

    what: str
    kind: type[T]
    version: int = 0
    oldest: int = 0
    remedy: str = ""
    upgrade: Callable[[dict[str, Any], int], None] = lambda data, version: None

    def load(self, path: Path) -> T:
        """Raises EdgeNASError where it is not there, CheckpointError where it is damaged, too new or too old."""
        return self.read(self._decoded(path), str(path))

    def read(self, data: Any, where: str) -> T:
        """The value of plain data. where: it comes from, for the message."""
        try:
            data, version = self._versioned(data, where)
            self.upgrade(data, version)
            return read(self.kind, data)
        except (Unfit, AttributeError, KeyError, TypeError) as error:  # the latter of an upgrade that finds another form
            raise _damaged(where, self.what, str(error), self.remedy) from None

    def save(self, path: Path, value: T, **others: Any) -> None:
        """others: entries for readers of the file, which `upgrade` takes away."""
        files.write_json(path, ({"version": self.version} if self.version else {}) | plain(value) | others)

    def _decoded(self, path: Path) -> Any:
        text = read_text(path, self.what)
        try:
            return decoded_json(text)
        except ValueError as error:
            raise _damaged(str(path), self.what, str(error), self.remedy) from None

    def _versioned(self, data: Any, where: str) -> tuple[dict[str, Any], int]:
        if not isinstance(data, dict):
            raise Unfit("it is no table")
        data = dict(data)
        if not self.version:
            return data, 0
        version = read(int, data.pop("version", None), "version")
        if version > self.version:
            raise CheckpointError(f"{where} was written by a newer EdgeNAS: update EdgeNAS to read it.")
        if version < self.oldest:
            raise CheckpointError(f"{where} was written by an older EdgeNAS, and is not read any more. {self.remedy}")
        return data, version


@dataclass(frozen=True)
class Columns:
    """A kind of CSV file: a line with the names of its columns, then a row for everything that it lists.

    what: it is called in messages. columns: the rules that the texts of each keep. remedy: what to do about a damaged one.
    """

    what: str
    columns: Mapping[str, Sequence[Rule]]
    remedy: str = ""
    most_bytes: int = 2**28

    def load(self, path: Path) -> dict[str, list[str]]:
        """The values of every column. Raises CheckpointError where the file is not there, or damaged."""
        with _reading(path, self.what, CheckpointError):
            if path.stat().st_size > self.most_bytes:
                raise ValueError(f"it has more than {self.most_bytes // 2**20} MiB")
            try:
                with path.open(encoding="utf-8-sig", newline="") as file:
                    return self._read(csv.reader(_lines(file), strict=True))
            except (csv.Error, Unfit) as error:
                raise self.damaged(path, str(error)) from None

    def damaged(self, path: Path, reason: str) -> CheckpointError:
        """What to raise where the values do not belong together."""
        return _damaged(str(path), self.what, reason, self.remedy)

    def _read(self, rows: Iterator[list[str]]) -> dict[str, list[str]]:
        if next(rows, None) != list(self.columns):
            raise Unfit(f"its first line must be {','.join(self.columns)}")
        values: list[list[str]] = [[] for _ in self.columns]
        for number, row in enumerate(rows, 2):
            if len(row) != len(values):
                raise Unfit(f"row {number} must have {len(values)} entries, not {len(row)}")
            for column, text in zip(values, row, strict=True):
                column.append(text)
        table = dict(zip(self.columns, values, strict=True))
        for name, column in table.items():
            for rule in self.columns[name]:
                if not all(map(rule.allows, column)):
                    number = next(number for number, text in enumerate(column, 2) if not rule.allows(text))
                    demanded = f"text {rule.words}".rstrip()
                    raise Unfit(rule.refusal(f"{name} in row {number}", demanded, column[number - 2]))
        return table

    def save(self, path: Path, rows: Iterable[Sequence[str]]) -> None:
        """Raises EdgeNASError where there are more rows than `load` reads."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(rows)
        content = text.getvalue().encode()
        if len(content) > self.most_bytes:
            raise EdgeNASError(f"{path.name} would have more than {self.most_bytes // 2**20} MiB: these are too many images.")
        files.write_bytes(path, content)


def _lines(file: TextIO) -> Iterator[str]:
    """Lines of bounded length."""
    while line := file.readline(MOST_LINE):
        if len(line) == MOST_LINE:
            raise Unfit("a line is too long")
        yield line


def _damaged(where: str, what: str, reason: str, remedy: str) -> CheckpointError:
    return CheckpointError(f"{where} is no {what}, or damaged: {reason.rstrip('.')}. {remedy}".rstrip())
