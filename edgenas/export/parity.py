"""Whether two ways to compute a network agree."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from edgenas.values import Within
from edgenas.values.kinds import Share

TOLERANCE = 1e-4


@dataclass(frozen=True)
class Parity:
    """max_difference: largest absolute difference of two logits. scale: largest absolute logit, at least 1.

    agreement: share of images with the same top-1 class. holds: the difference is within TOLERANCE of the scale.
    """

    max_difference: Annotated[float, Within(0, math.inf)]
    scale: Annotated[float, Within(0, 1e30)]
    agreement: Share

    @property
    def holds(self) -> bool:
        return bool(self.max_difference <= TOLERANCE * self.scale)


def compare(expected: np.ndarray, outputs: np.ndarray) -> Parity:
    """Two `(n, classes)` arrays of logits. A shape that differs or a NaN is a difference without limit."""
    if expected.shape != outputs.shape or not np.isfinite(outputs).all():
        return Parity(float("inf"), 1.0, 0.0)
    agreement = float((expected.argmax(1) == outputs.argmax(1)).mean())
    return Parity(float(np.abs(expected - outputs).max()), max(1.0, float(np.abs(expected).max())), agreement)
