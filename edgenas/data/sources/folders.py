"""A folder of images, or a zipped one."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from typing import ClassVar

from PIL import Image

from edgenas.data.sources.source import PART_NAMES, PARTS, SUFFIXES, Listing, assemble, is_image
from edgenas.errors import DataError
from edgenas.progress import Track, quiet


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
                    elif is_image(name):
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

    def listing(self, track: Track = quiet) -> Listing:
        folders, files = self._content
        return arrange(self.location, folders, {name: size for name, (size, _) in files.items()})

    def open(self, file: str) -> Image.Image:
        return Image.open(self.path / file)


@lru_cache(maxsize=2)
def _archive(path: Path, changed_ns: int, process: int) -> zipfile.ZipFile:
    """Opened by every process for itself: in a file that it inherits, all have one position."""
    return zipfile.ZipFile(path)


@dataclass(frozen=True)
class ZippedFolder:
    """The same inside a .zip, read without unpacking it."""

    path: Path
    flip: ClassVar = True
    shares: ClassVar = ImageFolder.shares

    @property
    def archive(self) -> zipfile.ZipFile:
        """Raises DataError when the file is damaged."""
        try:
            return _archive(self.path, self.path.stat().st_mtime_ns, os.getpid())
        except (zipfile.BadZipFile, NotImplementedError) as error:
            raise DataError(f"{self.path} is damaged or incomplete ({error}): copy or download it again.") from None

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

    def listing(self, track: Track = quiet) -> Listing:
        if any(info.flag_bits & 1 for info in self._members):
            raise DataError(f"{self.path} is encrypted: unpack it and give the folder.")
        folders = {info.filename for info in self._members if info.is_dir()}
        for info in self._members:
            folders.update(f"{parent}/" for parent in PurePosixPath(info.filename).parents if parent.name)
        files = {info.filename: info.file_size for info in self._members if not info.is_dir() and is_image(info.filename)}
        return arrange(self.location, folders, files)

    def open(self, file: str) -> Image.Image:
        return Image.open(io.BytesIO(self.archive.read(file)))


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


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

    part_of = {f: PART_NAMES.get(f[len(top) : -1].lower()) for f in inside(top)}
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
    return assemble(where, sorted(found["train"]), found, files)
