"""What is timed: one block, a whole network, or nothing at all, as the bytes of a model file. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgenas.errors import UsageError
from edgenas.graph import get_format, random_weights
from edgenas.latency.runtimes import WEB_PROVIDERS
from edgenas.space import BlockSpec, unknown

FORMATS = {"onnxruntime": "onnx", "litert": "tflite", "tflite-runtime": "tflite"} | dict.fromkeys(WEB_PROVIDERS, "onnx")
"""The file format that each runtime opens."""

PRECISIONS = {"fp32": tuple(FORMATS), "int8": ("onnxruntime", "onnxruntime-web-wasm")}
"""The runtimes in which each precision can be timed."""

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
    return get_format(_format(runtime)).build(blocks, weights, precision)


def empty_model_bytes(runtime: str) -> bytes:
    """The least that a session can do: its time is subtracted from every block's."""
    return get_format(_format(runtime)).empty()


def require_precision(runtime: str, precision: str) -> None:
    """Raise UsageError when models of a precision cannot be timed in a runtime."""
    if precision not in PRECISIONS:
        raise UsageError(unknown("precision", precision, PRECISIONS))
    if _format(runtime) and runtime not in PRECISIONS[precision]:
        others = " or ".join(PRECISIONS[precision])
        raise UsageError(f"{precision} cannot be timed in {runtime} in this version: choose --runtime {others}.")


def _format(runtime: str) -> str:
    if runtime not in FORMATS:
        raise UsageError(unknown("runtime", runtime, FORMATS))
    return FORMATS[runtime]
