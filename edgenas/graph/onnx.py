"""BlockSpecs to ONNX, operator by operator, with the `onnx` package alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgenas.graph.ends import PLAIN, Ends
from edgenas.graph.gates import CLIP, OFFSET, SLOPE, clipped_gates, clipped_weights
from edgenas.graph.weights import BlockWeights
from edgenas.space import BlockSpec, is_flat, program_of
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
    Weighted,
)

OPSET = 17
IR_VERSION = 8  # read by every ONNX Runtime since 1.12, so that old devices are served too
INPUT, OUTPUT = "image", "output"

_LIMITS = {"relu6": {"low": 0.0, "high": 6.0}, CLIP: {"low": 0.0, "high": 1.0}}


def build_onnx(
    blocks: Sequence[BlockSpec],
    weights: Sequence[BlockWeights],
    *,
    batch: int | str = 1,
    metadata: Mapping[str, str] | None = None,
    half: bool = False,
    ends: Ends = PLAIN,
) -> onnx.ModelProto:
    """A chain of blocks as an ONNX model, whole network or single block.

    blocks, weights: one of each per block, in order, the weights as `weight_shapes` names them.
    batch: a fixed size, or a name such as "batch" for a dynamic one.
    half: everything is float16 but an image that enters and class scores that leave.
    ends: of a whole network.

    The model maps `image`, float32 `(batch, channels, resolution, resolution)`, or uint8 where it takes pixels, to `output`,
    float32 `(batch, classes)` for a network that ends in a head, `(batch, channels, resolution, resolution)` otherwise.
    """
    clipped = [clipped_weights(program_of(spec), arrays) for spec, arrays in zip(blocks, weights, strict=True)]
    graph = OnnxGraph(np.float16 if half else np.float32)
    element = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    is_image, is_scores = half and blocks[0].in_channels == 3, half and is_flat(blocks[-1])
    value = INPUT if ends.normalisation is None else graph.normalised(INPUT, ends)
    value = graph.add("Cast", [value], f"{INPUT}.half", to=element) if is_image else value
    value = add_blocks(graph, blocks, clipped, value)
    value = graph.add("Cast", [value], "scores", to=TensorProto.FLOAT) if is_scores else value
    if ends.probabilities:
        graph.softmax(value)
    graph.nodes[-1].output[0] = OUTPUT
    enters = TensorProto.UINT8 if ends.normalisation else TensorProto.FLOAT if is_image else element
    return graph.model(*shapes(blocks, batch), metadata or {}, (enters, TensorProto.FLOAT if is_scores else element))


def add_blocks(graph: OnnxGraph, blocks: Sequence[BlockSpec], weights: Sequence[BlockWeights], value: str) -> str:
    """Append a chain of blocks that starts at a value; return the name of its result."""
    for index, (spec, arrays) in enumerate(zip(blocks, weights, strict=True)):
        value = graph.block(f"block{index}", spec, arrays, value)
    return value


def shapes(blocks: Sequence[BlockSpec], batch: int | str) -> tuple[list, list]:
    """The shapes of a chain's input and output."""
    first, last = blocks[0], blocks[-1]
    spatial = [] if is_flat(last) else [last.out_resolution, last.out_resolution]
    return [batch, first.in_channels, first.resolution, first.resolution], [batch, last.out_channels, *spatial]


def build_empty_onnx() -> onnx.ModelProto:
    """The least that a session can do; its time is the overhead that every measured block carries."""
    graph = OnnxGraph()
    graph.add("Identity", [INPUT], OUTPUT)
    return graph.model([1, 1, 1, 1], [1, 1, 1, 1], {})


