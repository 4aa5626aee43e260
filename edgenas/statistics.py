"""What chance alone can do to an accuracy that was measured on so many images. Accuracies are in 0..1."""

from __future__ import annotations

import math

Z = 1.96
"""Standard deviations of a normal distribution that hold 95 % of it."""


def wilson(accuracy: float, images: float) -> tuple[float, float]:
    """The 95 % interval of an accuracy that so many images gave (Wilson, 1927); of infinitely many it is that accuracy."""
    z = Z**2 / images
    centre = (accuracy + z / 2) / (1 + z)
    half = math.sqrt(z * accuracy * (1 - accuracy) + z**2 / 4) / (1 + z)
    return max(0.0, centre - half), min(1.0, centre + half)


def differ(value: float, interval: tuple[float, float], other: float, other_interval: tuple[float, float]) -> bool:
    """Whether two independent estimates can be told apart, by their 95 % intervals: that of their difference leaves out 0.

    Newcombe (1998, Statistics in Medicine 17, method 10) for two proportions; Zou and Donner (2008) for any two estimates. Of
    networks on the same images that is careful rather than sharp, as they fail on much the same ones.
    """
    (worse, (_, worse_high)), (better, (better_low, _)) = sorted(((value, interval), (other, other_interval)))
    return better - worse > math.hypot(better - better_low, worse_high - worse)


def kendall_is_chance(tau: float, samples: int) -> bool:
    """Whether a Kendall tau of so many pairs of values is no higher than chance gives 1 in 20 times (Kendall, 1938), or NaN.

    By the normal approximation of its distribution where neither says anything of the other.
    """
    if samples < 2:
        return True
    deviation = math.sqrt(2 * (2 * samples + 5) / (9 * samples * (samples - 1)))
    return not tau > 1.645 * deviation
