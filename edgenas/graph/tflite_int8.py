"""BlockSpecs to full-integer TFLite: the operators of `graph.tflite` on int8 values, int8 weights and int32 biases.

XNNPACK takes a network whole where it has no HARD_SWISH and no AVERAGE_POOL_2D, for which it has no int8 kernels: h-swish is a
product here, as `quantisation` writes it, and a mean a depthwise convolution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgenas.graph.ends import PLAIN, Ends
from edgenas.graph.tflite import INPUT, Op, TfliteBlock, TfliteGraph, image_shape
from edgenas.graph.weights import BlockWeights
from edgenas.quantisation import IMAGE, Parameters, Quantisation, quantised_steps
from edgenas.quantisation.ranges import GATE_LIMIT
from edgenas.quantisation.scheme import WEIGHT_STEPS
from edgenas.space import BlockSpec, is_flat
from edgenas.space.program import Act, Conv, Linear, MeanPool, Step

_ZERO = 128
"""By which int8's steps are less than uint8's."""
_VERSIONS = {
    Op.ADD: 2, Op.CONV_2D: 3, Op.DEPTHWISE_CONV_2D: 3, Op.DEQUANTIZE: 2, Op.FULLY_CONNECTED: 4, Op.MAX_POOL_2D: 2, Op.MEAN: 2,
    Op.MUL: 2, Op.PAD: 2, Op.RELU: 2, Op.RELU6: 2,
}  # fmt: skip


def build_int8_tflite(
    blocks: Sequence[BlockSpec],
    weights: Sequence[BlockWeights],
    *,
    batch: int = 1,
    metadata: Mapping[str, str] | None = None,
    quantisation: Quantisation | None = None,
    ends: Ends = PLAIN,
) -> bytes:
    """A chain of blocks as an int8 file, in the shapes of `build_tflite`.

    quantisation, ends: as of `build_int8_onnx`; what it has uint8 for is int8 here, but for pixels.
    """
    quantisation = quantisation or Quantisation.nominal(blocks)
    graph, float_ends = _Int8Graph(), not quantisation.integer_ends
    is_image, is_scores = float_ends and blocks[0].in_channels == 3, float_ends and is_flat(blocks[-1])
    shape, limits = image_shape(blocks, batch), quantisation.ranges[IMAGE]
    if ends.normalisation is not None:
        image = graph.pixels(shape)
        value = graph.convolved(image, quantisation.of_pixels(*ends.as_line))
    else:
        image = graph.tensor(INPUT, shape, "float32" if is_image else "int8")
        value = graph.add(Op.QUANTIZE, [image], f"{INPUT}.int8", shape) if is_image else image
    graph.quantise(value, limits.scale, limits.zero_point)
    for index, (spec, arrays) in enumerate(zip(blocks, weights, strict=True)):
        value = _Int8Block(graph, f"block{index}", arrays, quantisation).computed(spec, value)
    if is_scores or ends.probabilities:
        value = graph.dequantise(value)
    return graph.model(image, graph.softmax(value) if ends.probabilities else value, metadata or {})


class _Int8Graph(TfliteGraph):
    """What an operator writes is int8, and of its first input's scale unless `quantise` says otherwise."""

    versions = _VERSIONS

    def add(self, op: int, inputs: list[int], output: str, shape: Sequence[int], options: object | None = None) -> int:
        value = super().add(op, inputs, output, shape, options)
        self.tensors[value].type = schema.TensorType.INT8
        self.tensors[value].quantization = self.tensors[inputs[0]].quantization
        return value

    def quantise(self, value: int, scale: np.ndarray | np.float32, zero_point: int = _ZERO, axis: int = 0) -> None:
        """scale: one, or one for each element along the axis. zero_point: as in uint8."""
        scales = np.atleast_1d(scale).astype(np.float32)
        zeros = np.full(len(scales), zero_point - _ZERO, np.int64)
        self.tensors[value].quantization = schema.QuantizationParametersT(
            scale=scales, zeroPoint=zeros, quantizedDimension=axis if len(scales) > 1 else 0
        )

    def scale(self, value: int) -> np.float32:
        """Of a value with one."""
        return np.float32(self.tensors[value].quantization.scale[0])

    def integers(self, name: str, array: np.ndarray, scale: np.ndarray | np.float32, axis: int = 0) -> int:
        """int8 or int32 constants."""
        value = self.constant(name, array)
        self.quantise(value, scale, axis=axis)
        return value

    def convolved(self, pixels: int, layer: Parameters) -> int:
        """Pixels as int8, the same integers 128 lower, and through a convolution of one pixel that normalises them: see
        `_QdqGraph.normalised`."""
        value = self.add(Op.QUANTIZE, [pixels], f"{INPUT}.int8", self.shape(pixels))
        self.quantise(value, np.float32(1), 0)
        weight = self.integers(f"{INPUT}.scale", layer.weight.transpose(0, 2, 3, 1), layer.scale)
        bias = -1 if layer.bias is None else self.integers(f"{INPUT}.shift", layer.bias, layer.bias_scale)
        options = schema.Conv2DOptionsT(padding=schema.Padding.VALID, strideW=1, strideH=1)
        return self.add(Op.CONV_2D, [value, weight, bias], f"{INPUT}.normalised", self.shape(pixels), options)

    def dequantise(self, value: int) -> int:
        value = self.add(Op.DEQUANTIZE, [value], "scores", self.shape(value))
        self.tensors[value].type, self.tensors[value].quantization = schema.TensorType.FLOAT32, None
        return value


