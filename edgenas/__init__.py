"""EdgeNAS: hardware-aware neural architecture search, from a folder of images to a model proven on the device.

    run = edgenas.train_supernet("photos/", pretrained="efficientnet-lite0", seconds=1200, out="runs/photos")
    run.profile("cpu")
    run.search(2.0)  # milliseconds
    run.finetune()
    run.export()
    run.verify()

Everything is loaded when it is first used: importing this package takes no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgenas.bars import track
    from edgenas.device import load_device
    from edgenas.errors import EdgeNASError
    from edgenas.pipeline.profile import profile_device
    from edgenas.pipeline.train import train_supernet
    from edgenas.pipeline.tune import tune_recipe
    from edgenas.run import Run
    from edgenas.space import get_space

    __version__: str

_HOMES = {
    "EdgeNASError": "edgenas.errors",
    "Run": "edgenas.run",
    "get_space": "edgenas.space",
    "load_device": "edgenas.device",
    "profile_device": "edgenas.pipeline.profile",
    "track": "edgenas.bars",
    "train_supernet": "edgenas.pipeline.train",
    "tune_recipe": "edgenas.pipeline.tune",
}

__all__ = [
    "EdgeNASError",
    "Run",
    "__version__",
    "get_space",
    "load_device",
    "profile_device",
    "track",
    "train_supernet",
    "tune_recipe",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("edgenas")
    elif name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'edgenas' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
