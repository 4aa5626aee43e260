"""Weights and training state as safetensors files: plain, whole or absent, and never pickled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from edgenas.errors import CheckpointError
from edgenas.files import replacing
from edgenas.values import decoded_json, read

VERSION = 1
M = TypeVar("M", bound=nn.Module)
T = TypeVar("T")


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
            about = read(dict[str, Any], decoded_json((stored.metadata() or {})["edgenas"]), "its description")
            version = read(int, about.get("version"), "its version")
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged or incomplete ({error}). Restore it from a copy, or train again.") from None
    if version > VERSION:
        raise CheckpointError(f"{path} was written by a newer EdgeNAS: update EdgeNAS to read it.")
    return tensors, about


def described(kind: type[T], about: dict[str, Any], path: Path) -> T:
    """A file's description as a dataclass, which says what it must hold. Raises CheckpointError."""
    try:
        found: T = read(kind, {name: value for name, value in about.items() if name != "version"})
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged: {error}") from None
    return found


def fill(module: M, tensors: dict[str, Tensor], path: Path) -> M:
    """The module with the tensors of a file. Raises CheckpointError where they are not its own, or not finite."""
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise CheckpointError(f"{path} does not hold the weights of this network: {reason}") from None
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise CheckpointError(f"{path} holds no finite numbers in {name}: its training diverged, or it is damaged.")
    return module


def _disk_error(path: Path, error: SafetensorError) -> Exception:
    # safetensors wraps the system's error: a full disk is the one that a user can mend.
    if "No space" in str(error) or "os error 28" in str(error):
        return OSError(28, "No space left on device")
    return CheckpointError(f"{path} could not be written: {error}")
