"""`Metric`: what makes one classifier better than another. A training reports it, a search maximises it, reports show it.

Accuracy says little where classes are uneven: of 400 good and 3 defect parts, a network that calls everything good is right for
99 %. Each metric here is computed from three counts of each class: its images, those that are recognised, and the images that
are called so. A class without images counts in none.

Intervals are of 95 %: Wilson's (1927) of an accuracy and a recall; of a mean over classes, those of its terms put together by
MOVER (Zou and Donner, 2008, Statistics in Medicine 27). Of the same images, two networks are compared image by image.
"""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np

from edgenas import names
from edgenas.errors import UsageError
from edgenas.statistics import differ, wilson
from edgenas.values import Within, read, unknown
from edgenas.values.kinds import Classes, Count, Share, Text

NAMES = ("accuracy", "balanced", "macro-f1", "recall:CLASS")
RECALL = "recall:"
AtOnce = Annotated[int, Within(1, 10**7)]
"""Images whose answers are kept in memory."""


@dataclass(frozen=True)
class Score:
    """What a metric says of a network on so many images, with its 95 % interval. All in 0..1.

    accuracy: plain top-1. constant: what calling every image by the name of the largest class would give. None is what nobody
    knows, as of files of older versions.
    """

    metric: Text
    value: Share
    low: Share | None
    high: Share | None
    accuracy: Share | None
    constant: Share | None = None
    images: Count | None = None

    @classmethod
    def of_accuracy(cls, accuracy: float, images: float | None, constant: float | None = None) -> Score:
        """images: None where it is unknown how many there were."""
        low, high = wilson(accuracy, images) if images else (None, None)
        return cls("accuracy", accuracy, low, high, accuracy, constant, None if images is None else int(images))

    @property
    def label(self) -> str:
        """What it is, as it is called in a sentence."""
        return label_of(self.metric)

    def differs(self, other: Score) -> bool:
        """Whether two networks can be told apart, be it on other images. Where an interval is unknown they cannot."""
        if self.low is None or self.high is None or other.low is None or other.high is None:
            return False
        return differ(self.value, (self.low, self.high), other.value, (other.low, other.high))


@dataclass(frozen=True)
class Tally:
    """`(classes,)` counts: images of each class, those of them that are recognised, and images that are called so."""

    images: np.ndarray
    right: np.ndarray
    called: np.ndarray

    @classmethod
    def of(cls, confusion: np.ndarray) -> Tally:
        """confusion: `(classes, classes)` counts, true in the row, predicted in the column."""
        return cls(confusion.sum(1), confusion.diagonal(), confusion.sum(0))

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.images + other.images, self.right + other.right, self.called + other.called)

    @property
    def count(self) -> int:
        return int(self.images.sum())

    @property
    def accuracy(self) -> float:
        return float(self.right.sum() / self.count)

    @property
    def never_found(self) -> list[int]:
        """Classes with images of which none is recognised."""
        return np.flatnonzero((self.images > 0) & (self.right == 0)).tolist()

    @property
    def constant(self) -> Tally:
        """Of a classifier that calls every image by the name of the largest class."""
        is_largest = np.arange(len(self.images)) == self.images.argmax()
        return Tally(self.images, self.images * is_largest, self.count * is_largest)


@dataclass(frozen=True, eq=False)
class Answers:
    """What a network calls images, in an order that is the same for every network: `(n,)` true and predicted classes."""

    labels: np.ndarray
    predicted: np.ndarray
    classes: int

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def correct(self) -> np.ndarray:
        """`(n,)` bool."""
        return self.predicted == self.labels

    @property
    def accuracy(self) -> float:
        return float(self.correct.mean())

    @cached_property
    def tally(self) -> Tally:
        columns = self.labels, self.labels[self.correct], self.predicted
        return Tally(*(np.bincount(column, minlength=self.classes) for column in columns))

    def are_of_the_same_images(self, other: Answers) -> bool:
        """As far as their classes tell."""
        return self.classes == other.classes and np.array_equal(self.labels, other.labels)

    def to_text(self) -> str:
        """For a ledger. Wrong answers are rare, so that their distance from the right ones is short when compressed."""
        off = (self.predicted - self.labels) % self.classes
        packed = zlib.compress(np.stack([self.labels, off]).astype(_type_for(self.classes)).tobytes(), 9)
        return f"{self.classes} {len(self)} {base64.b64encode(packed).decode()}"

    @classmethod
    def from_text(cls, text: str) -> Answers:
        """Raises ValueError for what `to_text` has not written."""
        classes, count, packed = text.split(" ")
        classes, count = read(Classes, int(classes)), read(AtOnce, int(count))
        kind = _type_for(classes)
        try:
            content = zlib.decompressobj().decompress(base64.b64decode(packed, validate=True), 2 * count * kind.itemsize + 1)
        except (binascii.Error, zlib.error) as error:
            raise ValueError(str(error)) from None
        labels, off = np.frombuffer(content, kind).reshape(2, count).astype(int)
        if max(labels.max(), off.max()) >= classes:
            raise ValueError("it names classes that there are not")
        return cls(labels, (labels + off) % classes, classes)