class _Int8Block(TfliteBlock):
    graph: _Int8Graph

    def __init__(self, graph: _Int8Graph, name: str, weights: BlockWeights, quantisation: Quantisation):
        super().__init__(graph, name, weights)
        self._quantisation = quantisation

    def steps_of(self, spec: BlockSpec) -> tuple[Step, ...]:
        return quantised_steps(spec)

    def _step(self, step: Step, name: str, activations: Mapping[str, Act]) -> int:
        known = len(self.graph.tensors)
        value = super()._step(step, name, activations)
        if value >= known:  # it wrote one, rather than naming another
            activation = step.kind if isinstance(step, Act) else activations[step.name].kind if step.name in activations else ""
            factor = GATE_LIMIT if activation == "gate" else self._factors.get(step.name, 1)
            self._quantise(value, name, factor)
        return value

    def _quantise(self, value: int, name: str, factor: int = 1) -> None:
        """factor: by which the value is larger than what its range is of."""
        limits = self._quantisation.ranges[name]
        self.graph.quantise(value, limits.scale * np.float32(factor), limits.zero_point)

    def _parameters(self, step: Conv | Linear, name: str, layout: tuple[int, ...], activation: str) -> list[int]:
        found = self._quantisation.parameters(self.name, step, self.weights, activation)
        scale, axis = found.scale / np.float32(self._factors.get(step.reads[0], 1)), layout.index(0)
        weight = self.graph.integers(f"{name}.weight", found.weight.transpose(layout), scale, axis)
        return [weight, -1 if found.bias is None else self.graph.integers(f"{name}.bias", found.bias, found.bias_scale)]

    def _mean_pool(self, step: MeanPool, name: str) -> int:
        """The sum over a square by the number of its values; where it ends outside, of which there are fewer, times that."""
        value, side = self._proportional(step), step.stride
        inside = np.minimum(side, self.graph.shape(value)[1] - side * np.arange(step.resolution))
        share = np.float32(side**-2)
        weight = self.graph.integers(f"{name}.weight", np.ones((1, side, side, step.channels), np.int8), share)
        bias = self.graph.integers(f"{name}.bias", np.zeros(step.channels, np.int32), share * self.graph.scale(value))
        options = schema.DepthwiseConv2DOptionsT(depthMultiplier=1, padding=schema.Padding.SAME, strideW=side, strideH=side)
        value = self.graph.add(Op.DEPTHWISE_CONV_2D, [value, weight, bias], f"{name}.share", self._shape(step), options)
        if inside[-1] == side:
            return value
        self._quantise(value, name, self._factors.get(step.name, 1))
        missing = (side / inside[:, None]) * (side / inside)
        scale = np.float32(missing.max() / WEIGHT_STEPS)
        factors = self.graph.integers(f"{name}.missing", np.rint(missing / scale).astype(np.int8)[None, ..., None], scale)
        return self.graph.add(Op.MUL, [value, factors], name, self._shape(step), schema.MulOptionsT())

    def _with_number(self, op: int, value: int, name: str, number: float, options: object) -> int:
        scale = np.float32(number / WEIGHT_STEPS)
        constant = self.graph.integers(f"{name}.number", np.full(1, WEIGHT_STEPS, np.int8), scale)
        return self.graph.add(op, [value, constant], name, self.graph.shape(value), options)

    def _plain(self, name: str) -> int:
        has_factor = self._factors.get(name, 1) != 1
        value = super()._plain(name)
        if has_factor:
            self._quantise(value, f"{self.name}.{name}")
        return value
