"""What a source of images is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

import numpy as np

from edgenas import names
from edgenas.errors import DataError
from edgenas.progress import Track, quiet

PARTS = ("train", "validation", "test")
PART_NAMES = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}


MOST_FILE_BYTES = 2**28
"""Of an image's file, which is in memory while it is decoded: that of the largest picture that is decoded, as it is."""


def require_readable(file_bytes: int) -> None:
    """Raises DataError, before any memory is asked for, where a file is larger than any image that is read.

    In an archive a few bytes may stand for a member of any size.
    """
    if file_bytes > MOST_FILE_BYTES:
        most = MOST_FILE_BYTES // 2**20
        raise DataError(f"it has {file_bytes / 2**20:,.0f} MiB, and {most} are the most that are read of an image")


@dataclass(frozen=True)
class LeftOut:
    """Files that are not used. why: a predicate of theirs, or a reason. example: one of them."""

    count: int
    why: str
    example: str

    @classmethod
    def of(cls, files: Sequence[str], why: str) -> LeftOut:
        return cls(len(files), why, files[0] if files else "")

    def __str__(self) -> str:
        which = names.printable(self.example)
        return f"{which if self.count == 1 else f'{self.count} files such as {which}'}: {self.why}"


@dataclass(frozen=True)
class Listing:
    """The images of a source, sorted by part, class and name, whatever the order of the file system.

    labels: `(n,)` int64, indices into `classes`.
    parts: how many of the images belong to each of the parts that the source gives: to `train` at least.
    file_bytes: the size of all files together, encoded.
    left_out: files that are there and not used. notes: sentences on what was understood in a way that may not be meant.
    """

    classes: tuple[str, ...]
    files: tuple[str, ...]
    labels: np.ndarray
    parts: dict[str, int]
    file_bytes: int
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()


class Source(Protocol):
    """Images with labels. Plain data that other threads and processes may use at the same time.

    location: what `open_source` takes to find the source again, from any working directory.
    flip: whether a mirrored image keeps its class.
    lists_quickly: whether a listing takes no longer than a stamp.
    shares: which part of the training images becomes validation and test images where the source has none.
    """

    @property
    def name(self) -> str: ...
    @property
    def location(self) -> str: ...
    @property
    def flip(self) -> bool: ...
    @property
    def lists_quickly(self) -> bool: ...
    @property
    def shares(self) -> Mapping[str, float]: ...

    def stamp(self) -> object:
        """JSON data that changes whenever the images do. Quick to make."""

    def listing(self, track: Track = quiet) -> Listing:
        """Raises DataError when there is nothing to classify."""

    def open(self, file: str) -> BinaryIO:
        """The content of an image's file, still encoded. Raises OSError, or what an archive raises."""


def assemble(
    where: str, classes: Sequence[str], found: Mapping[str, Mapping[str, list[str]]], sizes: Mapping[str, int],
    left_out: Iterable[LeftOut] = (), notes: Iterable[str] = (),
) -> Listing:  # fmt: skip
    """The listing of the files that were found in each part and class.

    classes: those of the training images, in order. sizes: of the files, in bytes. Images of other classes are left out, and
    a part may lack some of the classes.

    Raises DataError when they are not two classes or more, all with training images, and some of them in every part.
    """
    if empty := sorted(name for name in classes if not found["train"][name]):
        raise DataError(f"There are no images of {names.some(empty)} in {where}: add some, or remove the folder.")
    if len(classes) < 2:
        raise DataError(f"{where} has only one class, {names.quoted(classes[0])}: a classifier needs at least two.")
    strangers = []
    for part in found:
        strange = sorted(name for name in found[part] if name not in set(classes) and found[part][name])
        if not any(found[part].get(name) for name in classes):
            has = f"has {names.some(strange)}" if strange else "has no images"
            raise DataError(f"train/ and {part}/ in {where} must have the same classes, but {part}/ {has}.")
        files = [file for name in strange for file in found[part][name]]
        strangers.append(LeftOut.of(files, f"{names.some(strange)} is in {part}/, but in train/ is nothing to learn it from"))
    ordered = [(i, f) for part in found for i, name in enumerate(classes) for f in sorted(found[part].get(name, ()))]
    return Listing(
        classes=tuple(classes),
        files=tuple(file for _, file in ordered),
        labels=np.array([label for label, _ in ordered], dtype=np.int64),
        parts={part: sum(len(found[part].get(name, ())) for name in classes) for part in found},
        file_bytes=sum(sizes[file] for _, file in ordered),
        left_out=tuple(each for each in (*left_out, *strangers) if each.count),
        notes=tuple(notes),
    )


def told(left_out: Iterable[LeftOut]) -> str:
    """What is there instead, in brackets, for the end of a sentence; nothing where there is nothing."""
    kinds = "; ".join(str(each) for each in left_out)
    return f" ({kinds})" if kinds else ""
