"""A folder of images, or a zipped one."""

from __future__ import annotations

import io
import os
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from typing import BinaryIO, ClassVar

from edgenas import names
from edgenas.data.sources.content import Content, is_below_hidden, is_hidden, sort_out
from edgenas.data.sources.source import PART_NAMES, PARTS, LeftOut, Listing, assemble, require_readable, told
from edgenas.errors import DataError
from edgenas.progress import Track, quiet


@dataclass(frozen=True)
class ImageFolder:
    """A folder with one sub-folder per class, in it or in its `train/`, `val/` and `test/`."""

    path: Path
    lists_quickly: ClassVar = True
    flip: ClassVar = True
    shares: ClassVar = {"validation": 0.1, "test": 0.1}

    @property
    def name(self) -> str:
        return names.of_file(self.path.name)

    @property
    def location(self) -> str:
        return names.of_file(str(self.path))

    @cached_property
    def _entries(self) -> tuple[list[str], dict[str, tuple[str, int, int]]]:
        """All folders, with a slash at the end, and all files: path, size in bytes, time in nanoseconds."""
        folders, files = [], {}

        def scan(folder: Path, prefix: str, above: frozenset[str]) -> None:
            with os.scandir(folder) as entries:
                for entry in entries:
                    name = prefix + names.of_file(entry.name)
                    if is_hidden(entry.name):
                        continue
                    if entry.is_dir():
                        real = os.path.realpath(entry.path)
                        if real not in above:  # a link to a folder that it is in
                            folders.append(name + "/")
                            scan(Path(entry.path), name + "/", above | {real})
                    else:
                        status = entry.stat() if entry.is_file() else None  # a link to nothing is an unreadable image
                        files[name] = (entry.path, *((status.st_size, status.st_mtime_ns) if status else (0, 0)))

        try:
            scan(self.path, "", frozenset([os.path.realpath(self.path)]))
        except PermissionError as error:
            raise DataError(f"{names.of_file(error.filename)} cannot be read: {error.strerror}.") from None
        return folders, files

    @cached_property
    def _listing(self) -> Listing:
        folders, files = self._entries
        return arrange(self.location, folders, {name: size for name, (_, size, _) in files.items()})

    def stamp(self) -> object:
        _, files = self._entries
        return [(name, *files[name][1:]) for name in self._listing.files]

    def listing(self, track: Track = quiet) -> Listing:
        return self._listing

    def open(self, file: str) -> BinaryIO:
        path, size, _ = self._entries[1][file]
        require_readable(size)
        return open(path, "rb")


@lru_cache(maxsize=2)
def _archive(path: Path, changed_ns: int, process: int) -> zipfile.ZipFile:
    """Opened by every process for itself: in a file that it inherits, all have one position."""
    return zipfile.ZipFile(path)


@dataclass(frozen=True)
class ZippedFolder:
    """The same inside a .zip, read without unpacking it."""

    path: Path
    lists_quickly: ClassVar = True
    flip: ClassVar = True
    shares: ClassVar = ImageFolder.shares

    @property
    def archive(self) -> zipfile.ZipFile:
        """Raises DataError when the file is damaged."""
        try:
            return _archive(self.path, self.path.stat().st_mtime_ns, os.getpid())
        except (zipfile.BadZipFile, NotImplementedError) as error:
            raise DataError(f"{self.location} is damaged or incomplete ({error}): copy or download it again.") from None

    @property
    def name(self) -> str:
        return names.of_file(self.path.stem)

    @property
    def location(self) -> str:
        return names.of_file(str(self.path))

    @cached_property
    def _members(self) -> dict[str, zipfile.ZipInfo]:
        """By their names as text. Folders end with a slash."""
        members = self.archive.infolist()
        slashed = any("/" in info.filename for info in members)
        named = {member_name(info, slashed): info for info in members}
        return {name: info for name, info in named.items() if not is_below_hidden(name)}

    @cached_property
    def _listing(self) -> Listing:
        if any(info.flag_bits & 1 for info in self._members.values()):
            raise DataError(f"{self.location} is encrypted: unpack it and give the folder.")
        files = {name: info.file_size for name, info in self._members.items() if not name.endswith("/")}
        folders = {name for name in self._members if name.endswith("/")}
        for folder in map(PurePosixPath, {name.rpartition("/")[0] for name in self._members}):
            folders.update(f"{each}/" for each in (folder, *folder.parents) if each.name)
        return arrange(self.location, folders, files)

    def stamp(self) -> object:
        status = self.path.stat()
        members = [(name, self._members[name].CRC) for name in self._listing.files]
        return status.st_size, status.st_mtime_ns, members

    def listing(self, track: Track = quiet) -> Listing:
        return self._listing

    def open(self, file: str) -> BinaryIO:
        require_readable(self._members[file].file_size)
        return io.BytesIO(self.archive.read(self._members[file]))


