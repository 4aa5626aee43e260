"""`Quantisation`: how the numbers of one network become 8-bit integers. Files and their simulation take it from here alone.

A real number is `(step - zero point) * scale` (Jacob et al., arXiv:1712.05877). Activations have one scale and a zero point
each; weights are symmetric, of -127..127 steps, with a scale per output channel (Krishnamoorthi, arXiv:1806.08342), or one for
all of them; biases are int32 in steps of the input's scale times the weight's, as sums of products are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from edgenas.quantisation.ranges import GATE_SHIFT, Range, all_ranges, nominal_ranges
from edgenas.space import BlockSpec
from edgenas.space.program import Weighted

WEIGHT_STEPS = 127
_BIAS_STEPS = 2**30
"""The most that a bias may have of its int32, so that there is room for the sum of products."""


@dataclass(frozen=True)
class Parameters:
    """The weights of one step.

    weight: int8, in torch's layout. scale: float32, one per output channel or, `(1,)`, one for all.
    bias: int32, `(channels,)`, or None. bias_scale: float32, as `scale`.
    """

    weight: np.ndarray
    scale: np.ndarray
    bias: np.ndarray | None
    bias_scale: np.ndarray


@dataclass(frozen=True)
class Quantisation:
    """Of a chain of blocks.

    own: the ranges of its `calibrated` values, by name.
    per_tensor: one scale for all channels of a weight, as some accelerators want it.
    integer_ends: files take and give integers, for devices without floats; else float32 images and scores.
    """

    blocks: tuple[BlockSpec, ...]
    own: Mapping[str, Range] = field(repr=False)
    per_tensor: bool = False
    integer_ends: bool = False

    @classmethod
    def nominal(cls, blocks: Sequence[BlockSpec]) -> Quantisation:
        """For networks whose speed alone is of interest."""
        return cls(tuple(blocks), nominal_ranges(blocks))

    @cached_property
    def ranges(self) -> dict[str, Range]:
        """Of all values, by name."""
        return all_ranges(self.blocks, self.own)

    @property
    def scores(self) -> Range:
        """Of the last value."""
        return list(self.ranges.values())[-1]

    def parameters(self, block: str, step: Weighted, weights: Mapping[str, np.ndarray], activation: str) -> Parameters:
        """The integers of a step's weights.

        block: its name. weights: of that block, batch norm folded. activation: that the kernel computes as well.
        """
        weight, bias = weights[f"{step.name}.weight"], weights.get(f"{step.name}.bias")
        if activation == "gate":
            bias = (0 if bias is None else bias) + np.full(step.channels, GATE_SHIFT, np.float32)
        input_scale = self.ranges[f"{block}.{step.reads[0]}"].scale
        return self._integers(weight, bias, input_scale)

    def of_pixels(self, weight: np.ndarray, bias: np.ndarray) -> Parameters:
        """Of a convolution of one pixel, from pixels, whose step is 1, to the image. weight, bias: `(channels,)`.

        Each channel is made of one alone: the others' weights are zero. Every accelerator has such a convolution.
        """
        return self._integers(np.diag(weight)[..., None, None], bias, np.float32(1))

    def _integers(self, weight: np.ndarray, bias: np.ndarray | None, input_scale: np.float32) -> Parameters:
        scale = _weight_scale(weight, bias, input_scale, self.per_tensor)
        integers = np.rint(weight / scale.reshape(-1, *[1] * (weight.ndim - 1))).astype(np.int8)
        bias_scale = input_scale * scale
        return Parameters(integers, scale, None if bias is None else np.rint(bias / bias_scale).astype(np.int32), bias_scale)


def _weight_scale(weight: np.ndarray, bias: np.ndarray | None, input_scale: np.float32, per_tensor: bool) -> np.ndarray:
    """The largest weight is the last step. Steps are larger where the bias would leave int32, or all weights are zero."""
    largest = np.abs(weight).reshape(len(weight), -1).max(axis=1).astype(np.float64)
    largest[largest == 0] = largest.max() or 1.0  # any would do
    scale = largest / WEIGHT_STEPS
    if bias is not None:
        scale = np.maximum(scale, np.abs(bias) / (float(input_scale) * _BIAS_STEPS))
    return (scale.max(keepdims=True) if per_tensor else scale).astype(np.float32)
