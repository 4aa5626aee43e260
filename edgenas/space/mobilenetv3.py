"""The Once-for-All MobileNetV3 space (Cai et al., ICLR 2020, arXiv:1908.09791) and its presets.

`imagenet` is the published `ofa_mbv3_d234_e346_k357_w1.0`; the others scale resolution, widths and strides.
"""

from __future__ import annotations

from edgenas.space.architecture import Architecture, BlockChoice
from edgenas.space.presets import DEPTHS, EXPANDS, IMAGENET_RESOLUTIONS, KERNELS, Preset
from edgenas.space.search_space import SearchSpace
from edgenas.space.stage import FixedBlock, Stage

ACTIVATION = ("relu", "relu", "hswish", "hswish", "hswish")
SE = (False, True, False, True, True)


PRESETS = {
    "tiny": Preset((20, 24, 28), (16, 16, 24, 32, 40, 48, 128, 192), 2, (1, 2, 2, 1, 1)),
    "small": Preset((96, 112, 128), (16, 24, 32, 48, 64, 96, 384, 512), 2, (2, 2, 2, 1, 2)),
    "imagenet": Preset(IMAGENET_RESOLUTIONS, (16, 24, 40, 80, 112, 160, 960, 1280), 2, (2, 2, 2, 1, 2)),
}


def build(preset: str, classes: int, width: float = 1.0, resolutions: tuple[int, ...] | None = None) -> SearchSpace:
    """The space of one preset.

    width: multiplies all channel counts, which stay multiples of 8 (Once-for-All's `w1.0` and `w1.2`).
    resolutions: input sizes in pixels, in place of the preset's.
    """
    chosen = PRESETS[preset]
    stem, *widths, last, mix = chosen.scaled_widths(width)
    return SearchSpace(
        name=f"mobilenetv3-{preset}",
        resolutions=tuple(sorted(resolutions or chosen.resolutions)),
        stem=(
            FixedBlock("conv", stem, kernel=3, stride=chosen.stem_stride, activation="hswish"),
            FixedBlock("mbconv", stem, mid_channels=stem, kernel=3, activation="relu"),
        ),
        stages=tuple(
            Stage(w, stride, activation, se, DEPTHS, KERNELS, EXPANDS)
            for w, stride, activation, se in zip(widths, chosen.strides, ACTIVATION, SE, strict=True)
        ),
        head=(
            FixedBlock("conv", last, activation="hswish"),
            FixedBlock("head", classes, mid_channels=mix, activation="hswish"),
        ),
    )


def from_ofa(resolution: int, depths: list[int], kernels: list[int], expands: list[int]) -> Architecture:
    """An architecture in Once-for-All's form: 5 depths, and 20 kernels and expand ratios of which dropped blocks have some."""
    longest = max(DEPTHS)
    return Architecture(resolution, tuple(
        tuple(BlockChoice(kernels[longest * s + i], expands[longest * s + i]) for i in range(depth))
        for s, depth in enumerate(depths)
    ))  # fmt: skip
