"""`RecordedSplit`: which images a run is trained, validated and tested on, by their content, whatever they are called now.

An image is known by the SHA-256 of its file: in an archive or a shard, of the bytes of that member; of a sample in a package,
of its picture as PGM. Names are kept for people alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgenas.data.copies import numbered
from edgenas.data.sources import PARTS
from edgenas.names import printable, some
from edgenas.values import Columns, Matches, OneOf

ASIDE = "aside"
"""In no part, since an equal image is in one."""
FILE = Columns(
    "record of a run's images",
    {
        "sha256": [Matches("[0-9a-f]{64}", "of 64 hexadecimal digits")],
        "class": [],  # of the run's, see `RecordedSplit.load`
        "split": [OneOf("split", (*PARTS, ASIDE))],
        "name": [],
    },
    "Copy it again from where the run was trained.",
)


@dataclass(frozen=True, eq=False)
class RecordedSplit:
    """The images of a data set in the order of their parts, each as batches are drawn from it.

    classes: of the classifier. contents: `(n, 32)` uint8. labels: `(n,)` int64. parts: `(n,)` int64, indices of `PARTS`, -1 of
    those aside, which come last.
    """

    classes: tuple[str, ...]
    contents: np.ndarray
    labels: np.ndarray
    parts: np.ndarray
    names: tuple[str, ...]

    @classmethod
    def of(
        cls, classes: tuple[str, ...], contents: np.ndarray, labels: np.ndarray, rows: Mapping[str, np.ndarray],
        names: Sequence[str],
    ) -> RecordedSplit:  # fmt: skip
        """Of the images of a data set, in its order. labels: -1 of those that are not to be recorded. rows: of each part."""
        aside = np.setdiff1d(np.flatnonzero(labels >= 0), np.concatenate([rows[part] for part in PARTS]))
        order = np.concatenate([*(rows[part] for part in PARTS), aside])
        parts = np.repeat([0, 1, 2, -1], [*(len(rows[part]) for part in PARTS), len(aside)])
        return cls(classes, contents[order], labels[order], parts, tuple(names[row] for row in order))

    @classmethod
    def load(cls, path: Path, classes: tuple[str, ...]) -> RecordedSplit:
        """classes: of the run. Raises CheckpointError where the file is not there, or damaged."""
        table = FILE.load(path)
        indices = {name: index for index, name in enumerate(classes)}
        if strange := set(table["class"]) - indices.keys():
            raise FILE.damaged(path, f"no class of the run is called {some(sorted(strange))}")
        if not table["name"]:
            raise FILE.damaged(path, "it lists no images")
        contents = np.frombuffer(bytes.fromhex("".join(table["sha256"])), np.uint8).reshape(-1, 32)
        labels = np.array([indices[name] for name in table["class"]], dtype=np.int64)
        parts = np.array([(*PARTS, ASIDE).index(part) for part in table["split"]], dtype=np.int64)
        return cls(classes, contents, labels, np.where(parts == len(PARTS), -1, parts), tuple(table["name"])).in_order()

    def in_order(self) -> RecordedSplit:
        """With the rows in the order of their parts, whatever they were sorted by."""
        order = np.argsort(np.where(self.parts < 0, len(PARTS), self.parts), kind="stable")
        names = tuple(self.names[row] for row in order)
        return RecordedSplit(self.classes, self.contents[order], self.labels[order], self.parts[order], names)

    def apart(self) -> RecordedSplit:
        """With no content in two parts: what is in the first of them is aside in the others."""
        firsts = self.parts_of(self.contents)
        return replace(self, parts=np.where(self.parts == firsts, firsts, -1)).in_order()

    def save(self, path: Path) -> None:
        contents, splits = self.contents.tobytes().hex(), (*PARTS, ASIDE)
        rows = zip(self.labels.tolist(), self.parts.tolist(), self.names, strict=True)
        FILE.save(
            path,
            (
                (contents[64 * i : 64 * i + 64], self.classes[label], splits[part], printable(name))
                for i, (label, part, name) in enumerate(rows)
            ),
        )

    def digest(self) -> str:
        """Twelve hexadecimal digits that name what is in which part, in whatever order."""
        rows = sorted(zip(self.parts.tolist(), map(bytes, self.contents), strict=True))
        return hashlib.sha256(b"".join(bytes([part % 256]) + content for part, content in rows)).hexdigest()[:12]

    def labels_of(self, part: str) -> np.ndarray:
        return self.labels[self.parts == PARTS.index(part)]

    def counts(self) -> dict[str, int]:
        return {part: len(self.labels_of(part)) for part in PARTS}

    def parts_of(self, contents: np.ndarray) -> np.ndarray:
        """`(m, 32)` contents -> `(m,)` int64: the part that each is recorded in, the first of several; -1 where in none."""
        numbers = numbered(np.concatenate([self.contents, contents]))
        own, asked = np.split(numbers, [len(self.contents)])
        part_of = np.full(len(numbers), -1)
        for number in reversed(range(len(PARTS))):
            part_of[own[self.parts == number]] = number
        return part_of[asked]

    def plus(self, other: RecordedSplit) -> RecordedSplit:
        """With the images of another of the same classes, after one's own in every part."""
        contents, labels, parts = (
            np.concatenate(both)
            for both in ((self.contents, other.contents), (self.labels, other.labels), (self.parts, other.parts))
        )
        return RecordedSplit(self.classes, contents, labels, parts, self.names + other.names).in_order()
