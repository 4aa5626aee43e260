"""Weights and training state as safetensors files: plain, whole or absent, and never pickled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from edgenas.errors import CheckpointError
from edgenas.files import replacing

VERSION = 1


def save_tensors(path: Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Write tensors and a JSON-able description, by atomic rename."""
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as temporary:
        try:
            save_file(stored, temporary, {"edgenas": json.dumps({"version": VERSION} | about)})
        except SafetensorError as error:
            raise _disk_error(path, error) from error


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and description of a file that `save_tensors` wrote.

    Raises CheckpointError when it is missing, truncated, foreign, or from a newer version.
    """
    if not path.exists():
        raise CheckpointError(f"There are no weights at {path}.")
    try:
        with safe_open(path, framework="pt") as stored:
            about = json.loads((stored.metadata() or {})["edgenas"])
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged or incomplete ({error}). Restore it from a copy, or train again.") from None
    if about["version"] > VERSION:
        raise CheckpointError(f"{path} was written by a newer EdgeNAS: install that version to read it.")
    return tensors, about


def _disk_error(path: Path, error: SafetensorError) -> Exception:
    # safetensors wraps the system's error: a full disk is the one that a user can mend.
    if "No space" in str(error) or "os error 28" in str(error):
        return OSError(28, "No space left on device")
    return CheckpointError(f"{path} could not be written: {error}")
