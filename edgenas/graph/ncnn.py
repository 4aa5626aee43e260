"""BlockSpecs to ncnn, layer by layer: the text of a .param file and the weights of a .bin file, with no converter.

ncnn takes one image at once, and the two files belong together. Here they are one sequence of bytes, which whoever opens it
splits: the text, a zero byte, the weights. After the weights, where ncnn reads no more, there is the metadata as JSON.

Layers and their numbered parameters are those of https://github.com/Tencent/ncnn/blob/master/docs/developer-guide/operators.md
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from edgenas.graph.ends import PLAIN, Ends
from edgenas.graph.gates import CLIP, OFFSET, SLOPE, clipped_gates, clipped_weights
from edgenas.graph.weights import BlockWeights
from edgenas.space import BlockSpec, program_of
from edgenas.space.program import (
    INPUT as ENTRY,
)
from edgenas.space.program import (
    Act,
    Add,
    Conv,
    Flatten,
    GlobalMean,
    Linear,
    MaxPool,
    MeanPool,
    Scale,
    Step,
    activations_of,
)

INPUT, OUTPUT = "image", "output"
MAGIC = 7767517
METADATA = b"\0edgenas\0"
"""Stands before the metadata, which has no zero bytes."""

_FLOAT32 = b"\0\0\0\0"  # before a weight: how its numbers are stored
_ADD, _MULTIPLY = 0, 2
_MAX, _MEAN = 0, 1
_FULL, _VALID = 0, 1  # what becomes of windows that end outside

Number = int | float
Params = dict[int, Number | tuple[float, ...]]

_ACTIVATIONS: dict[str, tuple[str, tuple[float, ...]]] = {
    "relu": ("ReLU", ()),
    "relu6": ("Clip", (0.0, 6.0)),
    CLIP: ("Clip", (0.0, 1.0)),
    "hswish": ("HardSwish", (SLOPE, OFFSET)),
    "gate": ("HardSigmoid", (SLOPE, OFFSET)),
}
_WITHIN = {"ReLU": 1, "Clip": 3, "HardSwish": 6}
"""The numbers of the activations that a layer with weights computes, too."""


def build_ncnn(
    blocks: Sequence[BlockSpec], weights: Sequence[BlockWeights], *, metadata: Mapping[str, str] | None = None,
    ends: Ends = PLAIN,
) -> bytes:  # fmt: skip
    """A chain of blocks as ncnn's two files, see `split_ncnn`; whole network or single block.

    blocks, weights: one of each per block, in order, the weights as `weight_shapes` names them. ends: of a whole network.

    The model maps `image`, float32 `(channels, resolution, resolution)`, to `output`, float32 `(classes,)` for a network that
    ends in a head, `(channels, resolution, resolution)` otherwise. Pixels are float32 of 0..255, as ncnn reads them.
    """
    graph, first = _Graph(), blocks[0]
    value = graph.add("Input", INPUT, [], {0: first.resolution, 1: first.resolution, 2: first.in_channels})
    if ends.normalisation is not None:
        value = graph.add("Scale", f"{INPUT}.normalised", [value], {0: first.in_channels, 1: 1})
        graph.weights += b"".join(numbers.astype("<f4").tobytes() for numbers in ends.as_line)
    for index, (spec, arrays) in enumerate(zip(blocks, weights, strict=True)):
        value = graph.block(f"block{index}", spec, arrays, value)
    if ends.probabilities:
        graph.add("Softmax", "probabilities", [value], {0: 0, 1: 1})
    return graph.content(metadata or {})


def build_empty_ncnn() -> bytes:
    """The least that a session can do; its time is the overhead that every measured block carries."""
    graph = _Graph()
    graph.add("ReLU", OUTPUT, [graph.add("Input", INPUT, [], {0: 1, 1: 1, 2: 1})], {})
    return graph.content({})


def split_ncnn(content: bytes) -> tuple[bytes, bytes]:
    """The content of the .param and of the .bin file."""
    text, _, weights = content.partition(b"\0")
    return text, weights


def join_ncnn(text: bytes, weights: bytes) -> bytes:
    """The reverse of `split_ncnn`."""
    return text + b"\0" + weights


def read_ncnn_metadata(content: bytes) -> dict[str, str]:
    """What `build_ncnn` was given as metadata."""
    _, mark, text = content.rpartition(METADATA)
    found: dict[str, str] = json.loads(text) if mark else {}
    return found


@dataclass(frozen=True)
class _Layer:
    """A line of the text. inputs: names of values. outputs: of one, but for a Split."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    params: Params

    def __str__(self) -> str:
        counts = (len(self.inputs), len(self.outputs))
        params = (_param(number, value) for number, value in sorted(self.params.items()))
        return " ".join(map(str, [f"{self.kind:<24}", f"{self.name:<32}", *counts, *self.inputs, *self.outputs, *params]))


def _param(number: int, value: Number | tuple[float, ...]) -> str:
    """ncnn tells a real number by its point, and reads no more than 15 characters of one."""
    if isinstance(value, tuple):
        return f"{-23300 - number}={len(value)}," + ",".join(f"{each:.7e}" for each in value)
    return f"{number}={value}" if isinstance(value, int) else f"{number}={value:.7e}"


