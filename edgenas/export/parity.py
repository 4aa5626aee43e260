"""Whether two ways to compute a network agree."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from edgenas.values import Within
from edgenas.values.kinds import Share

TOLERANCE = 1e-4
HALF_TOLERANCE = 2e-3
"""Of the largest logit, for networks whose weights are float16."""
NOISE_SHARE = 1.5
"""How far kernels may be from the simulation, relative to its own distance from float32. Of two int8 networks that round
independently it is the square root of 2. Measured: ONNX Runtime and LiteRT 0 to 0.15 on trained networks, tflite-runtime, which
rounds otherwise everywhere, 0.45 on trained and up to 1.3 on random ones."""


@dataclass(frozen=True)
class Parity:
    """max_difference: largest absolute difference of two logits. scale: largest absolute logit, at least 1.

    agreement: share of images with the same top-1 class.
    difference, allowed: root of the mean squared difference of two logits, and the most that it may be; None where
        `max_difference` is what counts.
    """

    max_difference: Annotated[float, Within(0, math.inf)]
    scale: Annotated[float, Within(0, 1e30)]
    agreement: Share
    difference: Annotated[float, Within(0, math.inf)] | None = None
    allowed: Annotated[float, Within(0, 1e30)] | None = None

    @property
    def holds(self) -> bool:
        if self.difference is not None and self.allowed is not None:
            return self.difference <= self.allowed
        return bool(self.max_difference <= TOLERANCE * self.scale)


def compare(expected: np.ndarray, outputs: np.ndarray, allowed: float | None = None) -> Parity:
    """Two `(n, classes)` arrays of logits. A shape that differs or a NaN is a difference without limit.

    allowed: see `Parity`, for files that round.
    """
    if expected.shape != outputs.shape or not np.isfinite(outputs).all():
        return Parity(math.inf, 1.0, 0.0, None if allowed is None else math.inf, allowed)
    agreement = float((expected.argmax(1) == outputs.argmax(1)).mean())
    difference = None if allowed is None else root_mean_square(expected - outputs)
    scale = max(1.0, float(np.abs(expected).max()))
    return Parity(float(np.abs(expected - outputs).max()), scale, agreement, difference, allowed)


def root_mean_square(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
