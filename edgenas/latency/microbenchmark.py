"""What is timed: one block, a whole network, or nothing at all, as the bytes of a model file. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgenas.device.runtimes import get_runtime, require_precision
from edgenas.graph import random_weights
from edgenas.space import BlockSpec

_WEIGHT_SEED = 0

REFERENCE = (
    BlockSpec("conv", 32, 3, 0, 16, kernel=3, stride=2, activation="hswish"),
    BlockSpec("mbconv", 16, 16, 64, 24, kernel=3, stride=2),
    BlockSpec("mbconv", 8, 24, 96, 24, kernel=5, residual=True),
    BlockSpec("mbconv", 8, 24, 144, 40, kernel=5, stride=2, activation="hswish", se=True),
    BlockSpec("mbconv", 4, 40, 240, 40, kernel=3, activation="hswish", se=True, residual=True),
    BlockSpec("head", 4, 40, 256, 10, activation="hswish"),
)
"""A small network, the same for every space and device: timed beside everything else, it tells how fast the machine is just
then. Changing it makes older tables incomparable: raise `table.VERSION` too."""


def model_bytes(blocks: Sequence[BlockSpec], runtime: str, precision: str = "fp32") -> bytes:
    """A chain of blocks with random weights, whole network or single block, for a runtime; always the same bytes.

    Raises UsageError for an unknown runtime or precision, and for two that do not go together.
    """
    require_precision(runtime, precision)
    rng = np.random.default_rng(_WEIGHT_SEED)
    weights = [random_weights(spec, rng) for spec in blocks]
    return get_runtime(runtime).model_format.build(blocks, weights, precision)


def empty_model_bytes(runtime: str) -> bytes:
    """The least that a session can do: its time is subtracted from every block's."""
    return get_runtime(runtime).model_format.empty()
