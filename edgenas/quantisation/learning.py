"""`LearnedRanges`: ranges that a network learns together with its weights, computing as its int8 file will."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

import edgenas.torch_setup  # noqa: F401
from edgenas.quantisation.computation import Depthwise, Steps, Weights, depthwise_conv2d, in_integers, straight
from edgenas.quantisation.ranges import GATE, GATE_LIMIT, STEPS, Range, calibrated, sources
from edgenas.quantisation.scheme import Quantisation

_LEAST_SCALE = 1e-9
_PACE = 10
_FURTHEST = 9.0
"""Exponent: a training that diverges ends with a sentence, not with a range that is infinite."""


class LearnedRanges(nn.Module):
    """The ranges of a network's calibrated values, each end times e to the power of ten times a learned number, which is 0 at
    first.

    An end that is zero stays zero, as after a ReLU, and that of a ReLU6 never passes 6: a range's end is what cuts off. By the
    factor of ten ends learn a hundred times as fast as their logarithms would; at the weights' rate those stood still (0.004 %
    in an epoch of 80 steps; now 0.7 % on average, 20 % at most).
    """

    def __init__(self, begin: Quantisation):
        super().__init__()
        self._begin = begin
        values = calibrated(begin.blocks)
        own = [begin.own[value.name] for value in values]
        ends = {
            "low": [limits.low for limits in own],
            "high": [limits.high for limits in own],
            "most": [GATE_LIMIT if value.activation == "relu6" else float("inf") for value in values],
        }
        for name, numbers in ends.items():
            self.register_buffer(f"_{name}", torch.tensor(numbers, dtype=torch.float64), persistent=False)
        self.lower, self.upper = (nn.Parameter(torch.zeros(len(own))) for _ in range(2))

    def forward(self, images: Tensor, weights: Sequence[Weights], depthwise: Depthwise = depthwise_conv2d) -> Tensor:
        """What the int8 network with these ranges makes of `(n, 3, r, r)` images. weights, depthwise: see `in_integers`."""
        quantisation = self.quantisation
        return in_integers(quantisation, weights, self._steps(quantisation), depthwise)(images)

    @property
    def quantisation(self) -> Quantisation:
        """With the ranges as they are now."""
        names, (lower, upper) = [value.name for value in calibrated(self._begin.blocks)], self._ends()
        ends = zip(names, lower.tolist(), upper.tolist(), strict=True)
        return replace(self._begin, own={name: Range(low, high) for name, low, high in ends})

    def _ends(self) -> tuple[Tensor, Tensor]:
        low, high, most = (self.get_buffer(f"_{name}") for name in ("low", "high", "most"))
        lower, upper = ((_PACE * learned).clamp(-_FURTHEST, _FURTHEST).exp() for learned in (self.lower, self.upper))
        return low * lower, torch.minimum(high * upper, most)

    def _steps(self, quantisation: Quantisation) -> dict[str, Steps]:
        """Of all values; gradients reach the ends."""
        lower, upper = self._ends()
        scale = ((upper - lower) / STEPS).clamp(min=_LEAST_SCALE)
        names = [value.name for value in calibrated(quantisation.blocks)]
        rounded = [Steps.of(quantisation.ranges[name]) for name in names]
        exact_scale, exact_zero = (torch.stack(numbers).to(scale.device) for numbers in zip(*rounded, strict=True))
        scales = straight(scale.float(), exact_scale).unbind()
        zeros = straight((-lower / scale).float(), exact_zero).unbind()
        own = {name: Steps(*both) for name, *both in zip(names, scales, zeros, strict=True)}
        own[""] = Steps(*(number.to(scale.device) for number in Steps.of(GATE)))
        return {name: own[source] for name, source in sources(quantisation.blocks).items()}
