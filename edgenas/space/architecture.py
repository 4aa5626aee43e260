"""`Architecture`: one member of a search space."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, NamedTuple

from edgenas.values import AsWritten, Length, Within, read
from edgenas.values.kinds import WidthFactor


class BlockChoice(NamedTuple):
    """What is elastic in one block: the kernel size, the expand ratio, and the kernel of the start depthwise.

    A kernel of 0 leaves its depthwise out: `(k, e, 0)` is an inverted bottleneck, `(0, e, k)` the ConvNeXt-like block,
    `(0, e, 0)` a feed-forward network and `(k, e, k')` MobileNetV4's ExtraDW (arXiv:2404.10518).
    """

    kernel: int
    expand: float
    start: int = 0

    def __str__(self) -> str:
        """`34` for kernel 3 and expand ratio 4, `5+34` with a start depthwise of kernel 5."""
        return f"{self.start}+" * bool(self.start) + f"{self.kernel}{self.expand:g}"


@dataclass(frozen=True)
class Architecture:
    """An input resolution, stage by stage the choices of the blocks that exist, and what multiplies all channel counts.

    A stage's depth is the length of its tuple, so blocks that a depth choice drops have no genes here and two equal
    networks are always equal Architectures.
    """

    resolution: int
    stages: tuple[tuple[BlockChoice, ...], ...]
    width: float = 1.0

    @property
    def depths(self) -> tuple[int, ...]:
        return tuple(len(stage) for stage in self.stages)

    def __str__(self) -> str:
        """For example `r28-34.56-36.36`, or `r28w0.5-34.56-36.36`: resolution and width, then every block, stage by stage."""
        width = f"w{self.width:g}" if self.width != 1 else ""
        return "-".join([f"r{self.resolution}{width}", *(".".join(map(str, stage)) for stage in self.stages)])

    @cached_property
    def id(self) -> str:
        """Eight hexadecimal digits, the same on every machine and in every version."""
        return hashlib.sha256(str(self).encode()).hexdigest()[:8]

    def to_json(self) -> dict[str, Any]:
        """A width of 1 and absent start depthwises are left out."""
        stages = [[list(choice if choice.start else choice[:2]) for choice in stage] for stage in self.stages]
        return {"resolution": self.resolution, "stages": stages} | ({"width": self.width} if self.width != 1 else {})

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Architecture:
        """Inverse of `to_json`. Raises ValueError where the data has another form."""
        plain: _Plain = read(_Plain, data)
        stages = tuple(tuple(BlockChoice(int(k), e, *map(int, start)) for k, e, *start in stage) for stage in plain.stages)
        return cls(plain.resolution, stages, plain.width)


_Choice = Annotated[tuple[Annotated[float, Within(0, 1000), AsWritten()], ...], Length(2, 3)]
_Stage = Annotated[tuple[_Choice, ...], Length(0, 1000)]


@dataclass(frozen=True)
class _Plain:
    """What `to_json` gives. Whether a space has such an architecture, the space says."""

    resolution: Annotated[int, Within(1, 10_000)]
    stages: Annotated[tuple[_Stage, ...], Length(0, 1000)]
    width: WidthFactor = 1.0
    takes_others: ClassVar = True
