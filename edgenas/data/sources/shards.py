"""WebDataset shards: tar files whose members with one basename are one sample."""

from __future__ import annotations

import io
import os
import re
import tarfile
from codecs import BOM_UTF8
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO, ClassVar, NamedTuple

from edgenas import names
from edgenas.data.formats import suffixes, why_not
from edgenas.data.sources.folders import ImageFolder
from edgenas.data.sources.source import PART_NAMES, PARTS, LeftOut, Listing, assemble, require_readable, told
from edgenas.errors import DataError, UsageError
from edgenas.files import read_member
from edgenas.names import some
from edgenas.progress import Track, quiet

MOST_SHARDS = 100_000
MOST_LABEL_BYTES = 4096
"""Of the file with the class of one sample."""


class Member(NamedTuple):
    """Where a file is: the number of its shard, and its place there in bytes."""

    shard: int
    offset: int
    size: int


@dataclass(frozen=True)
class Shards:
    """Uncompressed tar files of samples: an image (`00042.jpg`) and its class (`00042.cls`, an index or a name).

    Such a tar can be read at any place, so that an index of its members makes it a folder: its images are shuffled, split
    and resumed as those of a folder are. Shards called `train-...`, `val-...` and `test-...` are these parts.

    location: a folder of shards, or a pattern of their paths. paths: of the shards.
    """

    location: str
    paths: tuple[Path, ...]
    _members: dict[str, Member] = field(default_factory=dict, repr=False, compare=False)  # filled by `listing`
    lists_quickly: ClassVar = False
    flip: ClassVar = True
    shares: ClassVar = ImageFolder.shares

    @classmethod
    def in_folder(cls, folder: Path) -> Shards | None:
        """None when it holds no shards, or folders besides, which are classes."""
        entries = [path for path in folder.iterdir() if not path.name.startswith(".")]
        shards = tuple(sorted(path for path in entries if path.suffix.lower() == ".tar"))
        return cls(names.of_file(str(folder)), shards) if shards and not any(path.is_dir() for path in entries) else None

    @classmethod
    def of_pattern(cls, pattern: Path) -> Shards:
        """Raises UsageError when a shard is missing."""
        location = Path(os.path.abspath(pattern))
        if (count := _expansions(str(location))) > MOST_SHARDS:
            raise UsageError(f"{pattern} stands for {count} shards, and {MOST_SHARDS} are the most.")
        paths = tuple(map(Path, expand_braces(str(location))))
        if not paths:
            raise UsageError(f"{pattern} stands for no shard: write the smaller number first.")
        missing = [path.name for path in paths if not path.is_file()]
        if missing:
            raise UsageError(f"{len(missing)} of the {len(paths)} shards {pattern} do not exist: {some(missing)}.")
        return cls(names.of_file(str(location)), paths)

    @property
    def name(self) -> str:
        path = Path(self.location)
        return path.parent.name if path.suffix else path.name

    def stamp(self) -> object:
        return [(name, *_size_and_time(path)) for name, path in zip(self._names(), self.paths, strict=True)]

    def listing(self, track: Track = quiet) -> Listing:
        parts, shard_names = self._parts(), self._names()
        found: dict[str, dict[str, list[str]]] = {part: defaultdict(list) for part in PARTS if part in parts}
        others: dict[str, list[str]] = defaultdict(list)
        for shard, part in enumerate(track(parts, "Indexing shards", len(parts))):
            for name, member, label in self._samples(shard):
                file = f"{shard_names[shard]}/{name}"
                if member is None:
                    others[why_not(PurePosixPath(name).suffix.lower())].append(file)
                else:
                    self._members[file] = member
                    found[part][label].append(file)
        left_out = [LeftOut.of(files, why) for why, files in others.items()]
        if not self._members:
            raise DataError(f"There are no images in {self.location}{told(left_out)}.")
        indices = all(name.isdecimal() for name in found["train"])
        classes = sorted(found["train"], key=int if indices else str)
        sizes = {file: member.size for file, member in self._members.items()}
        return assemble(self.location, classes, found, sizes, left_out)

    def open(self, file: str) -> BinaryIO:
        member = self._members[file]
        require_readable(member.size)
        with self.paths[member.shard].open("rb") as shard:
            shard.seek(member.offset)
            return io.BytesIO(shard.read(member.size))

    def _names(self) -> list[str]:
        """The shards' paths as far as they differ in folder."""
        common = os.path.commonpath([path.parent for path in self.paths])
        return [names.of_file(path.relative_to(common).as_posix()) for path in self.paths]

    def _parts(self) -> list[str]:
        """The part of each shard, by its name; all are for training unless some are called so."""
        words = [re.split("[^a-z]", path.name.lower(), maxsplit=1)[0] for path in self.paths]
        parts = [PART_NAMES.get(word, "") for word in words]
        if "train" not in parts:
            return ["train"] * len(parts)
        if "" in parts:
            other, train = self.paths[parts.index("")].name, self.paths[parts.index("train")].name
            raise DataError(
                f"{train} in {self.location} is for training, but what is {other} for? Call shards train-*.tar, val-*.tar "
                "and test-*.tar, or give a pattern of those to train on."
            )
        return parts

    def _samples(self, shard: int) -> Iterator[tuple[str, Member | None, str]]:
        """The images of a shard: name, place and class; no place for another file of a sample without an image.

        Raises DataError when an image has no class or the tar is damaged.
        """
        path, read = self.paths[shard], suffixes()
        images: dict[str, tuple[str, Member]] = {}
        labels: dict[str, str] = {}
        others: dict[str, str] = {}
        try:
            with tarfile.open(path, "r:", encoding="utf-8", errors="backslashreplace") as tar:
                for info in tar:
                    tar.members = []  # type: ignore[attr-defined]  # or it keeps them all
                    inside = PurePosixPath(info.name)
                    if not info.isfile() or any(part.startswith(".") for part in inside.parts):
                        continue
                    stem, _, suffix = inside.name.partition(".")  # WebDataset: the basename ends at its first dot
                    key = str(inside.with_name(stem))
                    if suffix.lower() == "cls":
                        if info.size > MOST_LABEL_BYTES:
                            raise DataError(f"{info.name} in {path} has {info.size:,} bytes: it is to hold a class alone.")
                        content = read_member(tar, info).removeprefix(BOM_UTF8)
                        labels[key] = names.of_class(names.of_bytes(content).strip())
                    elif f".{suffix.lower()}" in read:
                        images[key] = info.name, Member(shard, info.offset_data, info.size)
                    else:
                        others[key] = info.name
        except tarfile.TarError as error:
            raise DataError(
                f"{path} is damaged, incomplete or compressed ({error}): a shard is an uncompressed .tar. Write it again."
            ) from None
        unlabelled = [name for key, (name, _) in images.items() if not labels.get(key)]
        if unlabelled:
            raise DataError(
                f"{path} has no class for {some(unlabelled)}: beside each image, such as 00042.jpg, belongs a file 00042.cls "
                "with the index or the name of its class."
            )
        for key, (name, member) in images.items():
            yield name, member, labels[key]
        for key in labels.keys() & others.keys() - images.keys():
            yield others[key], None, labels[key]


def _expansions(pattern: str) -> int:
    """How many paths `expand_braces` would make, or more."""
    count = 1
    for inside in re.findall(r"\{([^{}]*)\}", pattern):
        bounds = re.fullmatch(r"(\d{1,18})\.\.(\d{1,18})", inside)
        count *= max(0, int(bounds[2]) - int(bounds[1]) + 1) if bounds else inside.count(",") + 1
    return count


def expand_braces(pattern: str) -> list[str]:
    """`a-{00..02}` -> `a-00`, `a-01`, `a-02`; `{train,test}-0` -> `train-0`, `test-0`, as a shell does."""
    match = re.search(r"\{([^{}]*)\}", pattern)
    if match is None:
        return [pattern]
    bounds = re.fullmatch(r"(\d+)\.\.(\d+)", match[1])
    if bounds:
        choices = [f"{number:0{len(bounds[1])}}" for number in range(int(bounds[1]), int(bounds[2]) + 1)]
    else:
        choices = match[1].split(",")
    return [path for choice in choices for path in expand_braces(pattern[: match.start()] + choice + pattern[match.end() :])]


def _size_and_time(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
