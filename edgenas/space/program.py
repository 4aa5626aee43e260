"""`Program`: what a block computes, as a short list of named steps.

Costs, weights, ONNX, quantised ONNX, TFLite and ncnn interpret the same steps. Every step writes one value, which has the
step's name and keeps it in every format: `conv`, and `conv.relu` after its activation. In a network, `block3.conv.relu` is the
value of block 3: a stable name, by which an observer can key the ranges of activations. The block's input is `INPUT`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

INPUT = "input"


@dataclass(frozen=True)
class Step:
    """name: of the step and the value that it writes. reads: the values that it reads.

    channels, resolution: of what it writes, for one image; the resolution is height and width.
    """

    name: str
    reads: tuple[str, ...]
    channels: int
    resolution: int


@dataclass(frozen=True)
class Weighted(Step):
    """A step with weights: `<name>.weight` and, with a bias of its own or of a folded batch norm, `<name>.bias`.

    bias: of its own. norm: batch norm follows, and becomes a bias when folded.
    """

    in_channels: int
    bias: bool
    norm: bool

    depthwise = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the weight as in torch: `(out, in)`."""
        return self.channels, self.in_channels


@dataclass(frozen=True)
class Conv(Weighted):
    """A k x k convolution, over all channels or each alone. pads: rows, and columns, of zeros before and after the image."""

    kernel: int
    stride: int
    pads: tuple[int, int]
    depthwise: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the weight as in torch: `(out, in / groups, k, k)`."""
        return self.channels, 1 if self.depthwise else self.in_channels, self.kernel, self.kernel


@dataclass(frozen=True)
class Linear(Weighted):
    """A matrix product of `(n, in)` values; it writes `(n, channels)`."""


@dataclass(frozen=True)
class Act(Step):
    """An activation, value by value.

    kind: one of `block.ACTIVATIONS`, or `gate`, the hard sigmoid: relu6(x + 3) / 6.
    """

    kind: str


@dataclass(frozen=True)
class MaxPool(Step):
    """The largest of k x k values; zeros outside count as values."""

    kernel: int
    stride: int
    pads: tuple[int, int]


@dataclass(frozen=True)
class MeanPool(Step):
    """The mean of each square of values; squares that end outside have the fewer values."""

    stride: int


@dataclass(frozen=True)
class GlobalMean(Step):
    """The mean over height and width."""


@dataclass(frozen=True)
class Flatten(Step):
    """`(n, channels, 1, 1)` as `(n, channels)`."""


@dataclass(frozen=True)
class Add(Step):
    """The sum of two values of one shape."""


@dataclass(frozen=True)
class Scale(Step):
    """The first value times the second, one number per channel."""


def tensorflow_padding(size: int, kernel: int, stride: int, pads: tuple[int, int]) -> str | None:
    """TensorFlow's word for the padding of a k x k window that moves over `size` rows: `valid` or `same`, which puts the
    smaller half of what it needs before the image. None for any other: the image is copied with zeros around it."""
    before, after = pads
    out = (size + before + after - kernel) // stride + 1
    if pads == (0, 0):
        return "valid"
    needed = (out - 1) * stride + kernel - size
    return "same" if out == (size - 1) // stride + 1 and max(needed, 0) // 2 == before else None


class Program:
    """Steps as they are written down, one after the other. Each reads the value before it unless told to read another.

    Every method returns the name of the value that its step writes.
    """

    def __init__(self, channels: int, resolution: int):
        """channels, resolution: of the block's input."""
        self.steps: list[Step] = []
        self.last = INPUT
        self._shapes = {INPUT: (channels, resolution)}

    def conv(
        self, name: str, channels: int, kernel: int = 1, stride: int = 1, pads: tuple[int, int] | None = None, *,
        reads: str = "", depthwise: bool = False, bias: bool = False, norm: bool = True,
    ) -> str:  # fmt: skip
        """pads: before and after; None keeps the size at stride 1."""
        reads = reads or self.last
        in_channels, size = self._shapes[reads]
        pads = (kernel // 2, kernel // 2) if pads is None else pads
        out = (size + sum(pads) - kernel) // stride + 1
        return self._append(Conv(name, (reads,), channels, out, in_channels, bias, norm, kernel, stride, pads, depthwise))

    def depthwise(
        self, name: str, kernel: int, stride: int = 1, pads: tuple[int, int] | None = None, *, reads: str = ""
    ) -> str:
        return self.conv(name, self._shapes[reads or self.last][0], kernel, stride, pads, reads=reads, depthwise=True)

    def linear(self, name: str, channels: int, *, bias: bool = True, norm: bool = False) -> str:
        return self._append(Linear(name, (self.last,), channels, 1, self._shapes[self.last][0], bias, norm))

    def act(self, kind: str, name: str = "") -> str:
        return self._append(Act(name or f"{self.last}.{kind}", (self.last,), *self._shapes[self.last], kind))

    def max_pool(self, name: str, kernel: int, stride: int, pads: tuple[int, int]) -> str:
        channels, size = self._shapes[self.last]
        out = (size + sum(pads) - kernel) // stride + 1
        return self._append(MaxPool(name, (self.last,), channels, out, kernel, stride, pads))

    def mean_pool(self, name: str, stride: int, *, reads: str = "") -> str:
        reads = reads or self.last
        channels, size = self._shapes[reads]
        return self._append(MeanPool(name, (reads,), channels, (size - 1) // stride + 1, stride))

    def global_mean(self, name: str) -> str:
        return self._append(GlobalMean(name, (self.last,), self._shapes[self.last][0], 1))

    def flatten(self, name: str) -> str:
        return self._append(Flatten(name, (self.last,), *self._shapes[self.last]))

    def add(self, name: str, first: str, second: str) -> str:
        if self._shapes[first] != self._shapes[second]:
            raise ValueError(f"{first} and {second} differ in their shapes, and cannot be added")
        return self._append(Add(name, (first, second), *self._shapes[first]))

    def scale(self, name: str, value: str, gate: str) -> str:
        return self._append(Scale(name, (value, gate), *self._shapes[value]))

    def squeeze_excite(self, channels: int) -> str:
        """Channel gates from globally pooled features (arXiv:1709.01507), with MobileNetV3's hard sigmoid.

        channels: between its two convolutions. Its torch module is the block's `se`.
        """
        value = self.last
        self.global_mean("se.pool")
        self.conv("se.reduce", channels, bias=True, norm=False)
        self.act("relu")
        self.conv("se.expand", self._shapes[value][0], bias=True, norm=False)
        return self.scale("se.scale", value, self.act("gate", "se.gate"))

    def _append(self, step: Step) -> str:
        if step.name in self._shapes:
            raise ValueError(f"two values of a block are named {step.name!r}")
        self.steps.append(step)
        self.last = step.name
        self._shapes[step.name] = (step.channels, step.resolution)
        return step.name


def activations_of(steps: Sequence[Step]) -> dict[str, Act]:
    """The values that nothing but an activation reads, each with it: what a kernel can compute together."""
    readers = Counter(name for step in steps for name in step.reads)
    return {step.reads[0]: step for step in steps if isinstance(step, Act) and readers[step.reads[0]] == 1}