UNICODE_NAME = 0x800
"""The flag of a member whose name is UTF-8."""


def member_name(info: zipfile.ZipInfo, slashed: bool = True) -> str:
    """The name of a zip's member as it was meant.

    Many programs write UTF-8 without its flag, which is then read as code page 437; .NET before 4.6.1 and PowerShell 5 write
    backslashes, which the format forbids. slashed: whether members of this archive have slashes, as they should.
    """
    name = info.filename
    if not (info.flag_bits & UNICODE_NAME or name.isascii()):
        with suppress(UnicodeError):  # or as the format has it
            name = name.encode("cp437").decode("utf-8")
    if not slashed or info.create_system == 0:  # MS-DOS
        name = name.replace("\\", "/")
    return names.storable(name)


def arrange(where: str, folders: Iterable[str], files: Mapping[str, int]) -> Listing:
    """What the folders mean: which are classes and which are parts.

    folders: every folder below `where`, relative, with a slash at the end. files: the size of every file below it.
    Raises DataError, explaining the layout, when they are not classes with images.
    """
    content = sort_out(folders, files)
    if not content.images:
        raise DataError(f"There are no images in {where}{told(content.left_out)}.")
    tree = Tree(content)
    roots = tree.roots(where)
    found: dict[str, dict[str, list[str]]] = {
        part: {names.of_class(c[len(root) : -1]): [] for root in roots[part] for c in tree.inside(root)} for part in roots
    }
    outside, nested, by_folder = [], defaultdict(set), defaultdict(list)
    for file in content.images:
        by_folder[file[: file.rfind("/") + 1]].append(file)
    for path, inside in by_folder.items():
        place = next(((part, root) for part in roots for root in roots[part] if path.startswith(root)), None)
        folder, *deeper = path[len(place[1]) :].split("/") if place else [""]
        if place is None or not folder:
            outside += inside
            continue
        found[place[0]][names.of_class(folder)] += inside
        if len(deeper) > 1:
            nested[names.of_class(folder)].add(deeper[0])
    left_out = (*content.left_out, LeftOut.of(outside, "outside of the class folders, so that they have no class"))
    notes = [
        f"{names.quoted(name)} has folders in it ({names.some(sorted(inner))}), whose images all count as {names.quoted(name)}."
        for name, inner in sorted(nested.items())
    ]
    return assemble(where, sorted(found["train"]), found, files, left_out, notes)


@dataclass(frozen=True)
class Tree:
    content: Content

    @cached_property
    def children(self) -> dict[str, list[str]]:
        """The folders directly inside each folder, "" among them."""
        children: dict[str, list[str]] = defaultdict(list)
        for folder in self.content.folders:
            children[folder[: folder[:-1].rfind("/") + 1]].append(folder)
        return children

    def inside(self, folder: str) -> list[str]:
        return self.children.get(folder, [])

    def has_images(self, folder: str) -> bool:
        return any(f.startswith(folder) and "/" not in f[len(folder) :] for f in self.content.images)

    def roots(self, where: str) -> dict[str, list[str]]:
        """The folders of each part whose sub-folders are classes. Raises DataError where there are none."""
        top = ""
        while len(self.inside(top)) == 1 and self.inside(self.inside(top)[0]) and not self.has_images(top):
            top = self.inside(top)[0]  # one folder that wraps everything
        part_of = {f: PART_NAMES.get(f[len(top) : -1].lower()) for f in self.inside(top)}
        is_split = any(part == "train" and self.inside(f) for f, part in part_of.items())
        if all(part_of.values()) and not is_split:
            raise DataError(
                f"The images in {where} are not in class folders. Put those of each class into a folder with its name, "
                "such as cat/1.jpg and dog/1.jpg, or, if they are split already, train/cat/1.jpg and test/cat/2.jpg."
            )
        if not is_split:  # a folder called train without folders in it is a class
            return {"train": [top]}
        roots = {part: [f for f in part_of if part_of[f] == part] for part in PARTS}
        return {part: folders for part, folders in roots.items() if folders}
