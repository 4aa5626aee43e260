"""The parts of a search space: fixed blocks, and stages of elastic ones."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from itertools import product
from typing import Any

from edgenas.space.architecture import BlockChoice
from edgenas.space.block import BlockSpec, make_divisible
from edgenas.space.operator import OPERATORS


def later(default: Any) -> Any:
    """A field that came after fingerprints were stored: at its default it is no part of them."""
    return field(default=default, metadata={"later": True})


def described(part: Any) -> Any:
    """A dataclass, and those in it, as dictionaries; `later` fields only where they differ from their default."""
    if isinstance(part, tuple):
        return tuple(map(described, part))
    if not hasattr(part, "__dataclass_fields__"):
        return part
    values = {f: getattr(part, f.name) for f in fields(part)}
    return {f.name: described(v) for f, v in values.items() if not (f.metadata.get("later") and v == f.default)}


def scaled(channels: int, width: float) -> int:
    """Channels times a width multiplier, as a multiple of 8; as they are at a width of 1."""
    return channels if width == 1 else make_divisible(channels * width)


@dataclass(frozen=True)
class FixedBlock:
    """A block that every architecture has as it is: the stem and the head."""

    op: str
    out_channels: int
    mid_channels: int = 0
    kernel: int = 1
    stride: int = 1
    activation: str = "relu"
    se: bool = False
    padding: str = later("symmetric")
    mix: str = later("linear")

    def spec(self, resolution: int, in_channels: int, width: float = 1.0) -> BlockSpec:
        out = self.out_channels if OPERATORS[self.op].classifies else scaled(self.out_channels, width)
        mid = scaled(self.mid_channels, width) if self.mid_channels else 0
        residual = OPERATORS[self.op].expands != "" and self.stride == 1 and in_channels == out
        return BlockSpec(self.op, resolution, in_channels, mid, out, self.kernel, self.stride, self.activation,
                         self.se, residual, padding=self.padding, mix=self.mix)  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """A run of blocks of one width. The first has the stride; depth, kernels and expand ratios are elastic.

    expands: relative to what the operator expands, its input or its output; (1,) for an operator without inner channels.
    starts: kernels of the start depthwise. The universal inverted bottleneck has 0, for none, among both kernels.
    padding: of the first block, see `BlockSpec`; the others keep the size.
    """

    out_channels: int
    stride: int
    activation: str
    se: bool
    depths: tuple[int, ...]
    kernels: tuple[int, ...]
    expands: tuple[float, ...]
    op: str = later("mbconv")
    starts: tuple[int, ...] = later((0,))
    padding: str = later("symmetric")

    def spec(self, index: int, choice: BlockChoice, resolution: int, in_channels: int, width: float = 1.0) -> BlockSpec:
        """Block `index` of the stage."""
        stride, padding = (self.stride, self.padding) if index == 0 else (1, "symmetric")
        out = scaled(self.out_channels, width)
        operator = OPERATORS[self.op]
        expanded = {"input": in_channels, "output": out}.get(operator.expands)
        mid = 0 if expanded is None else make_divisible(round(expanded * choice.expand))
        residual = operator.residual and stride == 1 and in_channels == out and padding != "valid"
        return BlockSpec(self.op, resolution, in_channels, mid, out, choice.kernel, stride, self.activation,
                         self.se, residual, choice.start, padding)  # fmt: skip

    @property
    def genes(self) -> tuple[tuple[float, ...], ...]:
        """What each gene of a block chooses from, in the order of `BlockChoice`; start depthwises only where there are any."""
        return (self.kernels, self.expands) if self.starts == (0,) else (self.kernels, self.expands, self.starts)

    @property
    def choices(self) -> list[BlockChoice]:
        """All joint choices of a block, the last gene changing fastest."""
        return [BlockChoice(*values) for values in product(self.kernels, self.expands, self.starts)]
