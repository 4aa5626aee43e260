"""`DataReport`: what is in a data set, what was left out, and what of it will mislead a training or its judgement."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from edgenas.data.cache import unreadable
from edgenas.data.copies import count_different, picture_groups
from edgenas.data.dataset import Dataset
from edgenas.data.sources import PARTS, LeftOut
from edgenas.names import printable, some
from edgenas.words import counted

FEW = 10
"""Images of a class from which little is learned, and by which little can be told."""
UNEVEN = 5
"""How many times as large the largest class may be as the smallest without a word."""
LONG = 2.0
"""The aspect from which a centre crop leaves out half of a picture or more."""
SHARE = 0.05
"""Of the pictures, from which on something is true of the data set rather than of a few of them."""
PALE = 64
"""Levels, of 256, that a data set should at least use."""
NAMED = 10
"""Classes that are counted one by one in a sentence."""


@dataclass(frozen=True)
class Copies:
    """Images that are in a data set more than once. count: of images, or of pairs. example: two of them."""

    count: int
    example: tuple[str, str]

    @classmethod
    def of(cls, pairs: np.ndarray, files: Sequence[str]) -> Copies:
        return cls(len(pairs), (files[pairs[0, 0]], files[pairs[0, 1]]) if len(pairs) else ("", ""))

    def __str__(self) -> str:
        return f"such as {printable(self.example[0])} and {printable(self.example[1])}"


@dataclass(frozen=True)
class DataReport:
    """What is in a data set.

    counts: images of each class, by part. Classes that were given, of which there are none, are left aside.
    left_out: files that are not used, also the unreadable ones. notes: what was understood in a way that may not be meant.
    different: how many of all readable images are different pictures. aside: images in no split, since an equal one is.
    copies: equal images in one class. in_several_classes: equal images of different classes.
    alike_across_splits, alike_across_classes: pairs that look the same; None where the whole set is of much the same pictures.
    sides: the least and the largest side of all pictures. aspects: longer by shorter side, the median and the largest.
    long: how many pictures are `LONG` or longer. levels: the lowest and the highest of all decoded pixels, of 0..255.
    deep: how many have more than 8 bits, which became 0..255 by `value_range`.
    """

    source: str
    classes: tuple[str, ...]
    counts: dict[str, tuple[int, ...]]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]
    fit: str
    size: int
    images: int
    different: int
    aside: int
    copies: Copies
    in_several_classes: Copies
    alike_across_splits: Copies | None
    alike_across_classes: Copies | None
    sides: tuple[int, int]
    aspects: tuple[float, float]
    long: int
    levels: tuple[int, int]
    deep: int
    value_range: tuple[float, float] | None

    @classmethod
    def of(cls, dataset: Dataset) -> DataReport | None:
        """None of a data set whose images were not decoded from files."""
        pictures = dataset.pictures
        if pictures is None:
            return None
        rows = np.flatnonzero(pictures.labels >= 0)
        facts, labels, files = pictures.facts[rows], pictures.labels[rows], [pictures.files[row] for row in rows]
        parts = np.full(len(pictures.files), -1)
        for number, split in enumerate(dataset.splits.values()):
            parts[split.rows] = number
        copied = _with_first(picture_groups(facts))
        same_class = labels[copied[:, 0]] == labels[copied[:, 1]]
        width, height = facts["width"].astype(float), facts["height"].astype(float)
        aspects = np.maximum(width, height) / np.minimum(width, height)

        def pairs(differing: np.ndarray) -> Copies | None:
            if pictures.alike is None:
                return None
            one, other = differing[pictures.alike.T]
            return Copies.of(pictures.alike[(one != other) & (one >= 0) & (other >= 0)], pictures.files)

        present = np.unique(labels) if dataset.folders else np.arange(len(dataset.classes))
        counts = {part: np.bincount(s.labels, minlength=len(dataset.classes)) for part, s in dataset.splits.items()}
        return cls(
            source=dataset.source,
            classes=tuple(dataset.classes[i] for i in present),
            counts={part: tuple(of_it[present].tolist()) for part, of_it in counts.items()},
            left_out=(*pictures.left_out, *unreadable(dataset.skipped)),
            notes=pictures.notes,
            fit=dataset.fit,
            size=dataset.size,
            images=len(rows),
            different=count_different(facts["picture"]),
            aside=int(np.count_nonzero(parts[rows] < 0)),
            copies=Copies.of(copied[same_class], files),
            in_several_classes=Copies.of(copied[~same_class], files),
            alike_across_splits=pairs(parts),
            alike_across_classes=pairs(pictures.labels),
            sides=(int(np.minimum(width, height).min()), int(np.maximum(width, height).max())),
            aspects=(float(np.median(aspects)), float(aspects.max())),
            long=int(np.count_nonzero(aspects >= LONG)),
            levels=(int(facts["low"].min()), int(facts["high"].max())),
            deep=int(np.count_nonzero(facts["deep"])),
            value_range=dataset.value_range,
        )

    @property
    def facts(self) -> list[str]:
        """Sentences on what there is."""
        sums = {part: sum(counts) for part, counts in self.counts.items()}
        low, high = self.levels
        said = [
            f"{self.images} images in {len(self.classes)} classes: {sums['train']} for training, {sums['validation']} for "
            f"validation, {sums['test']} for testing.",
            self._by_class(),
            f"{self.different} are different pictures, with sides of {self.sides[0]} to {self.sides[1]} px, mostly "
            f"{self.aspects[0]:.2g} times as long as wide (at most {self.aspects[1]:.4g}), levels {low} to {high} of 0 to 255.",
        ]
        if self.deep and self.value_range:
            black, white = self.value_range
            deep = counted(self.deep, "has", "have")
            said.append(f"{deep} more than 8 bits: values from {black:g} to {white:g} became black to white.")
        return said + [f"Left out: {each}." for each in self.left_out] + list(self.notes)

    def _by_class(self) -> str:
        """The counts of each class, or their range where classes are many."""
        if len(self.classes) <= NAMED:
            rows = zip(self.classes, *(self.counts[part] for part in PARTS), strict=True)
            each = (f"{printable(name)}: {' + '.join(map(str, numbers))}" for name, *numbers in rows)
            return f"Training + validation + test images: {', '.join(each)}."
        bounds = {part: sorted({min(self.counts[part]), max(self.counts[part])}) for part in PARTS}
        ranges = (f"{' to '.join(map(str, ends))} {part}" for part, ends in bounds.items())
        return f"Of each class {', '.join(ranges)} images."

    @property
    def warnings(self) -> list[str]:
        """Sentences on what will mislead a training, or its judgement."""
        return [*self._on_classes(), *self._on_copies(), *self._on_pixels()]

    def _on_classes(self) -> Iterable[str]:
        train = self.counts["train"]
        for part in PARTS[1:]:
            if lacking := self._named(n == 0 for n in self.counts[part]):
                yield f"There are no {part} images of {lacking}: nothing will be known of them there."
        if few := self._named(n < FEW for n in train):
            yield f"There are fewer than {FEW} training images of {few}: too few to learn them from."
        if few := self._named(0 < n < FEW for n in self.counts["test"]):
            yield f"There are fewer than {FEW} test images of {few}: one of them is over {100 / FEW:.0f} points of recall."
        if max(train) > UNEVEN * min(train):
            largest, smallest = (self.classes[function(train)] for function in (np.argmax, np.argmin))
            yield (
                f"{printable(largest)} has {max(train)} training images, {printable(smallest)} {min(train)}: accuracy would "
                f"hardly notice if the rare class was never found: `metric` balanced does, or `metric` "
                f"{shlex.quote(f'recall:{self.classes[int(np.argmin(train))]}')}. `balance` draws it more often."
            )

    def _on_copies(self) -> Iterable[str]:
        if self.aside:
            aside = counted(self.aside, "validation or test image is", "validation or test images are")
            yield f"{aside} left aside, since equal ones are in another split."
        if self.in_several_classes.count:
            twice = counted(self.in_several_classes.count, "image is", "images are")
            yield f"{twice} in two classes, {self.in_several_classes}: one label is wrong."
        if self.copies.count:
            copies = counted(self.copies.count, "image is a copy of another", "images are copies of others")
            yield f"{copies}, {self.copies}; equal images are in one split."
        if self.alike_across_splits is None or self.alike_across_classes is None:
            yield "Most pictures look much the same, so that near copies in different splits cannot be told."
            return
        if self.alike_across_splits.count:
            pairs, flatters = self.alike_across_splits, "accuracy on what was trained on, or nearly so, flatters"
            which = "of images in different splits"
            yield f"{counted(pairs.count, f'pair {which} looks', f'pairs {which} look')} the same, {pairs}: {flatters}."
        if self.alike_across_classes.count:
            pairs, which = self.alike_across_classes, "of different classes"
            yield f"{counted(pairs.count, f'pair {which} looks', f'pairs {which} look')} the same, {pairs}."

    def _on_pixels(self) -> Iterable[str]:
        if self.fit == "crop" and self.long > SHARE * self.images:
            lost = 1 - 1 / self.aspects[1]
            yield (
                f"{counted(self.long, 'picture is', 'pictures are')} {LONG:g} times as long as wide or longer: only the centre "
                f"is seen, of the longest {100 * (1 - lost):.0f} %. `fit` pad or squeeze shows all."
            )
        if self.levels[1] - self.levels[0] < PALE:
            yield (
                f"All pixels are within levels {self.levels[0]} to {self.levels[1]} of 0 to 255: save the pictures with the "
                "whole range, or as 16-bit grey, whose range is found."
            )
        if self.different < self.images / 2:
            yield f"Only {self.different} of {self.images} images are different pictures."

    def _named(self, which: Iterable[bool]) -> str:
        return some([name for name, is_it in zip(self.classes, which, strict=True) if is_it])


def _with_first(groups: np.ndarray) -> np.ndarray:
    """`(m, 2)`: for every row that is not the first of its group the first one, and itself."""
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    firsts = first[group.reshape(-1)]
    later = np.flatnonzero(firsts != np.arange(len(groups)))
    return np.stack([firsts[later], later], axis=1)
