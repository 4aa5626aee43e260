"""`BlockSpec`: one block of one concrete network, described completely.

Latency entries, costs, micro-benchmarks, weight slices and exported graphs are all functions of a `BlockSpec`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

OPS = ("conv", "mbconv", "head")
ACTIVATIONS = ("relu", "relu6", "hswish")

_KEY = re.compile(
    r"(?P<op>[a-z]+)-r(?P<resolution>\d+)-i(?P<in_channels>\d+)-m(?P<mid_channels>\d+)-o(?P<out_channels>\d+)"
    r"-k(?P<kernel>\d+)-s(?P<stride>\d+)-(?P<activation>[a-z0-9]+)(?P<se>-se)?(?P<residual>-res)?"
)


def make_divisible(value: float, divisor: int = 8) -> int:
    """Round a channel count to a multiple of `divisor`, never losing more than 10 % (MobileNetV2's reference rule)."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


@dataclass(frozen=True, slots=True, order=True)
class BlockSpec:
    """One block: what it computes and on which shapes. Batch size is 1 and images are square.

    op:
        `conv`: k x k convolution, batch norm, activation (`mid_channels` is 0).
        `mbconv`: inverted bottleneck (MobileNetV2, arXiv:1801.04381; with squeeze-and-excitation MobileNetV3,
        arXiv:1905.02244): 1x1 expansion to `mid_channels`, k x k depthwise, SE, 1x1 projection. Without the expansion
        when `mid_channels == in_channels`.
        `head`: global average pool, linear to `mid_channels` without bias and activation (left out when
        `mid_channels` is 0), linear to `out_channels` classes.
    resolution: height and width of the input, in pixels.
    """

    op: str
    resolution: int
    in_channels: int
    mid_channels: int
    out_channels: int
    kernel: int = 1
    stride: int = 1
    activation: str = "relu"
    se: bool = False
    residual: bool = False

    def __post_init__(self) -> None:
        if self.op not in OPS:
            raise ValueError(f"unknown op {self.op!r}: one of {', '.join(OPS)}")
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"unknown activation {self.activation!r}: one of {', '.join(ACTIVATIONS)}")
        if min(self.resolution, self.in_channels, self.out_channels, self.kernel, self.stride) < 1 or self.mid_channels < 0:
            raise ValueError(f"sizes must be positive: {self}")
        if self.residual and (self.stride != 1 or self.in_channels != self.out_channels):
            raise ValueError(f"a residual needs stride 1 and equal channels: {self}")

    @property
    def padding(self) -> int:
        return self.kernel // 2

    @property
    def out_resolution(self) -> int:
        """Height and width of the output; 1 after the head's pooling."""
        return 1 if self.op == "head" else (self.resolution - 1) // self.stride + 1

    @property
    def expands(self) -> bool:
        """Whether an `mbconv` begins with a 1x1 expansion."""
        return self.op == "mbconv" and self.mid_channels != self.in_channels

    @property
    def se_channels(self) -> int:
        """Width of the SE bottleneck: a quarter of the expanded width, as in Once-for-All."""
        return make_divisible(self.mid_channels // 4)

    @property
    def key(self) -> str:
        """A short text form, unique and readable, by which tables are keyed. `from_key` reads it back."""
        return (
            f"{self.op}-r{self.resolution}-i{self.in_channels}-m{self.mid_channels}-o{self.out_channels}"
            f"-k{self.kernel}-s{self.stride}-{self.activation}{'-se' * self.se}{'-res' * self.residual}"
        )

    @classmethod
    def from_key(cls, key: str) -> BlockSpec:
        """Inverse of `key`. Raises ValueError for a text that is none."""
        match = _KEY.fullmatch(key)
        if match is None:
            raise ValueError(f"not a block key: {key!r}")
        text = match.groupdict()
        values = {f.name: text[f.name] for f in fields(cls)}
        for name, value in values.items():
            if name in ("se", "residual"):
                values[name] = value is not None
            elif name not in ("op", "activation"):
                values[name] = int(value)
        return cls(**values)
