"""BlockSpecs to int8 ONNX: the operators of `graph.onnx` between QuantizeLinear and DequantizeLinear nodes.

The pattern is that of onnxruntime's `quantize_static` (QDQ, activations uint8, weights int8), which ONNX Runtime turns into
integer kernels. Values are named and quantised as `quantisation` has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from edgenas.graph.ends import PLAIN, Ends
from edgenas.graph.onnx import INPUT, OUTPUT, OnnxGraph, add_blocks, shapes
from edgenas.graph.weights import BlockWeights
from edgenas.quantisation import IMAGE, Quantisation, Range, fused_activations, quantised_steps
from edgenas.quantisation.ranges import GATE_LIMIT, GATE_SHIFT, STEPS
from edgenas.space import BlockSpec, is_flat
from edgenas.space.program import Act, Step, Weighted


def build_int8_onnx(
    blocks: Sequence[BlockSpec],
    weights: Sequence[BlockWeights],
    *,
    batch: int | str = 1,
    metadata: Mapping[str, str] | None = None,
    quantisation: Quantisation | None = None,
    ends: Ends = PLAIN,
) -> onnx.ModelProto:
    """A chain of blocks as an int8 model, in the shapes of `build_onnx`.

    quantisation: of these blocks; None for a model whose speed alone is of interest.
    An image enters and class scores leave as float32, unless it has `integer_ends`. What passes between blocks is uint8.
    ends: as of `build_onnx`. Pixels become the steps of the image's range in integers: see `normalised`.
    """
    quantisation = quantisation or Quantisation.nominal(blocks)
    graph, float_ends = _QdqGraph(quantisation), not quantisation.integer_ends
    image, scores = float_ends and blocks[0].in_channels == 3, float_ends and is_flat(blocks[-1])
    if ends.normalisation is not None:
        image, value = False, graph.normalised(INPUT, ends)
    else:
        value = graph.quantize(INPUT, IMAGE) if image else graph.dequantize(INPUT, IMAGE)
    value = add_blocks(graph, blocks, weights, value)
    if ends.probabilities:
        graph.softmax(value)
    elif not scores:
        graph.nodes.pop()
    graph.nodes[-1].output[0] = OUTPUT
    element = {True: TensorProto.FLOAT, False: TensorProto.UINT8}
    return graph.model(*shapes(blocks, batch), metadata or {}, (element[image], element[scores]))


class _QdqGraph(OnnxGraph):
    """Every value that it hands out has been quantized and dequantized."""

    def __init__(self, quantisation: Quantisation) -> None:
        super().__init__()
        self._quantisation = quantisation
        self._block, self._fused = "", dict[str, Act]()
        self._known: dict[Range, list[str]] = {}  # tensors with scale and zero point

    def block(self, block: str, spec: BlockSpec, weights: BlockWeights, value: str) -> str:
        self._block, self._fused = block, fused_activations(self.steps_of(spec))
        return super().block(block, spec, weights, value)

    def normalised(self, pixels: str, ends: Ends) -> str:
        """By a convolution of one pixel, whose weights are 127 steps each: sums are exact but for the bias, which is off
        by up to 1/254 of a pixel, and are rounded once, to the steps of the image's range, as a normalised image is."""
        steps = [self._tensor(f"{pixels}.step", np.array(1, np.float32)), self._tensor(f"{pixels}.zero", np.array(0, np.uint8))]
        value = self.add("DequantizeLinear", [pixels, *steps], f"{pixels}.float")
        found = self._quantisation.of_pixels(*ends.as_line)
        weights = [self._integers(f"{pixels}.scale", found.weight, found.scale)]
        if found.bias is not None:
            weights.append(self._integers(f"{pixels}.shift", found.bias, found.bias_scale))
        value = self.add("Conv", [value, *weights], f"{pixels}.normalised", kernel_shape=[1, 1])
        return self.quantize(value, IMAGE)

    def steps_of(self, spec: BlockSpec) -> tuple[Step, ...]:
        return quantised_steps(spec)

    def step(self, step: Step, name: str, inputs: list[str], weights: BlockWeights) -> str:
        """A range that ends at 0, or at 6, is the ReLU that follows: no operator is written for one."""
        if step in self._fused.values():
            return inputs[0]
        if isinstance(step, Act) and step.kind == "gate":
            value = self.add("Add", [*inputs, self._number(f"{name}.shift", GATE_SHIFT)], name)
            return self.quantize(value, name, GATE_LIMIT)
        value = super().step(step, name, inputs, weights)
        return self.quantize(value, name, GATE_LIMIT if self._activation(step) == "gate" else 1)

    def quantize(self, value: str, name: str, factor: int = 1) -> str:
        """name: of the value's range. factor: by which the value is larger than what it is read as."""
        meant = self._quantisation.ranges[name]
        limits = self._limits(Range(factor * meant.low, factor * meant.high))
        return self.dequantize(self.add("QuantizeLinear", [value, *limits], f"{value}.u8"), name)

    def dequantize(self, value: str, name: str) -> str:
        return self.add("DequantizeLinear", [value, *self._limits(self._quantisation.ranges[name])], f"{value}.f32")

    def parameters(self, name: str, step: Weighted, weights: BlockWeights) -> list[str]:
        found = self._quantisation.parameters(self._block, step, weights, self._activation(step))
        values = [self._integers(f"{name}.weight", found.weight, found.scale)]
        if found.bias is not None:
            values.append(self._integers(f"{name}.bias", found.bias, found.bias_scale))
        return values

    def _activation(self, step: Step) -> str:
        """What the step's kernel computes as well."""
        return self._fused[step.name].kind if step.name in self._fused else ""

    def _integers(self, name: str, steps: np.ndarray, scale: np.ndarray) -> str:
        scale, axis = (scale, {"axis": 0}) if len(scale) > 1 or len(steps) == 1 else (scale.reshape(()), {})
        inputs = [self._tensor(f"{name}.{steps.dtype.name}", steps), self._tensor(f"{name}.scale", scale),
                  self._tensor(f"{name}.zero", np.zeros(scale.shape, steps.dtype))]  # fmt: skip
        return self.add("DequantizeLinear", inputs, name, **axis)

    def _number(self, name: str, number: float) -> str:
        """A constant that is not negative."""
        return self.add("DequantizeLinear", [self._tensor(f"{name}.uint8", np.array(STEPS, np.uint8)),
                                             *self._limits(Range(0, number))], name)  # fmt: skip

    def _limits(self, limits: Range) -> list[str]:
        if limits not in self._known:
            name = f"range{len(self._known)}"
            scale, zero = np.array(limits.scale), np.array(limits.zero_point, np.uint8)
            self._known[limits] = [self._tensor(f"{name}.scale", scale), self._tensor(f"{name}.zero", zero)]
        return self._known[limits]

    def _tensor(self, name: str, array: np.ndarray) -> str:
        self.initializers.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name