class OnnxGraph:
    """Nodes and initializers in order of computation. dtype: of the numbers in it."""

    def __init__(self, dtype: type[np.floating] = np.float32) -> None:
        self.dtype = dtype
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, array: np.ndarray) -> str:
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array, dtype=self.dtype), name))
        return name

    def normalised(self, pixels: str, ends: Ends) -> str:
        """Pixels as the image that the first block takes, in float32."""
        value = self.add("Cast", [pixels], f"{pixels}.float", to=TensorProto.FLOAT)
        for op, name, numbers in zip(("Sub", "Div"), ("shift", "scale"), ends.shift_and_scale, strict=True):
            self.initializers.append(numpy_helper.from_array(numbers.reshape(1, -1, 1, 1), f"{pixels}.{name}.number"))
            value = self.add(op, [value, f"{pixels}.{name}.number"], f"{pixels}.{name}")
        return value

    def softmax(self, scores: str) -> str:
        return self.add("Softmax", [scores], "probabilities", axis=1)

    def block(self, block: str, spec: BlockSpec, weights: BlockWeights, value: str) -> str:
        """Append a block's steps; return the name of its result."""
        steps, values = self.steps_of(spec), {ENTRY: value}
        for step in steps:
            inputs = [values[name] for name in step.reads]
            values[step.name] = self.step(step, f"{block}.{step.name}", inputs, weights)
        return values[steps[-1].name]

    def steps_of(self, spec: BlockSpec) -> tuple[Step, ...]:
        return clipped_gates(program_of(spec))

    def step(self, step: Step, name: str, inputs: list[str], weights: BlockWeights) -> str:
        """Append a step; return the name of its value."""
        match step:
            case Conv():
                inputs = [*inputs, *self.parameters(name, step, weights)]
                groups = step.channels if step.depthwise else 1
                return self.add("Conv", inputs, name, group=groups, **window(step.kernel, step.stride, step.pads))
            case Linear():
                return self.add("Gemm", [*inputs, *self.parameters(name, step, weights)], name, transB=1)
            case Act():
                return self.activation(step.kind, inputs[0], name)
            case MaxPool():
                return self.add("MaxPool", inputs, name, **window(step.kernel, step.stride, step.pads))
            case MeanPool():
                square = [step.stride] * 2
                return self.add("AveragePool", inputs, name, kernel_shape=square, strides=square, ceil_mode=1)
            case GlobalMean():
                return self.add("GlobalAveragePool", inputs, name)
            case Flatten() | Add() | Scale():
                return self.add({Flatten: "Flatten", Add: "Add", Scale: "Mul"}[type(step)], inputs, name)
        raise TypeError(f"ONNX has no form for {step}")

    def parameters(self, name: str, step: Weighted, weights: BlockWeights) -> list[str]:
        """The names of a step's weight and, where it has one, bias."""
        kinds = [kind for kind in ("weight", "bias") if f"{step.name}.{kind}" in weights]
        return [self.constant(f"{name}.{kind}", weights[f"{step.name}.{kind}"]) for kind in kinds]

    def activation(self, kind: str, value: str, name: str) -> str:
        if kind in _LIMITS:
            low, high = (self.constant(f"{name}.{end}", np.array(_LIMITS[kind][end])) for end in ("low", "high"))
            return self.add("Clip", [value, low, high], name)
        if kind == "gate":
            slope, offset = (self.constant(f"{name}.{part}", np.array(n)) for part, n in (("slope", SLOPE), ("offset", OFFSET)))
            line = self.add("Add", [self.add("Mul", [value, slope], f"{name}.product"), offset], f"{name}.line")
            return self.activation(CLIP, line, name)
        return self.add({"relu": "Relu", "hswish": "HardSwish"}[kind], [value], name)

    def model(
        self,
        shape_in: list,
        shape_out: list,
        metadata: Mapping[str, str],
        types: tuple[int, int] = (TensorProto.FLOAT, TensorProto.FLOAT),
    ) -> onnx.ModelProto:
        """The finished model. types: the element types of input and output."""
        graph = helper.make_graph(
            self.nodes,
            "edgenas",
            [helper.make_tensor_value_info(INPUT, types[0], shape_in)],
            [helper.make_tensor_value_info(OUTPUT, types[1], shape_out)],
            self.initializers,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="edgenas")
        model.ir_version = IR_VERSION
        helper.set_model_props(model, dict(metadata))
        return model


def window(kernel: int, stride: int, pads: tuple[int, int]) -> dict[str, list[int]]:
    """The attributes of a k x k window that moves."""
    before, after = pads
    return {"kernel_shape": [kernel] * 2, "pads": [before, before, after, after], "strides": [stride] * 2}
