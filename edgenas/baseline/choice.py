"""Which networks people pick by hand, at which sizes of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgenas.errors import UsageError
from edgenas.space import NETWORKS, SearchSpace, get_space
from edgenas.values import unknown

ALL = "all"
PHOTO = 64
"""Pixels from which images are photos."""
FOR_PHOTOS, FOR_TINY = ("efficientnet-lite0", "mobilenetv3-small"), ("lenet", "strided-cnn")
"""Of those for photos the first is the one to beat: smaller images make it faster without any search."""
SIZES = 3


@dataclass(frozen=True)
class Choice:
    """A network designed by hand, for square images of `resolution` pixels.

    from_scratch: it begins with random weights, whatever others have published.
    """

    network: str
    resolution: int
    from_scratch: bool = False

    @property
    def name(self) -> str:
        return f"{self.network}-{self.resolution}" + "-scratch" * self.from_scratch

    @property
    def settings(self) -> dict:
        """The arguments of `get_space`, but the classes, as a run keeps them."""
        return {"family": self.network, "width": 1.0, "resolutions": [self.resolution]}

    def space(self, classes: int) -> SearchSpace:
        """The space whose only member it is. Raises UsageError where the network cannot take images of this size."""
        try:
            return get_space(self.network, None, classes, resolutions=(self.resolution,))
        except UsageError:
            raise UsageError(
                f"{self.network} cannot take images of {self.resolution} pixels: they are too small for it."
            ) from None


def usual(resolutions: Sequence[int]) -> list[Choice]:
    """What people would try for such images: a run's resolutions.

    Photos: EfficientNet-Lite0 at the smallest, a middle and the largest of the sizes, and MobileNetV3-Small at the largest.
    Tiny images: LeNet-5 and three strided convolutions.
    """
    if max(resolutions) < PHOTO:
        return [at_largest(network, resolutions) for network in FOR_TINY]
    first, *others = FOR_PHOTOS
    return [Choice(first, size) for size in spread(resolutions)] + [at_largest(network, resolutions) for network in others]


def choose(networks: Sequence[str], sizes: Sequence[int] | None, resolutions: Sequence[int]) -> list[Choice]:
    """The named networks, or the usual ones, at the given sizes, or at the largest of a run's resolutions.

    `all` stands for every network there is. Raises UsageError for an unknown name and for a size that a network cannot have.
    """
    for name in networks:
        if name != ALL and name not in NETWORKS:
            raise UsageError(unknown("network", name, (*NETWORKS, ALL)))
    if sizes is not None:
        names = NETWORKS if ALL in networks else networks or dict.fromkeys(choice.network for choice in usual(resolutions))
        choices = [Choice(name, size) for name in names for size in sizes]
    elif ALL in networks:
        choices = [*usual(resolutions), *(at_largest(name, resolutions) for name in NETWORKS)]
    else:
        choices = [at_largest(name, resolutions) for name in networks] or usual(resolutions)
    for choice in choices:
        choice.space(classes=2)
    return list(dict.fromkeys(choices))


def at_largest(network: str, resolutions: Sequence[int]) -> Choice:
    """The network for the largest images; for its own size where these are too small for it."""
    choice = Choice(network, max(resolutions))
    try:
        choice.space(classes=2)
    except UsageError:
        return Choice(network, max(get_space(network, None, classes=2).resolutions))
    return choice


def spread(resolutions: Sequence[int]) -> list[int]:
    """The smallest, a middle and the largest."""
    ordered = sorted(set(resolutions))
    return sorted({ordered[round(i * (len(ordered) - 1) / (SIZES - 1))] for i in range(SIZES)})
