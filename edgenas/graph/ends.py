"""`Ends`: what a file takes and gives, around its blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Channels = tuple[float, float, float]
"""Red, green and blue."""


@dataclass(frozen=True)
class Ends:
    """normalisation: mean and deviation of red, green and blue in 0..1. With them a file takes pixels of 0..255, and its first
        operators subtract and divide; without, it takes images that are normalised.
    probabilities: its last operator is a softmax.
    """

    normalisation: tuple[Channels, Channels] | None = None
    probabilities: bool = False

    @property
    def shift_and_scale(self) -> tuple[np.ndarray, np.ndarray]:
        """What is subtracted from pixels, and what they are divided by then: float32 `(3,)`.

        As `edgenas.data.prepare.normalised` has them: in float32 the same image enters the first block, to the last bit.
        """
        assert self.normalisation is not None
        shift, scale = (np.asarray(values, np.float32) * np.float32(255) for values in self.normalisation)
        return shift, scale

    @property
    def as_line(self) -> tuple[np.ndarray, np.ndarray]:
        """The same as a product and a sum: what pixels are multiplied by, and what is added then, float32 `(3,)`."""
        shift, scale = self.shift_and_scale
        return 1 / scale, -shift / scale


PLAIN = Ends()
"""Normalised images in, logits out."""
