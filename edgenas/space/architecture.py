"""`Architecture`: one member of a search space."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple


class BlockChoice(NamedTuple):
    """What is elastic in one block: the kernel size and the expand ratio."""

    kernel: int
    expand: float


@dataclass(frozen=True)
class Architecture:
    """An input resolution and, stage by stage, the choices of the blocks that exist.

    A stage's depth is the length of its tuple, so blocks that a depth choice drops have no genes here and two equal
    networks are always equal Architectures.
    """

    resolution: int
    stages: tuple[tuple[BlockChoice, ...], ...]

    @property
    def depths(self) -> tuple[int, ...]:
        return tuple(len(stage) for stage in self.stages)

    def __str__(self) -> str:
        """For example `r28-34.56-36.36` : resolution, then kernel and expand ratio of every block, stage by stage."""
        stages = (".".join(f"{c.kernel}{c.expand:g}" for c in stage) for stage in self.stages)
        return "-".join([f"r{self.resolution}", *stages])

    @cached_property
    def id(self) -> str:
        """Eight hexadecimal digits, the same on every machine and in every version."""
        return hashlib.sha256(str(self).encode()).hexdigest()[:8]

    def to_json(self) -> dict[str, Any]:
        return {"resolution": self.resolution, "stages": [[list(choice) for choice in stage] for stage in self.stages]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Architecture:
        """Inverse of `to_json`. Raises ValueError where the data has another form."""
        try:
            stages = tuple(tuple(BlockChoice(int(k), e) for k, e in stage) for stage in data["stages"])
            return cls(int(data["resolution"]), stages)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"not an architecture: {data!r}") from error
