"""Images decoded once, into one memory-mapped array, or checked once, to be decoded whenever they are asked for."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from edgenas.data.copies import look_alikes
from edgenas.data.decode import FACTS, Decoded, Decoder, decode_all
from edgenas.data.sources import LeftOut, Listing, Source
from edgenas.data.stream import StreamedImages
from edgenas.errors import DataError, EdgeNASError
from edgenas.files import building, cache_dir, sweep, write_json
from edgenas.names import quoted
from edgenas.progress import Track, quiet

VERSION = 3
UNREADABLE_SHARE = 0.05  # of the files; more than this means that something is wrong with all of them


@dataclass(frozen=True, eq=False)
class DecodedImages:
    """The images of a source and what the cache holds of them.

    images: `(n, size, size, 3)` uint8, RGB: memory-mapped and read-only, or streamed. labels: `(n,)` int64, -1 where an
    image could not be read. files: their `n` names. facts: `(n,)` of `edgenas.data.decode.FACTS`.
    alike: `(m, 2)` int64, the pairs that look the same; None where too many do (`edgenas.data.copies.look_alikes`).
    parts: how many of the `n` belong to each part, in this order. skipped: the files that could not be read, with the reasons.
    value_range: as in `Decoder`, of images with more than 8 bits; None where there are none. left_out, notes: of the `Listing`.
    """

    images: np.ndarray | StreamedImages
    labels: np.ndarray
    files: tuple[str, ...]
    facts: np.ndarray
    alike: np.ndarray | None
    classes: tuple[str, ...]
    parts: dict[str, int]
    skipped: dict[str, str]
    value_range: tuple[float, float] | None
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]
    fingerprint: str


def decoded(
    source: Source,
    decoder: Decoder,
    *,
    stream: bool = False,
    check: Callable[[np.ndarray, dict[str, int], tuple[str, ...]], None] | None = None,
    track: Track = quiet,
) -> DecodedImages:
    """The images of a source as squares of pixels, from the cache if they are there and whole.

    decoder: without a range for images of more than 8 bits, it is that of all of them together.
    stream: keep no pixels, and decode images whenever they are asked for. So it is, too, where they do not fit on the disk.
    Either way every image is decoded once to see whether it can be, which the cache remembers.
    check: called with labels, parts and classes before anything is decoded; may raise. None: nothing is asked of them.
    Raises DataError when more than 5 % of the files (and more than one) or all training images of one class cannot be read,
    EdgeNASError when the cache cannot be written.
    """
    sweep(cache_dir() / "data")
    stamp = source.stamp()
    own_range = replace(decoder, value_range=None)
    listing = source.listing(track) if stream or source.lists_quickly else None
    for asked in dict.fromkeys([own_range, decoder]):
        found = _read(_folder(stamp, asked, stream), asked, source if stream else None)
        if found is not None and decoder.value_range in (None, found.value_range):
            return found if listing is None else replace(found, left_out=listing.left_out, notes=listing.notes)
    listing = listing or source.listing(track)
    if check is not None:
        check(listing.labels, listing.parts, listing.classes)
    stream = stream or not _fits(_folder(stamp, decoder), listing, decoder.size)
    folder = _folder(stamp, decoder, stream)
    found = _read(folder, decoder, source) if stream else None
    if found is None:
        _build(folder, source, listing, decoder, keep=not stream, track=track)
        found = _read(folder, decoder, source if stream else None)
        if found is None:
            raise EdgeNASError(f"What was decoded into {folder} cannot be read back: check the disk.")
    return found


def _folder(stamp: object, decoder: Decoder, stream: bool = False) -> Path:
    text = json.dumps([VERSION, decoder.size, decoder.fit, decoder.value_range, stamp])
    fingerprint = hashlib.sha256(text.encode()).hexdigest()[:16]
    return cache_dir() / "data" / (f"{fingerprint}-streamed" if stream else fingerprint)


def _read(folder: Path, decoder: Decoder, source: Source | None) -> DecodedImages | None:
    """The content of a folder. None when there is none or it is damaged. source: where images are streamed from."""
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        labels, facts, alike = (np.load(folder / f"{name}.npy", allow_pickle=False) for name in ("labels", "facts", "alike"))
        classes, files, notes = (tuple(meta[name]) for name in ("classes", "files", "notes"))
        parts, skipped = dict(meta["parts"]), dict(meta["skipped"])
        value_range = meta["value_range"] and tuple(meta["value_range"])
        left_out = tuple(LeftOut(**each) for each in meta["left_out"])
        count, size = sum(parts.values()), decoder.size
        if source is None:
            images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
        else:
            images = StreamedImages(source, files, replace(decoder, value_range=value_range))
        whole = images.shape == (count, size, size, 3) and images.dtype == np.uint8
        whole = whole and labels.shape == (count,) and labels.dtype == np.int64 and labels.max() < len(classes)
        whole = whole and facts.shape == (count,) and facts.dtype == FACTS and len(files) == count
        whole = whole and alike.ndim == 2 and alike.dtype == np.int64 and bool(((alike >= 0) & (alike < count)).all())
        pairs = None if meta["is_much_the_same"] else alike
    except (OSError, EOFError, ValueError, TypeError, KeyError):
        return None
    if not whole:
        return None
    return DecodedImages(
        images, labels, files, facts, pairs, classes, parts, skipped, value_range, left_out, notes, folder.name[:16]
    )


def _bytes(listing: Listing, size: int) -> int:
    return len(listing.files) * (size * size * 3 + 8 + FACTS.itemsize) + 65536


def _fits(folder: Path, listing: Listing, size: int) -> bool:
    """Whether the disk has room for the decoded images. Where that cannot be told, writing them will tell."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(folder.parent).free >= _bytes(listing, size)
    except OSError:
        return True


