"""How published tensors are called, and the tensors of a `Supernet` made from them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from edgenas.space import SearchSpace
from edgenas.supernet import Supernet

Modules = dict[str, str]
"""Of one block: our module or kernel transform -> theirs. Those that the block lacks may be named, too."""


@dataclass(frozen=True)
class Naming:
    """modules: for every slot of a space the names there, given the names in a file.
    plain: one spelling of a published name."""

    modules: Callable[[SearchSpace, Collection[str]], list[Modules]]
    plain: Callable[[str], str] = str


@dataclass(frozen=True)
class Match:
    """A state dict beside a space. tensors: ours as far as they were found, of the right shape. wrong: published names that are
    missing, foreign or of another shape, in the order of computation, each with what is wrong."""

    tensors: dict[str, Tensor]
    wrong: tuple[str, ...]


def with_norms(names: dict[str, tuple[str, str]]) -> Modules:
    """Convolutions, each with the batch norm behind it."""
    return {ours: conv for ours, (conv, _) in names.items()} | {f"{ours}_norm": norm for ours, (_, norm) in names.items()}


def match(space: SearchSpace, naming: Naming, published: dict[str, Tensor]) -> Match:
    """The tensors of a state dict, whose names are spelled as `naming.plain` does, under our names.

    Shapes are the same but for 1 x 1 kernels of what is a linear layer here.
    """
    with torch.device("meta"):
        ours = Supernet(space).state_dict()
    modules = naming.modules(space, published)
    tensors, wrong, used = {}, [], set()
    for name, expected in ours.items():
        their_name = naming.plain(published_name(name, modules))
        used.add(their_name)
        found = published.get(their_name)
        if found is None:
            if name.endswith("num_batches_tracked"):  # counts nothing that matters, and is left out by some
                tensors[name] = torch.zeros((), dtype=torch.int64)
            else:
                wrong.append(f"{their_name} {_shape(expected)} is missing")
        elif _squeezed(found) != _squeezed(expected):
            wrong.append(f"{their_name} is {_shape(found)} instead of {_shape(expected)}")
        else:
            tensors[name] = found.reshape(expected.shape)
    wrong += [f"{name} {_shape(tensor)} belongs to none" for name, tensor in published.items() if name not in used]
    return Match(tensors, tuple(wrong))


def published_name(name: str, modules: list[Modules]) -> str:
    """Of our `blocks.3.full.expand_norm.weight` or `blocks.3.kernel_transforms.to5`."""
    _, slot, rest = name.split(".", 2)
    names = modules[int(slot)] if int(slot) < len(modules) else {}
    if rest in names:
        return names[rest]
    module, kind = rest.removeprefix("full.").rsplit(".", 1)
    return f"{names[module]}.{kind}" if module in names else name


def _squeezed(tensor: Tensor) -> tuple[int, ...]:
    shape = tuple(tensor.shape)
    return shape[:2] if shape[2:] == (1, 1) else shape


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "number"
