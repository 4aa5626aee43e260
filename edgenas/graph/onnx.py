"""BlockSpecs to ONNX, operator by operator, with the `onnx` package alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgenas.graph.weights import BlockWeights
from edgenas.space import BlockSpec

OPSET = 17
IR_VERSION = 8  # read by every ONNX Runtime since 1.12, so that old devices are served too
INPUT, OUTPUT = "image", "output"


def build_onnx(
    blocks: Sequence[BlockSpec],
    weights: Sequence[BlockWeights],
    *,
    batch: int | str = 1,
    metadata: Mapping[str, str] | None = None,
) -> onnx.ModelProto:
    """A chain of blocks as an ONNX model, whole network or single block.

    blocks, weights: one of each per block, in order, the weights as `weight_shapes` names them.
    batch: a fixed size, or a name such as "batch" for a dynamic one.

    The model maps `image`, float32 `(batch, channels, resolution, resolution)`, to `output`, float32
    `(batch, classes)` for a network that ends in a head, `(batch, channels, resolution, resolution)` otherwise.
    """
    graph = OnnxGraph()
    add_blocks(graph, blocks, weights, INPUT)
    graph.nodes[-1].output[0] = OUTPUT
    return graph.model(*shapes(blocks, batch), metadata or {})


def add_blocks(graph: OnnxGraph, blocks: Sequence[BlockSpec], weights: Sequence[BlockWeights], value: str) -> str:
    """Append a chain of blocks that starts at a value; return the name of its result."""
    for index, (spec, arrays) in enumerate(zip(blocks, weights, strict=True)):
        value = _BLOCKS[spec.op](graph, f"block{index}", spec, arrays, value)
    return value


def shapes(blocks: Sequence[BlockSpec], batch: int | str) -> tuple[list, list]:
    """The shapes of a chain's input and output."""
    first, last = blocks[0], blocks[-1]
    spatial = [] if last.op == "head" else [last.out_resolution, last.out_resolution]
    return [batch, first.in_channels, first.resolution, first.resolution], [batch, last.out_channels, *spatial]


def build_empty_onnx() -> onnx.ModelProto:
    """The least that a session can do; its time is the overhead that every measured block carries."""
    graph = OnnxGraph()
    graph.add("Identity", [INPUT], OUTPUT)
    return graph.model([1, 1, 1, 1], [1, 1, 1, 1], {})