def _type_for(classes: int) -> np.dtype:
    return np.dtype("<u1" if classes <= 2**8 else "<u2" if classes <= 2**16 else "<u4")


@dataclass(frozen=True)
class Metric:
    """name: as it is asked for. of_class: the one whose recall it is."""

    name: str
    of_class: int | None = None

    @classmethod
    def named(cls, name: str, classes: tuple[str, ...]) -> Metric:
        """Raises UsageError for a name that there is not, and for the recall of an unknown class."""
        if name.startswith(RECALL):
            wanted = names.of_class(name.removeprefix(RECALL))
            if wanted not in classes:
                raise UsageError(unknown("class", wanted, classes))
            return cls(f"{RECALL}{wanted}", classes.index(wanted))
        if name not in NAMES:
            raise UsageError(unknown("metric", name, NAMES))
        return cls(name)

    @property
    def is_accuracy(self) -> bool:
        return self.name == "accuracy"

    @property
    def label(self) -> str:
        """As it is called in a sentence."""
        return label_of(self.name)

    def require_images(self, labels: np.ndarray) -> None:
        """Raises UsageError where it is of a class that none of the images is of."""
        if self.of_class is not None and not (labels == self.of_class).any():
            raise UsageError(f"No validation image tells the {self.label}: choose another `metric`, or give more images.")

    def value(self, tally: Tally) -> float | None:
        """In 0..1; None of the recall of a class without images."""
        terms = self._terms(tally)
        return float(terms[0].mean()) if len(terms[0]) else None

    def score(self, tally: Tally) -> Score | None:
        """None of the recall of a class without images."""
        value = self.value(tally)
        if value is None:
            return None
        low, high = self._interval(tally)
        return Score(self.name, value, low, high, tally.accuracy, self.value(tally.constant), tally.count)

    def difference(self, one: Answers, other: Answers) -> tuple[float, float]:
        """By how much one network is better than another on the same images, and the standard error of that.

        By the delta method: an image on which they disagree moves the metric by so much. Of few such images chance would be
        underestimated, so that two more are assumed, one for each network (Bonett and Price, 2012, J. Educ. Behav. Stat. 37).
        """
        pooled = one.tally + other.tally
        moved = self.effects(one, pooled) - self.effects(other, pooled)
        count = np.count_nonzero(moved)
        error = math.sqrt((moved**2).sum() * (count + 2) / count) / len(one) if count else 0.0
        return (self.value(one.tally) or 0.0) - (self.value(other.tally) or 0.0), error

    def effects(self, answers: Answers, tally: Tally) -> np.ndarray:
        """`(n,)`: times n, what each answer adds to the metric near a tally: its derivative by the share of such answers."""
        share = np.maximum(tally.images / tally.count, 1e-300)
        present = tally.images > 0
        correct = answers.correct.astype(float)
        if self.is_accuracy:
            return correct
        if self.of_class is not None:
            return correct * (answers.labels == self.of_class) / share[self.of_class]
        if self.name == "balanced":
            return correct / share[answers.labels] / present.sum()
        both = np.maximum((tally.images + tally.called) / tally.count, 1e-300)
        f1 = np.where(present, 2 * tally.right / tally.count / both, 0.0)
        lost = f1 / both
        gained = 2 * correct / both[answers.labels]
        return (gained - lost[answers.labels] - lost[answers.predicted]) / present.sum()

    def _terms(self, tally: Tally) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of what the metric is the mean: `(k,)` values, and the ends of their intervals."""
        if self.is_accuracy:
            return _shares(tally.right.sum(keepdims=True), tally.images.sum(keepdims=True))
        present = tally.images > 0
        if self.of_class is not None:
            present &= np.arange(len(present)) == self.of_class
        right, images, called = tally.right[present], tally.images[present], tally.called[present]
        if self.name != "macro-f1":
            return _shares(right, images)
        # F1 rises with the share of what is right among all that is or is called so, which is a share like others.
        value, low, high = (2 * share / (1 + share) for share in _shares(right, images + called - right))
        return value, low, high

    def _interval(self, tally: Tally) -> tuple[float, float]:
        value, low, high = self._terms(tally)
        # A mistake counts in two classes' F1, so that their errors may be so much more alike.
        alike = math.sqrt(2) if self.name == "macro-f1" and len(value) > 1 else 1.0
        down, up = (alike * math.sqrt((away**2).sum()) / len(value) for away in (value - low, high - value))
        return max(0.0, value.mean() - down), min(1.0, value.mean() + up)


ACCURACY = Metric("accuracy")


def label_of(metric: str) -> str:
    """A metric's name as it is called in a sentence."""
    if metric.startswith(RECALL):
        return f"recall of {names.printable(metric.removeprefix(RECALL))}"
    return {"balanced": "balanced accuracy", "macro-f1": "macro F1"}.get(metric, metric)


def _shares(right: np.ndarray, of: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`(k,)` shares with the ends of Wilson's intervals."""
    ends = np.array([wilson(r / n, n) for r, n in zip(right.tolist(), of.tolist(), strict=True)]).reshape(-1, 2)
    return right / of, ends[:, 0], ends[:, 1]
