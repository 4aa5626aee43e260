"""Architectures as Once-for-All (arXiv:1908.09791) writes them."""

from __future__ import annotations

from edgenas.space.architecture import Architecture, BlockChoice

LONGEST = 4


def from_ofa(resolution: int, depths: list[int], kernels: list[int], expands: list[int]) -> Architecture:
    """A member of the `mobilenetv3` family at its `imagenet` preset.

    5 depths, and 20 kernels and expand ratios, of which blocks that a depth drops have some too.
    """
    return Architecture(resolution, tuple(
        tuple(BlockChoice(kernels[LONGEST * s + i], expands[LONGEST * s + i]) for i in range(depth))
        for s, depth in enumerate(depths)
    ))  # fmt: skip
