"""The modules that only an extra of EdgeNAS brings, such as `pip install 'edgenas[report]'`, and what is said without them."""

from __future__ import annotations

import logging
from functools import cache
from importlib.util import find_spec

from edgenas.errors import EdgeNASError

EXTRAS = {
    "browser": ("cryptography", "segno"),
    "heic": ("pillow_heif",),
    "mlflow": ("mlflow",),
    "report": ("jinja2", "matplotlib"),
    "tensorboard": ("tensorboard",),
}
"""The modules of an extra, as pyproject.toml has them; of MLflow its client, mlflow-skinny, is enough."""

PURPOSES = {
    "report": "pictures and the page of a report",
    "pretrained": "weights to begin with, learned from ImageNet",
    "samples": "the digits of the quickstart",
    "heic": "photos as iPhones take them",
    "browser": "measuring phones in their browser",
    "tensorboard": "watching a training in TensorBoard",
    "mlflow": "keeping the metrics of a training in MLflow",
    "postgresql": "sharing evaluations and trials in a PostgreSQL database",
    "mysql": "sharing evaluations and trials in a MySQL database",
}
"""What an extra is for, the more usual first; those of runtimes bring what they are called by."""

log = logging.getLogger("edgenas")
note_once = cache(log.info)
"""Notes the same thing once in a process, however many trainings it is true of."""


def has(extra: str) -> bool:
    """Whether the modules of an extra are there."""
    return all(find_spec(module) for module in EXTRAS[extra])


def require(extra: str, what: str) -> None:
    """Raises EdgeNASError, which says what to install, where modules of an extra are missing.

    what: needs them, as the beginning of a sentence.
    """
    if missing := [module for module in EXTRAS[extra] if find_spec(module) is None]:
        verb = "is" if len(missing) == 1 else "are"
        raise EdgeNASError(
            f"{what} needs {' and '.join(missing)}, which {verb} not installed", f"pip install 'edgenas[{extra}]'"
        )


def is_installed(extra: str, what: str, instead: str = "") -> bool:
    """Whether an extra is there, for what can be done without; where it is not, that is noted once.

    instead: a sentence on what there is in its place.
    """
    try:
        require(extra, what)
    except EdgeNASError as missing:
        note_once(f"{missing}{instead and f'. {instead}'}")
        return False
    return True
