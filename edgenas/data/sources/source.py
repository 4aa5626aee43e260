"""What a source of images is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image

from edgenas.errors import DataError
from edgenas.progress import Track, quiet

PARTS = ("train", "validation", "test")
PART_NAMES = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}
SUFFIXES = (".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Listing:
    """The images of a source, sorted by part, class and name, whatever the order of the file system.

    labels: `(n,)` int64, indices into `classes`.
    parts: how many of the images belong to each of the parts that the source gives: to `train` at least.
    file_bytes: the size of all files together, encoded.
    """

    classes: tuple[str, ...]
    files: tuple[str, ...]
    labels: np.ndarray
    parts: dict[str, int]
    file_bytes: int


class Source(Protocol):
    """Images with labels. Plain data that other threads and processes may use at the same time.

    location: what `open_source` takes to find the source again, from any working directory.
    flip: whether a mirrored image keeps its class.
    shares: which part of the training images becomes validation and test images where the source has none.
    """

    @property
    def name(self) -> str: ...
    @property
    def location(self) -> str: ...
    @property
    def flip(self) -> bool: ...
    @property
    def shares(self) -> Mapping[str, float]: ...

    def stamp(self) -> object:
        """JSON data that changes whenever the images do. Quick to make."""

    def listing(self, track: Track = quiet) -> Listing:
        """Raises DataError when there is nothing to classify."""

    def open(self, file: str) -> Image.Image:
        """One image of the listing. Raises whatever Pillow raises."""


def assemble(where: str, names: Sequence[str], found: dict[str, dict[str, list[str]]], sizes: dict[str, int]) -> Listing:
    """The listing of the files that were found in each part and class.

    names: the classes of the training images, in order. sizes: of the files, in bytes.

    Raises DataError when they are not two classes or more, the same in every part, and all with images.
    """
    for part, classes in found.items():
        different = sorted(set(names) ^ set(classes))
        if different:
            raise DataError(f"train/ and {part}/ in {where} must have the same classes, but only one has {some(different)}.")
        empty = sorted(name for name in names if not classes[name])
        if empty:
            raise DataError(f"There are no images of {some(empty)} in {where}: add some, or remove the folder.")
    if len(names) < 2:
        raise DataError(f"{where} has only one class, {names[0]!r}: a classifier needs at least two.")
    ordered = [(label, file) for part in found for label, name in enumerate(names) for file in sorted(found[part][name])]
    return Listing(
        classes=tuple(names),
        files=tuple(file for _, file in ordered),
        labels=np.array([label for label, _ in ordered], dtype=np.int64),
        parts={part: sum(map(len, classes.values())) for part, classes in found.items()},
        file_bytes=sum(sizes[file] for _, file in ordered),
    )


def is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def some(names: list[str], most: int = 3) -> str:
    """The first few of many names."""
    return ", ".join(map(repr, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")
