"""`Format`: a kind of file of plain data, with its version. Sizes and nesting are bounded before anything is built."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from edgenas import files
from edgenas.errors import CheckpointError, EdgeNASError, UsageError
from edgenas.values.kinds import GivenPath
from edgenas.values.reading import Unfit, plain, read

T = TypeVar("T")

MOST_BYTES = 32 * 2**20
"""Of a file of plain data. Tables of a large space, the largest, have a hundredth of that."""


def read_text(path: Path, what: str, most_bytes: int = MOST_BYTES, error: type[EdgeNASError] = EdgeNASError) -> str:
    """A text file, as `edgenas.names.text_of` decodes it.

    Raises `error`, naming `what` it should have been, when it is not there or cannot be read.
    """
    try:
        return files.read_text(read(GivenPath, path, "the path"), most_bytes)
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
            raise self._damaged(where, str(error)) from None

    def save(self, path: Path, value: T, **others: Any) -> None:
        """others: entries for readers of the file, which `upgrade` takes away."""
        files.write_json(path, ({"version": self.version} if self.version else {}) | plain(value) | others)

    def _decoded(self, path: Path) -> Any:
        text = read_text(path, self.what)
        try:
            return decoded_json(text)
        except ValueError as error:
            raise self._damaged(str(path), str(error)) from None

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

    def _damaged(self, where: str, reason: str) -> CheckpointError:
        return CheckpointError(f"{where} is no {self.what}, or damaged: {reason.rstrip('.')}. {self.remedy}".rstrip())