def _build(folder: Path, source: Source, listing: Listing, decoder: Decoder, keep: bool, track: Track) -> None:
    """Decode into a temporary folder that becomes `folder` when it is complete. keep: the images, not only the labels."""
    parent = folder.parent
    try:
        with building(folder) as temporary:
            if keep:
                found = _decode_into(temporary / "images.npy", source, listing, decoder, track)
            else:
                found = decode_all(source, listing, decoder, lambda first, pixels: None, "Checking images", track)
            _require_enough(source, listing, found)
            np.save(temporary / "labels.npy", np.where(found.readable, listing.labels, -1))
            np.save(temporary / "facts.npy", found.facts)
            alike = look_alikes(found.facts, track)
            np.save(temporary / "alike.npy", np.empty((0, 2), np.int64) if alike is None else alike)
            write_json(
                temporary / "meta.json",
                {
                    "source": source.location,
                    "classes": listing.classes,
                    "parts": listing.parts,
                    "skipped": {listing.files[index]: why for index, why in sorted(found.unreadable.items())},
                    "value_range": found.value_range,
                    "is_much_the_same": alike is None,
                    "left_out": [asdict(each) for each in listing.left_out],
                    "notes": listing.notes,
                    "files": listing.files,
                },
            )
            shutil.rmtree(folder, ignore_errors=True)  # a damaged one
            try:
                temporary.rename(folder)
            except OSError:
                if not folder.is_dir():  # otherwise another process has built the same meanwhile
                    raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EdgeNASError(
                f"The decoded images need {_bytes(listing, decoder.size):,} bytes in {parent}, and the disk there is full: "
                "free some space, set EDGENAS_CACHE to a folder on another disk, or keep none of them with `stream`."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise EdgeNASError(
                f"The decoded images cannot be kept in {parent} ({error.strerror}): set EDGENAS_CACHE to another folder."
            ) from error
        raise


def _decode_into(path: Path, source: Source, listing: Listing, decoder: Decoder, track: Track) -> Decoded:
    """Write all images to an .npy file.

    Written rather than mapped, because a full disk is then an error to report instead of a signal that kills the process.
    """
    size = decoder.size
    shape, lock = (len(listing.files), size, size, 3), threading.Lock()
    with path.open("wb") as out:
        np.lib.format.write_array_header_1_0(out, {"shape": shape, "fortran_order": False, "descr": "|u1"})
        start = out.tell()

        def write(first: int, pixels: np.ndarray) -> None:
            with lock:
                out.seek(start + first * size * size * 3)
                out.write(pixels.data)

        found = decode_all(source, listing, decoder, write, "Decoding images", track)
        out.flush()
        os.fsync(out.fileno())
    return found


def unreadable(skipped: Mapping[str, str]) -> list[LeftOut]:
    """The files that could not be read, by the reason, the most frequent first."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for file, why in skipped.items():
        by_reason[why].append(file)
    return sorted((LeftOut.of(files, why) for why, files in by_reason.items()), key=lambda each: -each.count)


def _require_enough(source: Source, listing: Listing, found: Decoded) -> None:
    """Raises DataError where too many files are unreadable, or all training images of a class."""
    skipped = {listing.files[index]: why for index, why in sorted(found.unreadable.items())}
    reasons = "; ".join(map(str, unreadable(skipped)))
    if len(skipped) > max(1, UNREADABLE_SHARE * len(listing.files)):
        raise DataError(
            f"{len(skipped)} of {len(listing.files)} images in {source.location} cannot be read. {reasons}. Replace or remove "
            "them."
        )
    train = slice(0, listing.parts["train"])
    left = np.bincount(listing.labels[train][found.readable[train]], minlength=len(listing.classes))
    if not left.all():
        name = listing.classes[int(left.argmin())]
        raise DataError(f"No training image of class {quoted(name)} in {source.location} can be read. {reasons}.")
