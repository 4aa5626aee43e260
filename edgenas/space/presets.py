"""What the Once-for-All families have in common: their choices, and how a preset scales them."""

from __future__ import annotations

from dataclasses import dataclass

from edgenas.space.block import make_divisible

DEPTHS, KERNELS, EXPANDS = (2, 3, 4), (3, 5, 7), (3, 4, 6)

IMAGENET_RESOLUTIONS = tuple(range(128, 225, 4))


@dataclass(frozen=True)
class Preset:
    """What a preset of a family fixes.

    widths: output channels from the stem on, in the order in which the family's builder takes them.
    stem_stride, strides: of the stem and of the first block of every stage.
    """

    resolutions: tuple[int, ...]
    widths: tuple[int, ...]
    stem_stride: int
    strides: tuple[int, ...]

    def scaled_widths(self, width: float) -> list[int]:
        """The widths times a multiplier, as multiples of 8."""
        return [make_divisible(w * width) for w in self.widths]