@dataclass
class _Graph:
    """Layers and weights in order of computation.

    resolutions: of values, by name. flat: the values without height and width, such as global means.
    """

    layers: list[_Layer] = field(default_factory=list)
    weights: bytearray = field(default_factory=bytearray)
    resolutions: dict[str, int] = field(default_factory=dict)
    flat: set[str] = field(default_factory=set)

    def add(self, kind: str, name: str, inputs: Sequence[str], params: Params) -> str:
        self.layers.append(_Layer(kind, name, tuple(inputs), (name,), params))
        return name

    def block(self, block: str, spec: BlockSpec, weights: BlockWeights, value: str) -> str:
        """Append a block's steps; return the name of its result."""
        self.resolutions[value] = spec.resolution
        steps, weights = clipped_gates(program_of(spec)), clipped_weights(program_of(spec), weights)
        values, fused = {ENTRY: value}, _fused(steps)
        for step in steps:
            inputs = [values[name] for name in step.reads]
            if step in fused.values():
                values[step.name] = inputs[0]
            else:
                values[step.name] = self.step(step, f"{block}.{step.name}", inputs, weights, fused.get(step.name))
        return values[steps[-1].name]

    def step(self, step: Step, name: str, inputs: list[str], weights: BlockWeights, activation: Act | None) -> str:
        """Append a step; return the name of its value. activation: that its layer computes, too."""
        if isinstance(step, GlobalMean | Flatten) or self.flat.issuperset(inputs):
            self.flat.add(name)
        self.resolutions[name] = step.resolution
        match step:
            case Conv() if name in self.flat:
                return self.add("InnerProduct", name, inputs, self.parameters(step, weights, activation, (1, 2)))
            case Conv():
                kind = "ConvolutionDepthWise" if step.depthwise else "Convolution"
                before, after = step.pads
                params: Params = {1: step.kernel, 3: step.stride, 4: before, 14: before, 15: after, 16: after}
                params |= {7: step.channels} if step.depthwise else {}
                return self.add(kind, name, inputs, params | self.parameters(step, weights, activation, (5, 6)))
            case Linear():
                return self.add("InnerProduct", name, inputs, self.parameters(step, weights, activation, (1, 2)))
            case Act():
                kind, numbers = _ACTIVATIONS[step.kind]
                return self.add(kind, name, inputs, dict(enumerate(numbers)))
            case MaxPool():
                before, after = step.pads
                params = {0: _MAX, 1: step.kernel, 2: step.stride, 3: before, 13: before, 14: after, 15: after, 5: _VALID}
                return self.add("Pooling", name, inputs, params)
            case MeanPool():
                size = min(step.stride, self.resolutions[inputs[0]])  # it cannot count the windows of an image that is smaller
                return self.add("Pooling", name, inputs, {0: _MEAN, 1: size, 2: step.stride, 5: _FULL})
            case GlobalMean():
                return self.add("Pooling", name, inputs, {0: _MEAN, 4: 1})
            case Flatten():
                return self.add("Flatten", name, inputs, {})
            case Add() | Scale():
                return self.add("BinaryOp", name, inputs, {0: _ADD if isinstance(step, Add) else _MULTIPLY})
        raise TypeError(f"ncnn has no form for {step}")

    def parameters(
        self, step: Conv | Linear, weights: BlockWeights, activation: Act | None, numbers: tuple[int, int]
    ) -> Params:
        """Append a step's weight and, where it has one, bias. numbers: of what says so."""
        weight, bias = weights[f"{step.name}.weight"], weights.get(f"{step.name}.bias")
        self.weights += _FLOAT32 + weight.astype("<f4").tobytes()
        params: Params = {0: step.channels, numbers[0]: int(bias is not None), numbers[1]: weight.size}
        if bias is not None:
            self.weights += bias.astype("<f4").tobytes()
        if activation is not None:
            kind, limits = _ACTIVATIONS[activation.kind]
            params |= {9: _WITHIN[kind]} | ({10: limits} if limits else {})
        return params

    def content(self, metadata: Mapping[str, str]) -> bytes:
        layers = _with_splits(self.layers)
        layers[-1] = replace(layers[-1], outputs=(OUTPUT,))
        values = sum(len(layer.outputs) for layer in layers)
        text = "\n".join([str(MAGIC), f"{len(layers)} {values}", *map(str, layers), ""])
        about = METADATA + json.dumps(dict(metadata)).encode() if metadata else b""
        return join_ncnn(text.encode(), bytes(self.weights) + about)


def _fused(steps: Sequence[Step]) -> dict[str, Act]:
    """The activations that the layers before them compute, by these layers' names."""
    layers = {step.name for step in steps if isinstance(step, Conv | Linear)}
    found = activations_of(steps).items()
    return {name: act for name, act in found if name in layers and _ACTIVATIONS[act.kind][0] in _WITHIN}


def _with_splits(layers: Sequence[_Layer]) -> list[_Layer]:
    """The layers with a Split behind each value that several read: in ncnn, every reader needs a value of its own."""
    readers = Counter(name for layer in layers for name in layer.inputs)
    copies = {name: [f"{name}.{i}" for i in range(count)] for name, count in readers.items() if count > 1}
    left = {name: iter(names) for name, names in copies.items()}
    found = []
    for layer in layers:
        inputs = tuple(next(left[name]) if name in left else name for name in layer.inputs)
        found.append(replace(layer, inputs=inputs))
        found += [
            _Layer("Split", f"{name}.split", (name,), tuple(copies[name]), {}) for name in layer.outputs if name in copies
        ]
    return found
