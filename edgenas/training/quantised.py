"""`QuantisedNetwork`: one network, trained in the arithmetic of its int8 file."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import torch
from torch import Tensor, nn

from edgenas.quantisation.calibration import TRAINED, Calibration
from edgenas.quantisation.learning import LearnedRanges
from edgenas.space import Architecture, SearchSpace
from edgenas.supernet import Network, folded


class QuantisedNetwork(nn.Module):
    """Stands in a `Trainer` where a supernet does; its space has one architecture.

    Batch norm is folded with the statistics that it has: they are not learned. Weights, batch norm's factors and shifts, and
    the ranges are (quantisation-aware training, arXiv:1712.05877; learned ranges, arXiv:1902.08153).
    """

    def __init__(self, space: SearchSpace, network: Network, calibration: Calibration):
        super().__init__()
        self.space = space
        self.network = deepcopy(network).requires_grad_()
        self.ranges = LearnedRanges(calibration.quantisation(network.specs))
        self._begin = calibration

    def forward(self, x: Tensor, architecture: Architecture, generator: torch.Generator | None = None) -> Tensor:
        """`(n, 3, r, r)` normalised images -> `(n, classes)` logits, those of the int8 file. There is no dropout."""
        logits: Tensor = self.ranges(x, folded(self.network))
        return logits

    @property
    def calibration(self) -> Calibration:
        """With the ranges as they are now."""
        return replace(self._begin, method=TRAINED, ranges=dict(self.ranges.quantisation.own))

    def synchronise_batch_norm(self) -> None:
        """There is nothing to do: statistics are not learned."""