class OnnxGraph:
    """Nodes and initializers in order of computation."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def add(self, op: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, array: np.ndarray) -> str:
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array, dtype=np.float32), name))
        return name

    def conv(
        self, name: str, value: str, weight: np.ndarray, bias: np.ndarray, *, stride: int = 1, groups: int = 1,
        pads: tuple[int, int] | None = None,
    ) -> str:  # fmt: skip
        """pads: before and after, vertically and horizontally; None keeps the size at stride 1."""
        inputs = [value, *self.parameters(name, weight, bias)]
        return self.add("Conv", inputs, name, group=groups, **window(weight.shape[-1], stride, pads))

    def linear(self, name: str, value: str, weight: np.ndarray, bias: np.ndarray | None = None) -> str:
        return self.add("Gemm", [value, *self.parameters(name, weight, bias)], name, transB=1)

    def parameters(self, name: str, weight: np.ndarray, bias: np.ndarray | None) -> list[str]:
        values = [self.constant(f"{name}.weight", weight)]
        return values if bias is None else [*values, self.constant(f"{name}.bias", bias)]

    def activation(self, kind: str, value: str) -> str:
        if kind == "relu6":
            limits = [self.constant(f"{value}.{end}", np.array(limit)) for end, limit in (("low", 0.0), ("high", 6.0))]
            return self.add("Clip", [value, *limits], f"{value}.relu6")
        return self.add({"relu": "Relu", "hswish": "HardSwish"}[kind], [value], f"{value}.{kind}")

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


def window(kernel: int, stride: int, pads: tuple[int, int] | None = None) -> dict[str, list[int]]:
    """The attributes of a k x k window that moves."""
    before, after = (kernel // 2,) * 2 if pads is None else pads
    return {"kernel_shape": [kernel] * 2, "pads": [before, before, after, after], "strides": [stride] * 2}


def _conv(graph: OnnxGraph, name: str, spec: BlockSpec, weights: BlockWeights, value: str) -> str:
    entry = value
    value = graph.conv(f"{name}.conv", value, weights["conv.weight"], weights["conv.bias"], stride=spec.stride, pads=spec.pads)
    value = graph.activation(spec.activation, value)
    return graph.add("Add", [value, entry], f"{name}.residual") if spec.residual else value


def _maxpool(graph: OnnxGraph, name: str, spec: BlockSpec, weights: BlockWeights, value: str) -> str:
    return graph.add("MaxPool", [value], f"{name}.pool", **window(spec.kernel, spec.stride, spec.pads))


def _mbconv(graph: OnnxGraph, name: str, spec: BlockSpec, weights: BlockWeights, value: str) -> str:
    entry = value
    if spec.start:
        value = graph.conv(f"{name}.start", value, weights["start.weight"], weights["start.bias"],
                           stride=spec.start_stride, groups=spec.in_channels,
                           pads=None if spec.kernel else spec.pads)  # fmt: skip
    if spec.expands:
        value = graph.conv(f"{name}.expand", value, weights["expand.weight"], weights["expand.bias"])
        value = graph.activation(spec.activation, value)
    if spec.kernel:
        value = graph.conv(f"{name}.depthwise", value, weights["depthwise.weight"], weights["depthwise.bias"],
                           stride=spec.stride, groups=spec.mid_channels, pads=spec.pads)  # fmt: skip
        value = graph.activation(spec.activation, value)
    if spec.se:
        gate = graph.add("GlobalAveragePool", [value], f"{name}.se.pool")
        gate = graph.conv(f"{name}.se.reduce", gate, weights["se.reduce.weight"], weights["se.reduce.bias"])
        gate = graph.activation("relu", gate)
        gate = graph.conv(f"{name}.se.expand", gate, weights["se.expand.weight"], weights["se.expand.bias"])
        gate = graph.add("HardSigmoid", [gate], f"{name}.se.gate", alpha=1 / 6, beta=0.5)
        value = graph.add("Mul", [value, gate], f"{name}.se.scale")
    value = graph.conv(f"{name}.project", value, weights["project.weight"], weights["project.bias"])
    return graph.add("Add", [value, entry], f"{name}.residual") if spec.residual else value


def _fused(graph: OnnxGraph, name: str, spec: BlockSpec, weights: BlockWeights, value: str) -> str:
    entry = value
    value = graph.conv(f"{name}.expand", value, weights["expand.weight"], weights["expand.bias"], stride=spec.stride,
                       pads=spec.pads)  # fmt: skip
    value = graph.activation(spec.activation, value)
    value = graph.conv(f"{name}.project", value, weights["project.weight"], weights["project.bias"])
    return graph.add("Add", [value, entry], f"{name}.residual") if spec.residual else value


def _bottleneck(graph: OnnxGraph, name: str, spec: BlockSpec, weights: BlockWeights, value: str) -> str:
    entry = value
    value = graph.conv(f"{name}.reduce", value, weights["reduce.weight"], weights["reduce.bias"])
    value = graph.activation(spec.activation, value)
    value = graph.conv(f"{name}.conv", value, weights["conv.weight"], weights["conv.bias"], stride=spec.stride, pads=spec.pads)
    value = graph.activation(spec.activation, value)
    value = graph.conv(f"{name}.project", value, weights["project.weight"], weights["project.bias"])
    if not spec.residual:
        if spec.stride > 1:
            entry = graph.add("AveragePool", [entry], f"{name}.pool", kernel_shape=[spec.stride] * 2,
                              strides=[spec.stride] * 2, ceil_mode=1)  # fmt: skip
        entry = graph.conv(f"{name}.shortcut", entry, weights["shortcut.weight"], weights["shortcut.bias"])
    return graph.activation(spec.activation, graph.add("Add", [value, entry], f"{name}.residual"))


def _head(graph: OnnxGraph, name: str, spec: BlockSpec, weights: BlockWeights, value: str) -> str:
    if spec.resolution > 1:  # the mean of one value is that value, and every operator takes time
        value = graph.add("GlobalAveragePool", [value], f"{name}.pool")
    value = graph.add("Flatten", [value], f"{name}.flatten")
    if spec.mid_channels:
        value = graph.linear(f"{name}.mix", value, weights["mix.weight"], weights.get("mix.bias"))
        value = graph.activation(spec.activation, value)
    return graph.linear(f"{name}.classify", value, weights["classify.weight"], weights["classify.bias"])


_BLOCKS = {"conv": _conv, "maxpool": _maxpool, "mbconv": _mbconv, "fused": _fused, "bottleneck": _bottleneck, "head": _head}
