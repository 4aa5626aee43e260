"""BlockSpecs to int8 ONNX, for timing: the operators of `graph.onnx` between QuantizeLinear and DequantizeLinear nodes.

The pattern is that of onnxruntime's `quantize_static` (QDQ, activations uint8, weights int8 per output channel), which ONNX
Runtime turns into integer kernels. Ranges are fixed, not calibrated on images: they do not change how long a kernel takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from edgenas.graph.onnx import INPUT, OUTPUT, OnnxGraph, add_blocks, shapes
from edgenas.graph.weights import BlockWeights
from edgenas.space import BlockSpec, is_flat, program_of
from edgenas.space.program import Act, Step, Weighted

ACTIVATION_SCALE = np.float32(12 / 255)
ANY, NOT_NEGATIVE = "any", "not_negative"
ZERO_POINTS = {ANY: 128, NOT_NEGATIVE: 0}
"""A zero point of 0 leaves nothing below zero: it is the ReLU."""


def build_int8_onnx(
    blocks: Sequence[BlockSpec],
    weights: Sequence[BlockWeights],
    *,
    batch: int | str = 1,
    metadata: Mapping[str, str] | None = None,
) -> onnx.ModelProto:
    """A chain of blocks as an int8 model, in the shapes of `build_onnx`.

    An image enters and class scores leave as float32; what passes between blocks is uint8.
    """
    graph = _QdqGraph()
    image, scores = blocks[0].in_channels == 3, is_flat(blocks[-1])
    value = graph.quantize(INPUT) if image else graph.dequantize(INPUT)
    add_blocks(graph, blocks, weights, value)
    if not scores:
        graph.nodes.pop()
    graph.nodes[-1].output[0] = OUTPUT
    element = {True: TensorProto.FLOAT, False: TensorProto.UINT8}
    return graph.model(*shapes(blocks, batch), metadata or {}, (element[image], element[scores]))


class _QdqGraph(OnnxGraph):
    """Every value that it hands out has been quantized and dequantized."""

    def __init__(self) -> None:
        super().__init__()
        self._rectified: set[str] = set()  # values whose zero point is the ReLU that follows
        self._tensor("scale", np.array(ACTIVATION_SCALE))
        for name, zero_point in ZERO_POINTS.items():
            self._tensor(name, np.array(zero_point, np.uint8))

    def steps_of(self, spec: BlockSpec) -> tuple[Step, ...]:
        return program_of(spec)

    def step(self, step: Step, name: str, inputs: list[str], weights: BlockWeights, activation: Act | None) -> str:
        if isinstance(step, Act) and inputs[0] in self._rectified:
            return inputs[0]
        if isinstance(step, Act) and step.kind != "gate":
            name = f"{inputs[0]}.{step.kind}"  # as such files have always named it
        value = super().step(step, name, inputs, weights, activation)
        if activation is None or activation.kind not in ("relu", "relu6"):
            return self.quantize(value)
        value = self.quantize(value, NOT_NEGATIVE)
        self._rectified.add(value)
        return value

    def quantize(self, value: str, zero_point: str = ANY) -> str:
        return self.dequantize(self.add("QuantizeLinear", [value, "scale", zero_point], f"{value}.u8"), zero_point)

    def dequantize(self, value: str, zero_point: str = ANY) -> str:
        return self.add("DequantizeLinear", [value, "scale", zero_point], f"{value}.f32")

    def parameters(self, name: str, step: Weighted, weights: BlockWeights) -> list[str]:
        weight, bias = weights[f"{step.name}.weight"], weights.get(f"{step.name}.bias")
        scale = np.abs(weight).reshape(len(weight), -1).max(axis=1) / np.float32(127)
        steps = np.rint(weight / scale.reshape(-1, *[1] * (weight.ndim - 1))).astype(np.int8)
        values = [self._integers(f"{name}.weight", steps, scale)]
        if bias is not None:
            values.append(self._integers(f"{name}.bias", np.rint(bias / (ACTIVATION_SCALE * scale)), ACTIVATION_SCALE * scale))
        return values

    def _integers(self, name: str, steps: np.ndarray, scale: np.ndarray) -> str:
        dtype = np.int8 if steps.dtype == np.int8 else np.int32
        inputs = [self._tensor(f"{name}.{dtype.__name__}", steps.astype(dtype)), self._tensor(f"{name}.scale", scale),
                  self._tensor(f"{name}.zero", np.zeros(len(scale), dtype))]  # fmt: skip
        return self.add("DequantizeLinear", inputs, name, axis=0)

    def _tensor(self, name: str, array: np.ndarray) -> str:
        self.initializers.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name
