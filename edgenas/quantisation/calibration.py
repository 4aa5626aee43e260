"""Ranges from images: what the values of a network are between, and how much of that int8 should cover.

A range that ends at the outermost value wastes steps on what hardly ever occurs; one that ends earlier cuts it off. Which is
better depends on the network, so several methods are tried and judged by their networks on other images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

import edgenas.torch_setup  # noqa: F401
from edgenas.errors import CheckpointError
from edgenas.quantisation.computation import Multiply, compute, in_floats, simulate
from edgenas.quantisation.ranges import STEPS, Range, calibrated
from edgenas.quantisation.scheme import Quantisation
from edgenas.space import BlockSpec
from edgenas.values import OneOf
from edgenas.values.kinds import Images, Line

BINS = 2048
PERCENTILE = 0.9999
"""Of a value's numbers within its range."""
SHRINKS = np.linspace(1.0, 0.3, 36)
"""Parts of the whole range among which that of the least squared error is looked for."""

COUNTED = 64
"""Images whose numbers are counted, of those that are looked at: counting is most of the work, and all of 256 photos taught no
more. The ends are those of all."""
_AT_ONCE = 2**24
"""Numbers that are counted at once: the counts are float32, too."""

Batches = Callable[[], Iterable[Tensor]]
"""Gives the same `(n, 3, r, r)` normalised images every time."""
Computing = Callable[[Quantisation, Sequence[Mapping[str, np.ndarray]]], Callable[[Tensor], Tensor]]
"""A quantisation and folded weights as a function from images to scores."""


@dataclass(frozen=True)
class Observed:
    """The numbers of one value: between which two they lie, zero included, and how many lie in each of `BINS` equal parts."""

    low: float
    high: float
    counts: np.ndarray

    def min_max(self) -> Range:
        return Range(self.low, self.high)

    def percentile(self) -> Range:
        """Without the outermost ten-thousandth."""
        shares = np.cumsum(self.counts) / max(self.counts.sum(), 1)
        first = int(np.searchsorted(shares, (1 - PERCENTILE) / 2, side="right"))
        last = min(int(np.searchsorted(shares, (1 + PERCENTILE) / 2)), BINS - 1)
        edges = self._edges
        return Range(min(float(edges[first]), 0.0), max(float(edges[last + 1]), 0.0))

    def mse(self) -> Range:
        """The part of the whole range with the least mean squared error."""
        middles = (self._edges[:-1] + self._edges[1:]) / 2

        def error(shrink: float) -> float:
            low, high = shrink * self.low, shrink * self.high
            cut = np.clip(middles, low, high) - middles
            step = (high - low) / STEPS
            return float((self.counts * (cut**2 + (cut == 0) * step**2 / 12)).sum())

        best = float(min(SHRINKS, key=error))
        return Range(best * self.low, best * self.high)

    @property
    def _edges(self) -> np.ndarray:
        return np.linspace(self.low, self.high, BINS + 1)


METHODS: dict[str, Callable[[Observed], Range]] = {
    "min-max": Observed.min_max,
    "percentile": Observed.percentile,
    "mse": Observed.mse,
}
"""How a range is made of what was observed. The first wins where another is no better."""
TRAINED = "trained"
"""Ranges that were learned together with the weights, from those that were observed."""


@dataclass(frozen=True)
class Calibration:
    """How a network was made int8.

    method: one of `METHODS`, or `TRAINED`. images: how many training images were looked at.
    ranges: by the names of values, see `ranges`.
    per_tensor, integer_ends: see `Quantisation`.
    """

    method: Annotated[str, OneOf("method", (*METHODS, TRAINED))]
    images: Images
    per_tensor: bool
    integer_ends: bool
    ranges: dict[Line, Range]

    def quantisation(self, blocks: Sequence[BlockSpec]) -> Quantisation:
        """Raises CheckpointError where the ranges are those of another network."""
        found = Quantisation(tuple(blocks), self.ranges, self.per_tensor, self.integer_ends)
        if set(self.ranges) != {value.name for value in calibrated(blocks)}:
            raise CheckpointError("The int8 ranges of an exported model are those of another network. Export it again.")
        return found


@torch.no_grad()
def observe(blocks: Sequence[BlockSpec], weights: Sequence[Mapping[str, np.ndarray]], batches: Batches) -> dict[str, Observed]:
    """What the calibrated values of a network are on these images, by name. The first of them are computed twice.

    weights: one of each per block, batch norm folded.
    """
    floats = _floats(weights)
    ends = {value.name: (0.0, 0.0) for value in calibrated(blocks)}
    counts = {name: np.zeros(BINS) for name in ends}

    def widen(name: str, value: Tensor) -> Tensor:
        if name in ends:
            low, high = value.aminmax()
            ends[name] = min(ends[name][0], low.item()), max(ends[name][1], high.item())
        return value

    def count(name: str, value: Tensor) -> Tensor:
        if name in ends and ends[name][0] < ends[name][1]:
            for some in value.flatten().split(_AT_ONCE):
                counts[name] += torch.histc(some, BINS, *ends[name]).numpy()
        return value

    for images in batches():
        compute(blocks, floats, images, widen)
    for images in _first(COUNTED, batches()):
        compute(blocks, floats, images, count)
    return {name: Observed(*ends[name], counts[name]) for name in ends}


@torch.no_grad()
def calibrate(
    blocks: Sequence[BlockSpec], weights: Sequence[Mapping[str, np.ndarray]], training: Batches, validation: Batches, *,
    per_tensor: bool = False, integer_ends: bool = False, computing: Computing = simulate,
) -> Calibration:  # fmt: skip
    """The ranges, of all `METHODS`, with which the network's scores on validation images are nearest to those in floats.

    computing: makes the int8 network that is tried, as `simulate` does.
    Scores rather than accuracy: a few hundred images tell the accuracies of two calibrations apart by chance.
    """
    observed = observe(blocks, weights, training)
    exact = [compute(blocks, _floats(weights), images, lambda _, value: value) for images in validation()]

    def error(method: str) -> float:
        computed = computing(Quantisation(tuple(blocks), ranges[method], per_tensor), weights)
        return sum(float(((computed(images) - scores) ** 2).sum()) for images, scores in zip(validation(), exact, strict=True))

    ranges = {method: {name: of(value) for name, value in observed.items()} for method, of in METHODS.items()}
    best = min(METHODS, key=error)
    return Calibration(best, sum(len(images) for images in training()), per_tensor, integer_ends, ranges[best])


def _first(count: int, batches: Iterable[Tensor]) -> Iterator[Tensor]:
    """Of so many images."""
    for images in batches:
        yield images[:count]
        count -= len(images)
        if count <= 0:
            return


def _floats(weights: Sequence[Mapping[str, np.ndarray]]) -> Multiply:
    return in_floats([{name: torch.from_numpy(array) for name, array in arrays.items()} for arrays in weights])
