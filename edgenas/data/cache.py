"""Images decoded once, into one memory-mapped array."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from edgenas.data.sources import Listing, Source
from edgenas.errors import DataError, EdgeNASError
from edgenas.files import cache_dir, write_json
from edgenas.progress import Track, quiet

VERSION = 1
CHUNK = 64  # images that a thread decodes and writes at a time
UNREADABLE_SHARE = 0.05  # of the files; more than this means that something is wrong with all of them
# Below this average, threads wait for the interpreter's lock longer than they decode (CIFAR JPEGs of 0.9 kB, two busy cores:
# one thread 1.5 times as fast as two).
THREADED_FILE_BYTES = 8192


@dataclass(frozen=True, eq=False)
class DecodedImages:
    """What the cache holds of a source.

    images: `(n, size, size, 3)` uint8, RGB, memory-mapped and read-only. labels: `(n,)` int64, -1 where an image could
    not be read. parts: how many of the `n` belong to each part, in this order. skipped: the files that could not be read.
    """

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    parts: dict[str, int]
    skipped: tuple[str, ...]
    fingerprint: str


def decoded(
    source: Source, size: int, *, check: Callable[[np.ndarray, dict[str, int], tuple[str, ...]], None], track: Track = quiet
) -> DecodedImages:
    """The images of a source as squares of `size` pixels, from the cache if they are there and whole.

    check: called with labels, parts and classes before anything is decoded; may raise.
    Raises DataError when more than 5 % of the files (and more than one) or all of one class cannot be read, EdgeNASError
    when the cache cannot be written.
    """
    stamp = json.dumps([VERSION, size, source.stamp()])
    fingerprint = hashlib.sha256(stamp.encode()).hexdigest()[:16]
    folder = cache_dir() / "data" / fingerprint
    found = _read(folder, size)
    if found is None:
        listing = source.listing()
        check(listing.labels, listing.parts, listing.classes)
        _build(folder, source, listing, size, track)
        found = _read(folder, size)
        if found is None:
            raise EdgeNASError(f"The decoded images in {folder} cannot be read back: check the disk.")
    return found


def _read(folder: Path, size: int) -> DecodedImages | None:
    """None when there is no cache or a damaged one."""
    try:
        meta = json.loads((folder / "meta.json").read_text())
        labels = np.load(folder / "labels.npy", allow_pickle=False)
        images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
        classes, parts, skipped = tuple(meta["classes"]), dict(meta["parts"]), tuple(meta["skipped"])
        count = sum(parts.values())
        whole = images.shape == (count, size, size, 3) and images.dtype == np.uint8
        whole = whole and labels.shape == (count,) and labels.dtype == np.int64 and labels.max() < len(classes)
    except (OSError, EOFError, ValueError, TypeError, KeyError):
        return None
    return DecodedImages(images, labels, classes, parts, skipped, folder.name) if whole else None


def _build(folder: Path, source: Source, listing: Listing, size: int, track: Track) -> None:
    """Decode into a temporary folder that becomes `folder` when it is complete."""
    needed = len(listing.files) * (size * size * 3 + 8) + 65536
    parent, temporary = folder.parent, None
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _sweep(parent)
        if shutil.disk_usage(parent).free < needed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=parent))
        readable = _decode_all(temporary / "images.npy", source, listing, size, track)
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
                f"The decoded images need {needed:,} bytes in {parent}, and the disk there is full: free some space, or "
                "set EDGENAS_CACHE to a folder on another disk."
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


def _decode_all(path: Path, source: Source, listing: Listing, size: int, track: Track) -> np.ndarray:
    """Write all images to an .npy file, black where one cannot be read. Returns `(n,)` bool: which could be.

    Written rather than mapped, because a full disk is then an error to report instead of a signal that kills the process.
    """
    count, lock = len(listing.files), threading.Lock()
    with path.open("wb") as out:
        np.lib.format.write_array_header_1_0(out, {"shape": (count, size, size, 3), "fortran_order": False, "descr": "|u1"})
        start = out.tell()

        def decode_chunk(first: int) -> list[bool]:
            files = listing.files[first : first + CHUNK]
            pixels, readable = np.zeros((len(files), size, size, 3), np.uint8), []
            for row, file in zip(pixels, files, strict=True):
                try:
                    with source.open(file) as image:
                        row[:] = decode(image, size)
                    readable.append(True)
                except Exception:  # Pillow's decoders raise anything from SyntaxError to struct.error
                    readable.append(False)
            with lock:
                out.seek(start + first * size * size * 3)
                out.write(pixels)
            return readable

        threads = (os.cpu_count() or 1) if listing.file_bytes >= THREADED_FILE_BYTES * count else 1
        pool = ThreadPoolExecutor(threads)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about odd metadata
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                Image.init()  # not by two threads at once
                chunks = pool.map(decode_chunk, range(0, count, CHUNK))
                readable = list(track((each for chunk in chunks for each in chunk), "Decoding images", count))
        finally:
            pool.shutdown(cancel_futures=True)
        out.flush()
        os.fsync(out.fileno())
    return np.array(readable)


def decode(image: Image.Image, size: int) -> np.ndarray:
    """`(size, size, 3)` uint8: upright, shorter side resized to `size` with antialiased bilinear, centre-cropped, RGB."""
    image.draft(None, (2 * size, 2 * size))  # lets JPEGs of more than twice the size decode at a fraction of it
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow would clip
        image = Image.fromarray(np.clip(np.asarray(image) >> 8, 0, 255).astype(np.uint8))
    image = image.convert("RGB")
    ImageOps.exif_transpose(image, in_place=True)
    return np.asarray(ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR))


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
            raise DataError(f"No image of class {name!r} for {part} in {source.location} can be read: {first}.")
        begin += count
    return skipped
