"""Images of a run, found again by their content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgenas.data.copies import numbered
from edgenas.data.recorded import RecordedSplit
from edgenas.data.sources import PARTS
from edgenas.errors import DataError
from edgenas.names import printable, quoted, some
from edgenas.words import counted


@dataclass(frozen=True, eq=False)
class Present:
    """The images that are there now. where: they are. names: of their files. contents: `(m, 32)` uint8.

    labels: `(m,)` int64, indices into `classes`, -1 where an image could not be read.
    """

    where: str
    names: Sequence[str]
    contents: np.ndarray
    labels: np.ndarray
    classes: Sequence[str]


@dataclass(frozen=True, eq=False)
class Found:
    """rows: the recorded images that are there, of each part, in the recorded order; `aside` those in none.

    new: rows of those that are not recorded, but are of a class of the run. labels: `(m,)` int64, by the run's classes, -1 of
    images that could not be read, or are of other classes. notes: sentences on what has changed.
    """

    rows: dict[str, np.ndarray]
    aside: np.ndarray
    new: np.ndarray
    labels: np.ndarray
    notes: tuple[str, ...]


def find(record: RecordedSplit, present: Present) -> Found:
    """The images of a record among those that are there. Of several with the same content and class, as many as are recorded.

    Raises DataError where a part is left without images, and where most images of a class are now in another one.
    """
    classes = [*record.classes, *(name for name in present.classes if name not in set(record.classes))]
    places = np.array([classes.index(name) for name in present.classes])
    labels = np.where(present.labels < 0, -1, places[present.labels])
    own, theirs = np.split(numbered(np.concatenate([record.contents, present.contents])), [len(record.contents)])
    own_keys, keys = own * len(classes) + record.labels, theirs * len(classes) + labels
    readable = np.flatnonzero(labels >= 0)
    _, found, rows = np.intersect1d(
        _numbered_copies(own_keys), _numbered_copies(keys[readable]), assume_unique=True, return_indices=True
    )
    found, rows = found[np.argsort(found)], readable[rows[np.argsort(found)]]

    others = np.setdiff1d(readable, rows)
    # A further copy in a class that its content is recorded in is new, as any other image.
    is_moved = np.isin(theirs[others], own) & ~np.isin(keys[others], own_keys)
    is_strange = ~is_moved & (labels[others] >= len(record.classes))
    moved, strange, new = others[is_moved], others[is_strange], others[~is_moved & ~is_strange]
    label_of = np.zeros(len(own) + len(theirs), np.int64)
    label_of[own[::-1]] = record.labels[::-1]
    before = label_of[theirs[moved]]
    is_only = ~np.isin(theirs[moved], own[found])  # and no copy of one that is where it was
    _require_classes(present.where, classes, record.labels[found], before[is_only], labels[moved[is_only]])
    parts = record.parts[found]
    in_parts = {part: rows[parts == number] for number, part in enumerate(PARTS)}
    _require_parts(present.where, record, in_parts)

    lost = np.setdiff1d(np.flatnonzero(record.parts >= 0), found)
    lost = lost[~np.isin(own[lost], theirs[moved])]
    notes = (
        *_on_lost(record, lost, present.where),
        *_on_moved(present, moved, [classes[i] for i in before[:1]], [classes[i] for i in labels[moved[:1]]]),
        *_on_strange(len(strange), [classes[label] for label in np.unique(labels[strange])]),
    )
    return Found(in_parts, rows[parts < 0], new, np.where(labels < len(record.classes), labels, -1), notes)


def _require_classes(where: str, classes: Sequence[str], stayed: np.ndarray, before: np.ndarray, now: np.ndarray) -> None:
    """Raises DataError where folders have other names. stayed: labels of images; before, now: of those that have moved."""
    of_class = np.bincount(np.concatenate([stayed, before]), minlength=len(classes))
    moves, counts = np.unique(before * len(classes) + now, return_counts=True)
    pairs = [divmod(int(move), len(classes)) for move in moves]
    most = [pair for pair, count in zip(pairs, counts, strict=True) if count > 1 and 2 * count > of_class[pair[0]]]
    if most:
        named = [f"{quoted(classes[old])} are now in {quoted(classes[new])}" for old, new in most]
        rest = f", and so with {counted(len(named) - 3, 'class', 'classes')} more" if len(named) > 3 else ""
        raise DataError(
            f"In {where} most images of {', of '.join(named[:3])}{rest}: give the class folders the names that they had when "
            "the run was trained, or train anew."
        )


def _require_parts(where: str, record: RecordedSplit, found: Mapping[str, np.ndarray]) -> None:
    for part, count in record.counts().items():
        if count and not len(found[part]):
            raise DataError(
                f"{where} does not hold the images of this run: none of its {counted(count, f'{part} image')} is there, under "
                "any name."
            )


def _on_lost(record: RecordedSplit, lost: np.ndarray, where: str) -> Iterator[str]:
    if len(lost):
        counts = np.bincount(record.parts[lost], minlength=len(PARTS))
        by_part = ", ".join(f"{count} of {part}" for part, count in zip(PARTS, counts, strict=True) if count)
        yield (
            f"{counted(len(lost), 'image of the run is', 'images of the run are')} not in {where}, or not readable any more "
            f"({by_part}), such as {printable(record.names[lost[0]])}."
        )


def _on_moved(present: Present, moved: np.ndarray, before: Sequence[str], now: Sequence[str]) -> Iterator[str]:
    for old, new in zip(before, now, strict=True):
        yield (
            f"{counted(len(moved), 'image is', 'images are')} in another class than in the run's record, and left aside, such "
            f"as {printable(present.names[moved[0]])}, which was in {quoted(old)} and is in {quoted(new)}."
        )


def _on_strange(count: int, classes: Sequence[str]) -> Iterator[str]:
    if count:
        yield f"{counted(count, 'image is', 'images are')} of classes that the run does not know, {some(classes)}: left aside."


def on_new(new: np.ndarray, present: Present) -> Iterator[str]:
    """On images that are not recorded, where they are not wanted."""
    if len(new):
        yield (
            f"{counted(len(new), 'image is', 'images are')} in {present.where}, but not in the run's record, such as "
            f"{printable(present.names[new[0]])}: left aside. `add_images()` takes them into its splits."
        )


def _numbered_copies(keys: np.ndarray) -> np.ndarray:
    """`(n,)` int64 -> `(n,)` int64, all different: the first of equal keys becomes the same number in any array, and so on."""
    order = np.argsort(keys, kind="stable")
    place = np.arange(len(keys))
    is_first = np.ones(len(keys), dtype=bool)
    is_first[1:] = np.diff(keys[order]) != 0
    copies = np.empty(len(keys), np.int64)
    copies[order] = place - np.maximum.accumulate(np.where(is_first, place, 0))
    return keys * 2**20 + copies
