"""The Once-for-All ProxylessNAS space: MobileNetV2 blocks with ReLU6 and without SE, the fastest on bare CPUs.

`imagenet` is the published `ofa_proxyless_d234_e346_k357` (arXiv:1908.09791, on ProxylessNAS, arXiv:1812.00332), whose last
stage is one block; width 1.3 gives its w1.3.
"""

from __future__ import annotations

from edgenas.space.presets import DEPTHS, EXPANDS, IMAGENET_RESOLUTIONS, KERNELS, Preset
from edgenas.space.search_space import SearchSpace
from edgenas.space.stage import FixedBlock, Stage

PRESETS = {
    "tiny": Preset((20, 24, 28), (16, 16, 16, 24, 32, 40, 48, 64, 192), 2, (1, 2, 2, 1, 1, 1)),
    "small": Preset((96, 112, 128), (24, 16, 24, 32, 64, 80, 128, 192, 640), 2, (2, 2, 2, 1, 2, 1)),
    "imagenet": Preset(IMAGENET_RESOLUTIONS, (32, 16, 24, 40, 80, 96, 192, 320, 1280), 2, (2, 2, 2, 1, 2, 1)),
}


def build(preset: str, classes: int, width: float = 1.0, resolutions: tuple[int, ...] | None = None) -> SearchSpace:
    """The space of one preset; the arguments are those of `mobilenetv3.build`."""
    chosen = PRESETS[preset]
    stem, first, *widths, last = chosen.scaled_widths(width)
    depths = [DEPTHS] * (len(widths) - 1) + [(1,)]
    return SearchSpace(
        name=f"proxyless-{preset}",
        resolutions=tuple(sorted(resolutions or chosen.resolutions)),
        stem=(
            FixedBlock("conv", stem, kernel=3, stride=chosen.stem_stride, activation="relu6"),
            FixedBlock("mbconv", first, mid_channels=stem, kernel=3, activation="relu6"),
        ),
        stages=tuple(
            Stage(w, stride, "relu6", False, d, KERNELS, EXPANDS)
            for w, stride, d in zip(widths, chosen.strides, depths, strict=True)
        ),
        head=(FixedBlock("conv", last, activation="relu6"), FixedBlock("head", classes)),
    )
