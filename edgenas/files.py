"""Files that are either whole or absent, and where EdgeNAS keeps what can be made again."""

from __future__ import annotations

import errno
import json
import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgenas.errors import EdgeNASError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place by one rename if the block ends without an error.

    Whatever happens, `path` holds its old content or its new content, whole. Raises EdgeNASError when the disk is full
    or the folder cannot be written.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
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
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode())


def write_json(path: Path, data: Any) -> None:
    write_text(path, json.dumps(data, indent=1) + "\n")


def read_json(path: Path, what: str) -> Any:
    """The content of a JSON file. Raises EdgeNASError naming `what` it should have been when it cannot be read."""
    try:
        return json.loads(Path(path).read_text())
    except FileNotFoundError:
        raise EdgeNASError(f"There is no {what} at {path}.") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise EdgeNASError(f"{path} is no {what}: it is damaged or incomplete ({error}).") from None


def read_member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """The content of a file in an archive. Raises tarfile.TarError for what is no file, such as a folder."""
    file = tar.extractfile(member)
    if file is None:
        raise tarfile.ReadError(f"{member.name} is no file")
    return file.read()


def cache_dir() -> Path:
    """Where decoded images and helper environments are kept: $EDGENAS_CACHE, else ~/.cache/edgenas. Safe to delete."""
    return Path(os.environ.get("EDGENAS_CACHE") or Path.home() / ".cache" / "edgenas")
