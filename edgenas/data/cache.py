"""Images decoded once, into one memory-mapped array, or checked once, to be decoded whenever they are asked for."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgenas.data.decode import decode_all
from edgenas.data.sources import Listing, Source
from edgenas.data.stream import StreamedImages
from edgenas.errors import DataError, EdgeNASError
from edgenas.files import cache_dir, write_json
from edgenas.names import quoted
from edgenas.progress import Track, quiet

VERSION = 1
UNREADABLE_SHARE = 0.05  # of the files; more than this means that something is wrong with all of them


@dataclass(frozen=True, eq=False)
class DecodedImages:
    """The images of a source and what the cache holds of them.

    images: `(n, size, size, 3)` uint8, RGB: memory-mapped and read-only, or streamed. labels: `(n,)` int64, -1 where an
    image could not be read. parts: how many of the `n` belong to each part, in this order. skipped: the files that could
    not be read.
    """

    images: np.ndarray | StreamedImages
    labels: np.ndarray
    classes: tuple[str, ...]
    parts: dict[str, int]
    skipped: tuple[str, ...]
    fingerprint: str


def decoded(
    source: Source,
    size: int,
    *,
    stream: bool = False,
    check: Callable[[np.ndarray, dict[str, int], tuple[str, ...]], None],
    track: Track = quiet,
) -> DecodedImages:
    """The images of a source as squares of `size` pixels, from the cache if they are there and whole.

    stream: keep no pixels, and decode images whenever they are asked for. So it is, too, where they do not fit on the disk.
    Either way every image is decoded once to see whether it can be, which the cache remembers.
    check: called with labels, parts and classes before anything is decoded; may raise.
    Raises DataError when more than 5 % of the files (and more than one) or all of one class cannot be read, EdgeNASError
    when the cache cannot be written.
    """
    stamp = json.dumps([VERSION, size, source.stamp()])
    fingerprint = hashlib.sha256(stamp.encode()).hexdigest()[:16]
    folder = cache_dir() / "data" / fingerprint
    found = None if stream else _read(folder, size)
    if found is not None:
        return found
    listing = source.listing(track)
    check(listing.labels, listing.parts, listing.classes)
    streamed = None
    if stream or not _fits(folder, listing, size):
        folder, streamed = folder.with_name(f"{fingerprint}-streamed"), StreamedImages(source, listing.files, size)
    found = _read(folder, size, streamed) if streamed is not None else None
    if found is None:
        _build(folder, source, listing, size, keep=streamed is None, track=track)
        found = _read(folder, size, streamed)
        if found is None:
            raise EdgeNASError(f"What was decoded into {folder} cannot be read back: check the disk.")
    return found


def _read(folder: Path, size: int, images: StreamedImages | None = None) -> DecodedImages | None:
    """The content of a folder, with its own images or those that are streamed. None when there is none or it is damaged."""
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        labels = np.load(folder / "labels.npy", allow_pickle=False)
        images = images or np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
        classes, parts, skipped = tuple(meta["classes"]), dict(meta["parts"]), tuple(meta["skipped"])
        count = sum(parts.values())
        whole = images.shape == (count, size, size, 3) and images.dtype == np.uint8
        whole = whole and labels.shape == (count,) and labels.dtype == np.int64 and labels.max() < len(classes)
    except (OSError, EOFError, ValueError, TypeError, KeyError):
        return None
    return DecodedImages(images, labels, classes, parts, skipped, folder.name[:16]) if whole else None


def _bytes(listing: Listing, size: int) -> int:
    return len(listing.files) * (size * size * 3 + 8) + 65536


def _fits(folder: Path, listing: Listing, size: int) -> bool:
    """Whether the disk has room for the decoded images. Where that cannot be told, writing them will tell."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep(folder.parent)
        return shutil.disk_usage(folder.parent).free >= _bytes(listing, size)
    except OSError:
        return True


def _build(folder: Path, source: Source, listing: Listing, size: int, keep: bool, track: Track) -> None:
    """Decode into a temporary folder that becomes `folder` when it is complete. keep: the images, not only the labels."""
    parent, temporary = folder.parent, None
    try:
        parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=parent))
        if keep:
            readable = _decode_into(temporary / "images.npy", source, listing, size, track)
        else:
            readable = decode_all(source, listing, size, lambda first, pixels: None, "Checking images", track)
        skipped = _skipped(source, listing, readable)
        np.save(temporary / "labels.npy", np.where(readable, listing.labels, -1))
        write_json(temporary / "meta.json", {"source": source.location, "classes": listing.classes, "parts": listing.parts,
                                             "skipped": skipped})  # fmt: skip
        shutil.rmtree(folder, ignore_errors=True)  # a damaged one
        try:
            temporary.rename(folder)
        except OSError:
            if not folder.is_dir():  # otherwise another process has built the same meanwhile
                raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EdgeNASError(
                f"The decoded images need {_bytes(listing, size):,} bytes in {parent}, and the disk there is full: free some "
                "space, set EDGENAS_CACHE to a folder on another disk, or keep none of them with `stream`."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise EdgeNASError(
                f"The decoded images cannot be kept in {parent} ({error.strerror}): set EDGENAS_CACHE to another folder."
            ) from error
        raise
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _sweep(parent: Path) -> None:
    """Remove what killed processes left: temporary folders that nobody has written to for a day."""
    for left in parent.glob(".*"):
        with suppress(OSError):
            if time.time() - (left / "images.npy").stat().st_mtime > 24 * 3600:
                shutil.rmtree(left)


def _decode_into(path: Path, source: Source, listing: Listing, size: int, track: Track) -> np.ndarray:
    """Write all images to an .npy file. Returns `(n,)` bool: which could be read.

    Written rather than mapped, because a full disk is then an error to report instead of a signal that kills the process.
    """
    shape, lock = (len(listing.files), size, size, 3), threading.Lock()
    with path.open("wb") as out:
        np.lib.format.write_array_header_1_0(out, {"shape": shape, "fortran_order": False, "descr": "|u1"})
        start = out.tell()

        def write(first: int, pixels: np.ndarray) -> None:
            with lock:
                out.seek(start + first * size * size * 3)
                out.write(pixels.data)

        readable = decode_all(source, listing, size, write, "Decoding images", track)
        out.flush()
        os.fsync(out.fileno())
    return readable


def _skipped(source: Source, listing: Listing, readable: np.ndarray) -> tuple[str, ...]:
    """The unreadable files. Raises DataError when they are too many."""
    skipped = tuple(file for file, good in zip(listing.files, readable, strict=True) if not good)
    first = ", ".join(skipped[:3]) + (", ..." if len(skipped) > 3 else "")
    if len(skipped) > max(1, UNREADABLE_SHARE * len(readable)):
        raise DataError(
            f"{len(skipped)} of {len(readable)} images in {source.location} cannot be read: {first}. Replace or remove them."
        )
    begin = 0
    for part, count in listing.parts.items():
        rows = slice(begin, begin + count)
        left = np.bincount(listing.labels[rows][readable[rows]], minlength=len(listing.classes))
        if not left.all():
            name = listing.classes[int(left.argmin())]
            raise DataError(f"No image of class {quoted(name)} for {part} in {source.location} can be read: {first}.")
        begin += count
    return skipped
