"""`QuantisedSupernet`: one network, trained in the arithmetic of its int8 file."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from edgenas.quantisation.calibration import TRAINED, Calibration
from edgenas.quantisation.learning import LearnedRanges
from edgenas.space import Architecture, SearchSpace
from edgenas.supernet import Network, Supernet, depthwise_conv2d, folded


class QuantisedSupernet(Supernet):
    """Of a space of one architecture, whose network it begins with, calibrated.

    Batch norm is folded, with the statistics that it has: they are not learned. Weights, batch norm's factors and shifts, and
    the ranges are (quantisation-aware training, arXiv:1712.05877; learned ranges, arXiv:1902.08153).
    """

    def __init__(self, space: SearchSpace, network: Network, calibration: Calibration):
        super().__init__(space)
        self.adopt(network)
        self.ranges = LearnedRanges(calibration.quantisation(network.specs))
        self._begin = calibration

    def forward(self, x: Tensor, architecture: Architecture, generator: torch.Generator | None = None) -> Tensor:
        """`(n, 3, r, r)` normalised images -> `(n, classes)` logits, those of the int8 file. There is no dropout."""
        weights = folded(self.space.blocks(architecture), [block.full for block in self.blocks])
        logits: Tensor = self.ranges(x, weights, depthwise_conv2d)
        return logits

    @property
    def calibration(self) -> Calibration:
        """With the ranges as they are now."""
        return replace(self._begin, method=TRAINED, ranges=dict(self.ranges.quantisation.own))
