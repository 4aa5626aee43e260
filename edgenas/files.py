"""Files that are either whole or absent, and where EdgeNAS keeps what can be made again."""

from __future__ import annotations

import errno
import glob
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import tomli_w

from edgenas import names
from edgenas.errors import EdgeNASError, UsageError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


TRIES = 20
"""To keep a temporary file that others sweep before it is locked."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place by one rename if the block ends without an error.

    Whatever happens, `path` holds its old content or its new content, whole. Raises EdgeNASError when the disk is full
    or the folder cannot be written.
    """
    path = Path(path)
    temporary = handle = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent, path.name)
        temporary, handle = _own(partial(_make_file, path))
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EdgeNASError(
                f"The disk is full: {path} was not written. Free some space and run the same command again."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
            raise EdgeNASError(f"{path} cannot be written: {error.strerror}.") from error
        raise
    finally:
        if temporary is not None and handle is not None:
            temporary.unlink(missing_ok=True)
            os.close(handle)


@contextmanager
def building(folder: Path) -> Iterator[Path]:
    """A new folder beside `folder`, to be filled and to take its place by a rename; it is deleted where it does not."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary, handle = _own(lambda: Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent)))
    try:
        yield temporary
    finally:
        os.close(handle)
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def scratch(name: str, parent: Path | None = None) -> Iterator[Path]:
    """A folder for what is needed for a moment, in the system's folder for that or in `parent`. What killed processes left of
    the same name there is deleted first."""
    folder = (Path(tempfile.gettempdir()) if parent is None else parent) / f"edgenas-{name}"
    sweep(folder.parent, folder.name)
    with building(folder) as temporary:
        yield temporary


def sweep(folder: Path, name: str = "*") -> None:
    """Delete what killed processes left of files that they were `replacing`, or `building`, in a folder, of one name or all.

    A process at work holds a lock on its own, which ends with it, however it does.
    """
    for left in folder.glob(f".{glob.escape(name) if name != '*' else name}.????????"):
        with suppress(OSError):
            handle = os.open(left, os.O_RDONLY)
            try:
                if locked_alone(handle):
                    _delete(left)
            finally:
                os.close(handle)


def _make_file(path: Path) -> Path:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    return Path(name)


def _own(make: Callable[[], Path]) -> tuple[Path, int]:
    """A temporary path that `make` makes, and its open handle, with the lock that keeps it from being swept.

    Another process may sweep it before it is opened or locked: then there is another.
    """
    for tries_left in reversed(range(TRIES)):
        path = make()
        try:
            handle = os.open(path if fcntl else os.devnull, os.O_RDONLY)
        except FileNotFoundError:
            if tries_left:
                continue
            raise
        # Where a file system knows no locks nothing is swept.
        if not tries_left or (_locked(handle) is not False and path.exists()):
            break
        os.close(handle)
        _delete(path)
    return path, handle


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def locked_alone(handle: int) -> bool:
    """Whether an open file is now locked by this process alone. Where a file system knows no locks, it never is."""
    return _locked(handle) is True


def _locked(handle: int) -> bool | None:
    """Whether an open file is now locked by this process, and not by another; None where a file system knows no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def write_bytes(path: Path, data: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode())


def read_text(path: Path, most_bytes: int | None = None) -> str:
    """The text of a file, in UTF-8 whatever the locale (`edgenas.names.text_of`).

    Raises OSError, UnicodeDecodeError and, where it has more bytes than that, ValueError.
    """
    with Path(path).open("rb") as file:
        content = file.read(-1 if most_bytes is None else most_bytes + 1)
    if most_bytes is not None and len(content) > most_bytes:
        raise ValueError(f"it has more than {most_bytes // 2**20} MiB")
    return names.text_of(content)


def append_line(path: Path, line: str) -> None:
    """Add a line to a file of lines, or begin it. What a killed process left of a line of its own is cut first."""
    with path.open("a+b") as file:
        cut_torn_line(file)
        file.write(line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def cut_torn_line(file: BinaryIO) -> None:
    """Cut the last line if it has no end."""
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        begin = max(0, end - 65536)
        file.seek(begin)
        found = file.read(end - begin).rfind(b"\n")
        if found >= 0:
            end = begin + found + 1
            break
        end = begin
    file.truncate(end)


def write_toml(path: Path, data: dict[str, Any], comment: str = "") -> None:
    """comment: one or more lines above the content."""
    lines = "".join(f"# {line}\n" for line in comment.splitlines())
    write_text(path, lines + tomli_w.dumps(names.storable(data)))


def write_json(path: Path, data: Any) -> None:
    write_text(path, to_json(data) + "\n")


def to_json(data: Any) -> str:
    """Plain data as text to read: an entry on a line, but a list of numbers, such as a row of a matrix, on one."""
    return "".join(_json_parts(data, "\n"))


def _json_parts(data: Any, newline: str) -> Iterator[str]:
    """newline: with the indentation of the line that `data` begins in."""
    if isinstance(data, dict) and data:
        entries, (begin, end) = [(_as_key(name), value) for name, value in data.items()], "{}"
    elif isinstance(data, list | tuple) and not all(isinstance(value, int | float) for value in data):
        entries, (begin, end) = [("", value) for value in data], "[]"
    else:
        yield json.dumps(data)
        return
    for number, (key, value) in enumerate(entries):
        yield f"{',' if number else begin}{newline} {key}"
        yield from _json_parts(value, newline + " ")
    yield newline + end


def _as_key(name: Any) -> str:
    """`json` makes texts of other keys, too."""
    return json.dumps({name: 0})[1:-2]


def now() -> str:
    """The time that files are given: that of $SOURCE_DATE_EPOCH where it is set, so that they can be made again byte by byte.

    See https://reproducible-builds.org/specs/source-date-epoch. Raises UsageError where it is no number of seconds.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        moment = datetime.now(UTC) if not epoch else datetime.fromtimestamp(int(epoch), UTC)
    except (ValueError, OverflowError, OSError):
        raise UsageError(f"SOURCE_DATE_EPOCH must be a number of seconds, not {str(epoch)[:50]!r}: unset it.") from None
    return moment.isoformat(timespec="seconds")


def read_member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """The content of a file in an archive. Raises tarfile.TarError for what is no file, such as a folder."""
    file = tar.extractfile(member)
    if file is None:
        raise tarfile.ReadError(f"{member.name} is no file")
    return file.read()


def cache_dir() -> Path:
    """Where decoded images and helper environments are kept: $EDGENAS_CACHE, else ~/.cache/edgenas. Safe to delete."""
    return Path(os.environ.get("EDGENAS_CACHE") or Path.home() / ".cache" / "edgenas")
