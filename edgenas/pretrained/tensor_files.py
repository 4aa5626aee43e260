"""State dicts in files that others wrote. Nothing but tensors is ever read: no pickled object is built."""

from __future__ import annotations

import hashlib
import pickle
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from edgenas.errors import CheckpointError, UsageError

WRAPPERS = ("state_dict", "model", "model_state_dict", "net")


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file, or of one that `torch.save` wrote, by name.

    The dictionary may be wrapped as `{"state_dict": ...}` or `{"model": ...}`, and its names may all begin with `module.`.

    Raises UsageError where there is no such file, CheckpointError where it is damaged or holds something else.
    """
    if not path.is_file():
        raise UsageError(f"There are no weights at {path}.")
    try:
        if path.suffix == ".safetensors":
            state: Any = load_file(path)
        else:
            with warnings.catch_warnings():  # torch warns of older and newer pickles before it reads or refuses them
                warnings.simplefilter("ignore", UserWarning)
                state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        first = str(error).split("Please file an issue")[0].strip().splitlines()
        raise CheckpointError(
            f"{path} holds more than tensors, and objects are never unpickled, since they can run any program: save its "
            f"state_dict() alone, best as .safetensors. ({first[-1] if first else 'unknown content'})"
        ) from None
    except Exception as error:  # of whatever damage makes of torch's unpickler
        raise CheckpointError(f"{path} is no file of weights, or is damaged or incomplete ({error}).") from None
    for wrapper in WRAPPERS:
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    if not isinstance(state, dict) or not state or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise CheckpointError(f"{path} is no state dict: it does not hold named tensors alone.")
    if all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}


def sha256(path: Path) -> str:
    """Of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
