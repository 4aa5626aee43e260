"""`BlockSpec`: one block of one concrete network, described completely.

Latency entries, costs, micro-benchmarks, weight slices and exported graphs are all functions of a `BlockSpec`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any

from edgenas.space.operator import OPERATORS, Operator

ACTIVATIONS = ("relu", "relu6", "hswish")
PADDINGS = ("symmetric", "same", "valid")
MIXES = ("linear", "biased", "normalised")

_KEY = re.compile(
    r"(?P<op>[a-z]+)-r(?P<resolution>\d+)-i(?P<in_channels>\d+)-m(?P<mid_channels>\d+)-o(?P<out_channels>\d+)"
    r"-k(?P<kernel>\d+)-s(?P<stride>\d+)-(?P<activation>[a-z0-9]+)(?P<se>-se)?(?P<residual>-res)?(?:-d(?P<start>[1-9]\d*))?"
    r"(?:-(?P<padding>same|valid))?(?:-(?P<mix>biased|normalised))?"
)


def make_divisible(value: float, divisor: int = 8) -> int:
    """Round a channel count to a multiple of `divisor`, never losing more than 10 % (MobileNetV2's reference rule)."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


@dataclass(frozen=True, slots=True, order=True)
class BlockSpec:
    """One block: what it computes and on which shapes. Batch size is 1 and images are square.

    op: one of `OPERATORS`. Those that come with EdgeNAS:
        `conv`: k x k convolution, batch norm, activation (`mid_channels` is 0); a residual is added after the activation.
        `maxpool`: the largest of k x k values. Its input is never negative, so that padding with zeros changes nothing.
        `mbconv`: inverted bottleneck (MobileNetV2, arXiv:1801.04381; with squeeze-and-excitation MobileNetV3,
        arXiv:1905.02244; universal, MobileNetV4, arXiv:2404.10518): depthwise of kernel `start` without activation, 1x1
        expansion to `mid_channels`, k x k depthwise, SE, 1x1 projection. A depthwise of kernel 0 is left out, the expansion
        when `mid_channels == in_channels` and a k x k depthwise follows.
        `fused`: inverted bottleneck whose expansion is the k x k convolution (arXiv:2104.00298).
        `bottleneck`: ResNet's (arXiv:1512.03385): 1x1 to `mid_channels`, k x k, 1x1 to `out_channels`, plus the input, then
        the activation. Where it has no residual, the input comes through average pooling and a 1x1 convolution
        (ResNet-D, arXiv:1812.01187).
        `head`: global average pool, linear to `mid_channels` and activation (left out when `mid_channels` is 0), linear to
        `out_channels` classes.
    resolution: height and width of the input, in pixels.
    padding: of the kernel that has the stride: `symmetric`, half a kernel on all sides, as torch's networks have it; `same`,
        TensorFlow's, whose odd pixel at stride 2 comes after the image; `valid`, none, of a `conv` or a `maxpool` alone. Where
        the first two are equal, a spec says `symmetric`, so that equal blocks are equal. Kernels of stride 1 that are not
        `valid` keep the size.
    mix: of a head, the linear layer to `mid_channels`: `linear`, without a bias (Once-for-All), `biased` (MobileNetV3), or
        `normalised`, with a batch norm (MobileNetV4).
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
    start: int = 0
    padding: str = "symmetric"
    mix: str = "linear"

    def __post_init__(self) -> None:
        if self.op not in OPERATORS:
            raise ValueError(f"unknown op {self.op!r}: one of {', '.join(OPERATORS)}")
        operator = self.operator
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"unknown activation {self.activation!r}: one of {', '.join(ACTIVATIONS)}")
        if min(self.resolution, self.in_channels, self.out_channels, self.stride) < 1 or self.mid_channels < 0:
            raise ValueError(f"sizes must be positive: {self}")
        if self.kernel < (0 if operator.optional_kernel else 1) or self.start < 0:
            raise ValueError(f"kernels must be positive: {self}")
        if self.start and not operator.start:
            raise ValueError(f"{self.op} has no start depthwise: {self}")
        if self.stride > 1 and not self.kernel and not self.start:
            raise ValueError(f"a stride needs a depthwise: {self}")
        if self.residual and (self.stride != 1 or self.in_channels != self.out_channels):
            raise ValueError(f"a residual needs stride 1 and equal channels: {self}")
        if operator.keeps_channels and self.in_channels != self.out_channels:
            raise ValueError(f"{self.op} keeps the channels: {self}")
        if self.padding not in PADDINGS:
            raise ValueError(f"unknown padding {self.padding!r}: one of {', '.join(PADDINGS)}")
        if self.mix not in MIXES:
            raise ValueError(f"unknown mix {self.mix!r}: one of {', '.join(MIXES)}")
        if self.mix != "linear" and not (operator.classifies and self.mid_channels):
            raise ValueError(f"only a head with features mixes them: {self}")
        self._check_padding()

    def _check_padding(self) -> None:
        kernels = [kernel for kernel in (self.kernel, self.start) if kernel]
        if self.padding == "valid":
            if not self.operator.unpadded or self.residual:
                raise ValueError(f"{self.op}{' with a residual' * self.residual} needs its padding: {self}")
            if self.kernel > self.resolution:
                raise ValueError(f"a kernel without padding must not be larger than its input: {self}")
        elif any(kernel % 2 == 0 for kernel in kernels):
            raise ValueError(f"kernels must be odd, so that they have a centre: {self}")
        if self.padding == "same" and (self.operator.classifies or self._same() == self._symmetric()):
            object.__setattr__(self, "padding", "symmetric")

    @property
    def operator(self) -> Operator:
        return OPERATORS[self.op]

    @property
    def pads(self) -> tuple[int, int]:
        """Rows, and columns, of zeros before and after the input of the kernel that has the stride."""
        return {"symmetric": self._symmetric, "same": self._same, "valid": lambda: (0, 0)}[self.padding]()

    def _symmetric(self) -> tuple[int, int]:
        kernel = self.kernel or self.start
        return kernel // 2, kernel // 2

    def _same(self) -> tuple[int, int]:
        kernel = self.kernel or self.start
        needed = (self.resolution - 1) // self.stride * self.stride + kernel - self.resolution
        return max(0, needed) // 2, (max(0, needed) + 1) // 2

    @property
    def out_resolution(self) -> int:
        """Height and width of the output; 1 after the head's pooling."""
        if self.operator.classifies:
            return 1
        lost = self.kernel - 1 if self.padding == "valid" else 0
        return (self.resolution - lost - 1) // self.stride + 1

    @property
    def expands(self) -> bool:
        """Whether an `mbconv` has a 1x1 expansion."""
        return self.op == "mbconv" and (self.mid_channels != self.in_channels or not self.kernel)

    @property
    def start_stride(self) -> int:
        """The stride of the start depthwise: the block's, unless a later depthwise has it."""
        return 1 if self.kernel else self.stride

    @property
    def mid_resolution(self) -> int:
        """Height and width before the k x k kernel: what an expansion works on."""
        return (self.resolution - 1) // self.start_stride + 1

    @property
    def se_channels(self) -> int:
        """Width of the SE bottleneck: a quarter of the expanded width, as in Once-for-All."""
        return make_divisible(self.mid_channels // 4)

    @property
    def key(self) -> str:
        """A short text form, unique and readable, by which tables are keyed. `from_key` reads it back."""
        start = f"-d{self.start}" if self.start else ""
        padding = f"-{self.padding}" if self.padding != "symmetric" else ""
        mix = f"-{self.mix}" if self.mix != "linear" else ""
        return (
            f"{self.op}-r{self.resolution}-i{self.in_channels}-m{self.mid_channels}-o{self.out_channels}"
            f"-k{self.kernel}-s{self.stride}-{self.activation}{'-se' * self.se}{'-res' * self.residual}{start}{padding}{mix}"
        )

    @classmethod
    def from_key(cls, key: str) -> BlockSpec:
        """Inverse of `key`. Raises ValueError for other text."""
        match = _KEY.fullmatch(key)
        if match is None:
            raise ValueError(f"not a block key: {key!r}")
        text = match.groupdict()
        values: dict[str, Any] = {
            f.name: text[f.name] for f in fields(cls) if f.name in ("se", "residual") or text[f.name] is not None
        }
        for name, value in values.items():
            if name in ("se", "residual"):
                values[name] = value is not None
            elif name not in ("op", "activation", "padding", "mix"):
                values[name] = int(value)
        return cls(**values)
