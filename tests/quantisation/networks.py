"""Blocks and networks that are calibrated, with images: what int8 files and their simulation are compared on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from edgenas.graph import BlockWeights, random_weights
from edgenas.quantisation import IMAGE, Quantisation
from edgenas.quantisation.calibration import observe
from edgenas.quantisation.computation import simulate
from edgenas.space import BlockSpec
from tests.graph.reference import reference

BLOCKS = {
    "conv relu": BlockSpec("conv", 12, 3, 0, 8, kernel=3, stride=2, activation="relu"),
    "conv relu6": BlockSpec("conv", 12, 3, 0, 8, kernel=3, activation="relu6"),
    "conv hswish": BlockSpec("conv", 12, 8, 0, 16, kernel=3, activation="hswish"),
    "conv hswish residual": BlockSpec("conv", 12, 8, 0, 8, kernel=3, activation="hswish", residual=True),
    "residual": BlockSpec("mbconv", 8, 8, 24, 8, kernel=5, activation="relu", residual=True),
    "same padding": BlockSpec("mbconv", 8, 8, 24, 8, kernel=5, stride=2, activation="relu6", padding="same"),
    "squeeze": BlockSpec("mbconv", 8, 8, 24, 16, kernel=3, stride=2, activation="hswish", se=True),
    "squeeze relu": BlockSpec("mbconv", 8, 8, 24, 16, kernel=3, activation="relu", se=True),
    "extra depthwise": BlockSpec("mbconv", 8, 8, 24, 16, kernel=3, stride=2, start=5),
    "feed-forward": BlockSpec("mbconv", 8, 8, 24, 8, kernel=0, residual=True),
    "fused": BlockSpec("fused", 8, 8, 24, 8, kernel=3, residual=True),
    "bottleneck": BlockSpec("bottleneck", 8, 8, 8, 16, kernel=3, stride=2),
    "odd bottleneck": BlockSpec("bottleneck", 9, 8, 8, 16, kernel=3, stride=2),
    "residual bottleneck": BlockSpec("bottleneck", 8, 16, 8, 16, kernel=3, residual=True),
    "maxpool": BlockSpec("maxpool", 8, 8, 0, 8, kernel=3, stride=2),
    "head": BlockSpec("head", 4, 16, 24, 5, activation="hswish"),
    "head of one value": BlockSpec("head", 1, 16, 0, 5),
}
"""One of every kind of step and of every way in which steps follow each other."""


def random_weights_of(blocks: Sequence[BlockSpec]) -> list[BlockWeights]:
    rng = np.random.default_rng(0)
    return [random_weights(spec, rng) for spec in blocks]


class Case:
    """A chain of blocks with random weights, calibrated on the images that it is tried on.

    images: `(n, channels, r, r)` float32 that are steps of the input's range, so that nothing is lost on the way in.
    exact: what the blocks compute in floats. simulated: as int8. quantisation: with min-max ranges.
    """

    def __init__(self, blocks: Sequence[BlockSpec], count: int = 32, *, per_tensor: bool = False, integer_ends: bool = False):
        rng, first = np.random.default_rng(0), blocks[0]
        self.blocks = tuple(blocks)
        self.weights = random_weights_of(blocks)
        images = rng.standard_normal((count, first.in_channels, first.resolution, first.resolution)).astype(np.float32)
        images = np.abs(images) if first.op == "maxpool" else images
        observed = observe(self.blocks, self.weights, lambda: [torch.from_numpy(images)])
        own = {name: value.min_max() for name, value in observed.items()}
        self.quantisation = Quantisation(self.blocks, own, per_tensor, integer_ends)
        self.images = self.input.values(self.input.steps(images, "uint8"))
        self.exact = reference(self.blocks, self.weights, self.images)
        self.simulated = simulate(self.quantisation, self.weights)(torch.from_numpy(self.images)).numpy()

    @property
    def input(self):
        return self.quantisation.ranges[IMAGE]

    @property
    def output(self):
        return self.quantisation.scores

    @property
    def noise(self) -> float:
        """What quantisation costs, in steps."""
        return self.steps(self.simulated - self.exact)

    def steps(self, difference: np.ndarray) -> float:
        """The root of the mean squared difference, in steps of the output."""
        return float(np.sqrt(np.mean(difference**2)) / self.output.scale)
