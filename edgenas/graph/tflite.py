"""BlockSpecs to TFLite, operator by operator: the flatbuffer is written directly, with no converter.

Tensors are NHWC. Operators are of the oldest version that says what they compute, so that tflite-runtime 2.14 reads the files
as well as LiteRT.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgenas.graph.ends import PLAIN, Ends
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
    tensorflow_padding,
)

INPUT, OUTPUT = "image", "output"
SIGNATURE = "serving_default"
SCHEMA_VERSION, FILE_IDENTIFIER = 3, b"TFL3"
STANDARD_METADATA = "TFLITE_METADATA"  # what others look for: see `tflite_metadata`
ALIGNMENT = 16  # of buffers, in bytes: `force_align` in the schema

Op, _Fused = schema.BuiltinOperator, schema.ActivationFunctionType
_FUSED = {"relu": _Fused.RELU, "relu6": _Fused.RELU6, "gate": _Fused.RELU6}
_ACTIVATIONS = {"relu": Op.RELU, "relu6": Op.RELU6, "gate": Op.RELU6, "hswish": Op.HARD_SWISH}
_DTYPES = {
    "float32": schema.TensorType.FLOAT32,
    "float16": schema.TensorType.FLOAT16,
    "int32": schema.TensorType.INT32,
    "int8": schema.TensorType.INT8,
    "uint8": schema.TensorType.UINT8,
}


def build_tflite(
    blocks: Sequence[BlockSpec],
    weights: Sequence[BlockWeights],
    *,
    batch: int = 1,
    metadata: Mapping[str, str] | None = None,
    half: bool = False,
    ends: Ends = PLAIN,
) -> bytes:
    """A chain of blocks as a TFLite file, whole network or single block.

    blocks, weights: one of each per block, in order, the weights as `weight_shapes` names them, in torch's layouts.
    metadata: becomes Metadata entries, each a name and a buffer of UTF-8 text.
    half: weights are float16, and DEQUANTIZE operators make float32 of them. CPUs do that once, when they open the file; GPU
        delegates compute in float16 throughout.
    ends: of a whole network.

    The model maps `image`, float32 `(batch, resolution, resolution, channels)`, or uint8 where it takes pixels, to `output`,
    float32 `(batch, classes)` for a network that ends in a head, `(batch, resolution, resolution, channels)` otherwise. Its
    signature is `serving_default`, with the same names.
    """
    graph = _HalfGraph() if half else TfliteGraph()
    shape = image_shape(blocks, batch)
    image = graph.tensor(INPUT, shape) if ends.normalisation is None else graph.pixels(shape)
    value = image if ends.normalisation is None else graph.normalised(image, ends)
    for index, (spec, arrays) in enumerate(zip(blocks, weights, strict=True)):
        value = TfliteBlock(graph, f"block{index}", arrays).computed(spec, value)
    return graph.model(image, graph.softmax(value) if ends.probabilities else value, metadata or {})


def image_shape(blocks: Sequence[BlockSpec], batch: int) -> tuple[int, ...]:
    """Of the input of a chain of blocks."""
    first = blocks[0]
    return batch, first.resolution, first.resolution, first.in_channels


def build_empty_tflite() -> bytes:
    """The least that an interpreter can do; its time is the overhead that every measured block carries.

    One ReLU of one number rather than nothing at all: it enters the XNNPACK delegate, as every block does.
    """
    graph = TfliteGraph()
    image = graph.tensor(INPUT, (1, 1, 1, 1))
    return graph.model(image, graph.add(Op.RELU, [image], OUTPUT, (1, 1, 1, 1)), {})


def read_tflite_metadata(content: bytes) -> dict[str, str]:
    """What `build_tflite` was given as metadata."""
    model = schema.ModelT.InitFromPackedBuf(content)
    own = [entry for entry in model.metadata or [] if entry.name.decode() != STANDARD_METADATA]
    return {entry.name.decode(): bytes(model.buffers[entry.buffer].data).decode() for entry in own}


def tflite_operators(content: bytes) -> list[str]:
    """The names of the builtin operators that a TFLite file has, in alphabetical order."""
    codes = schema.ModelT.InitFromPackedBuf(content).operatorCodes
    names = {code: name for name, code in vars(Op).items() if isinstance(code, int)}
    return sorted(names[code.builtinCode] for code in codes)


def tflite_output(content: bytes) -> np.ndarray:
    """An array like what a TFLite file gives for one image, `(1, classes)`, of its type."""
    (graph,) = schema.ModelT.InitFromPackedBuf(content).subgraphs
    tensor = graph.tensors[graph.outputs[0]]
    (dtype,) = (name for name, code in _DTYPES.items() if code == tensor.type)
    return np.empty(tensor.shape, dtype)


class AlignedBuffer(schema.BufferT):
    """Constant data, aligned as runtimes that map the file into memory need it; the generated code does not align."""

    def Pack(self, builder: flatbuffers.Builder) -> int:
        builder.Prep(ALIGNMENT, len(self.data))
        return super().Pack(builder)


class TfliteGraph:
    """Tensors, buffers and operators in order of computation. A value is the index of its tensor."""

    versions: ClassVar[Mapping[int, int]] = {}
    """Of operators; 1 of all others."""

    def __init__(self) -> None:
        self.tensors: list[schema.TensorT] = []
        self.buffers: list[schema.BufferT] = [schema.BufferT()]  # buffer 0 is empty: that of tensors without constant data
        self.operators: list[schema.OperatorT] = []
        self.ops: list[int] = []  # the distinct builtin operators, by opcode index

    def tensor(self, name: str, shape: Sequence[int], dtype: str = "float32", buffer: int = 0) -> int:
        self.tensors.append(schema.TensorT(name=name, shape=np.array(shape, np.int32), type=_DTYPES[dtype], buffer=buffer))
        return len(self.tensors) - 1

    def shape(self, value: int) -> tuple[int, ...]:
        return tuple(int(size) for size in self.tensors[value].shape)

    def buffer(self, data: bytes) -> int:
        self.buffers.append(AlignedBuffer(data=np.frombuffer(data, np.uint8)))
        return len(self.buffers) - 1

    def constant(self, name: str, array: np.ndarray) -> int:
        """Wide integers as int32, narrow ones as they are, everything else as float32."""
        dtype = "float32" if array.dtype.kind == "f" else "int8" if array.dtype == np.int8 else "int32"
        return self.tensor(name, array.shape, dtype, self.buffer(array.astype(dtype).tobytes()))

    def add(self, op: int, inputs: list[int], output: str, shape: Sequence[int], options: object | None = None) -> int:
        """options: an object of the schema's `...OptionsT`, by whose name the union's member is found."""
        if op not in self.ops:
            self.ops.append(op)
        kind = type(options).__name__.removesuffix("T") if options else "NONE"
        value = self.tensor(output, shape)
        self.operators.append(
            schema.OperatorT(
                opcodeIndex=self.ops.index(op),
                inputs=np.array(inputs, np.int32),
                outputs=np.array([value], np.int32),
                builtinOptionsType=getattr(schema.BuiltinOptions, kind),
                builtinOptions=options,
            )
        )
        return value

    def padded(self, name: str, value: int, kernel: int, stride: int, pads: tuple[int, int]) -> tuple[int, int]:
        """The value for a k x k window that moves, and the format's word for what is still to be padded."""
        word = tensorflow_padding(self.shape(value)[1], kernel, stride, pads)
        if word is None:
            return self.pad(name, value, pads), schema.Padding.VALID
        return value, {"valid": schema.Padding.VALID, "same": schema.Padding.SAME}[word]

    def pad(self, name: str, value: int, pads: tuple[int, int]) -> int:
        batch, height, width, channels = self.shape(value)
        paddings = self.constant(f"{name}.paddings", np.array([[0, 0], pads, pads, [0, 0]]))
        shape = (batch, height + sum(pads), width + sum(pads), channels)
        return self.add(Op.PAD, [value, paddings], f"{name}.pad", shape, schema.PadOptionsT())

    def pixels(self, shape: Sequence[int]) -> int:
        """An input of 0..255, which is what these integers stand for: a step of 1, from 0."""
        value, (step, zero) = self.tensor(INPUT, shape, "uint8"), (np.ones(1, np.float32), np.zeros(1, np.int64))
        self.tensors[value].quantization = schema.QuantizationParametersT(scale=step, zeroPoint=zero)
        return value

    def normalised(self, pixels: int, ends: Ends) -> int:
        """Pixels as the image that the first block takes, in float32 whatever the weights are kept in."""
        shape, numbers = self.shape(pixels), zip(("shift", "scale"), ends.shift_and_scale, strict=True)
        shift, scale = (TfliteGraph.constant(self, f"{INPUT}.{name}", array) for name, array in numbers)
        value = self.add(Op.DEQUANTIZE, [pixels], f"{INPUT}.float", shape)
        value = self.add(Op.SUB, [value, shift], f"{INPUT}.shifted", shape, schema.SubOptionsT())
        return self.add(Op.DIV, [value, scale], f"{INPUT}.normalised", shape, schema.DivOptionsT())

    def softmax(self, scores: int) -> int:
        """scores: in float32."""
        return TfliteGraph.add(self, Op.SOFTMAX, [scores], OUTPUT, self.shape(scores), schema.SoftmaxOptionsT(beta=1.0))

    def model(self, image: int, output: int, metadata: Mapping[str, str]) -> bytes:
        self.tensors[output].name = OUTPUT
        model = schema.ModelT(
            version=SCHEMA_VERSION,
            description="edgenas",
            operatorCodes=[
                schema.OperatorCodeT(deprecatedBuiltinCode=op, builtinCode=op, version=self.versions.get(op, 1))
                for op in self.ops
            ],
            subgraphs=[
                schema.SubGraphT(
                    name="edgenas",
                    tensors=self.tensors,
                    inputs=np.array([image], np.int32),
                    outputs=np.array([output], np.int32),
                    operators=self.operators,
                )
            ],
            signatureDefs=[
                schema.SignatureDefT(
                    signatureKey=SIGNATURE,
                    inputs=[schema.TensorMapT(name=INPUT, tensorIndex=image)],
                    outputs=[schema.TensorMapT(name=OUTPUT, tensorIndex=output)],
                )
            ],
            metadata=[schema.MetadataT(name=name, buffer=self.buffer(text.encode())) for name, text in metadata.items()],
            buffers=self.buffers,
        )
        builder = flatbuffers.Builder(sum(len(buffer.data) for buffer in self.buffers[1:]) + 4096)
        builder.Finish(model.Pack(builder), file_identifier=FILE_IDENTIFIER)
        return bytes(builder.Output())


class _HalfGraph(TfliteGraph):
    versions: ClassVar = {Op.DEQUANTIZE: 3}

    def constant(self, name: str, array: np.ndarray) -> int:
        if array.dtype.kind != "f":
            return super().constant(name, array)
        half = self.tensor(f"{name}.half", array.shape, "float16", self.buffer(array.astype(np.float16).tobytes()))
        return self.add(Op.DEQUANTIZE, [half], name, array.shape)


class TfliteBlock:
    """The steps of one block, appended to a graph. Activations go into the operator before them where the format can.

    The format has no hard sigmoid: a gate is relu6(x + 3), six times what it should be, and so is all that is computed with it
    until a layer's weights make up for that. `_factors` has such values, and what they are too large by.
    """

    def __init__(self, graph: TfliteGraph, name: str, weights: BlockWeights):
        self.graph = graph
        self.name = name
        self.weights = weights
        self._factors: dict[str, int] = {}
        self._activated: set[str] = set()  # values whose operator has computed the activation that follows
        self._values: dict[str, int] = {}

    def computed(self, spec: BlockSpec, value: int) -> int:
        """The value that the block makes of a value."""
        steps = self.steps_of(spec)
        self._values[ENTRY] = value
        activations = activations_of(steps)
        for step in steps:
            self._values[step.name] = self._step(step, f"{self.name}.{step.name}", activations)
        return self._plain(steps[-1].name)

    def steps_of(self, spec: BlockSpec) -> tuple[Step, ...]:
        return program_of(spec)

    def _step(self, step: Step, name: str, activations: Mapping[str, Act]) -> int:
        activation = activations[step.name].kind if step.name in activations else ""
        match step:
            case Conv():
                return self._conv(step, name, activation)
            case Linear():
                return self._linear(step, name, activation)
            case Act():
                return self._act(step, name)
            case MaxPool():
                value, padding = self.graph.padded(name, self._proportional(step), step.kernel, step.stride, step.pads)
                return self._pool(Op.MAX_POOL_2D, step, name, value, step.kernel, padding)
            case MeanPool():
                return self._mean_pool(step, name)
            case GlobalMean():
                return self._global_mean(step, name)
            case Flatten():  # a fully connected operator does it
                return self._proportional(step)
            case Add():
                first, second = map(self._plain, step.reads)
                return self._fused(Op.ADD, [first, second], step, name, schema.AddOptionsT(), activation)
            case Scale():
                return self._scale(step, name)
        raise TypeError(f"TFLite has no form for {step}")

    def _conv(self, step: Conv, name: str, activation: str) -> int:
        value, padding = self.graph.padded(name, self._values[step.reads[0]], step.kernel, step.stride, step.pads)
        layout = (1, 2, 3, 0) if step.depthwise else (0, 2, 3, 1)
        options = schema.DepthwiseConv2DOptionsT(depthMultiplier=1) if step.depthwise else schema.Conv2DOptionsT()
        options.padding = padding
        options.strideW = options.strideH = step.stride
        inputs = [value, *self._parameters(step, name, layout, activation)]
        op = Op.DEPTHWISE_CONV_2D if step.depthwise else Op.CONV_2D
        return self._fused(op, inputs, step, name, options, activation)

    def _linear(self, step: Linear, name: str, activation: str) -> int:
        inputs = [self._values[step.reads[0]], *self._parameters(step, name, (0, 1), activation)]
        return self._fused(Op.FULLY_CONNECTED, inputs, step, name, schema.FullyConnectedOptionsT(), activation)

    def _parameters(self, step: Conv | Linear, name: str, layout: tuple[int, ...], activation: str) -> list[int]:
        """The weight, with its dimensions in this order, and the bias."""
        weight, bias = self.weights[f"{step.name}.weight"], self.weights.get(f"{step.name}.bias")
        if (factor := self._factors.get(step.reads[0], 1)) != 1:
            weight = weight / factor
        if activation == "gate":
            bias = (0 if bias is None else bias) + np.full(step.channels, 3, np.float32)
        left_out = -1
        constants = [self.graph.constant(f"{name}.weight", weight.transpose(layout))]
        return [*constants, left_out if bias is None else self.graph.constant(f"{name}.bias", bias)]

    def _act(self, step: Act, name: str) -> int:
        source = step.reads[0]
        if step.kind == "gate":
            self._factors[step.name] = 6
        if source in self._activated:
            return self._values[source]
        value = self._plain(source)
        if step.kind == "gate":
            return self._with_number(Op.ADD, value, name, 3, schema.AddOptionsT(fusedActivationFunction=_Fused.RELU6))
        return self.graph.add(_ACTIVATIONS[step.kind], [value], name, self.graph.shape(value))

    def _pool(self, op: int, step: MaxPool | MeanPool, name: str, value: int, kernel: int, padding: int) -> int:
        options = schema.Pool2DOptionsT(
            filterHeight=kernel, filterWidth=kernel, strideH=step.stride, strideW=step.stride, padding=padding
        )
        return self.graph.add(op, [value], name, self._shape(step), options)

    def _mean_pool(self, step: MeanPool, name: str) -> int:
        return self._pool(Op.AVERAGE_POOL_2D, step, name, self._proportional(step), step.stride, schema.Padding.SAME)

    def _global_mean(self, step: GlobalMean, name: str) -> int:
        value = self._proportional(step)
        axes = self.graph.constant(f"{name}.axes", np.array([1, 2]))
        return self.graph.add(Op.MEAN, [value, axes], name, self._shape(step), schema.ReducerOptionsT(keepDims=True))

    def _scale(self, step: Scale, name: str) -> int:
        self._factors[step.name] = math.prod(self._factors.get(name, 1) for name in step.reads)
        inputs = [self._values[name] for name in step.reads]
        return self.graph.add(Op.MUL, inputs, name, self._shape(step), schema.MulOptionsT())

    def _fused(self, op: int, inputs: list[int], step: Step, name: str, options: Any, activation: str) -> int:
        """An operator, and the activation in it where it can be."""
        options.fusedActivationFunction = _FUSED.get(activation, _Fused.NONE)
        if activation in _FUSED:
            self._activated.add(step.name)
        return self.graph.add(op, inputs, name, self._shape(step), options)

    def _plain(self, name: str) -> int:
        """A value as it should be, for an operator that cannot make up for a factor."""
        value = self._values[name]
        if (factor := self._factors.pop(name, 1)) != 1:
            value = self._with_number(Op.MUL, value, f"{self.name}.{name}.plain", 1 / factor, schema.MulOptionsT())
            self._values[name] = value
        return value

    def _proportional(self, step: Step) -> int:
        """What a step reads whose result is larger by the same factor."""
        if source := self._factors.get(step.reads[0]):
            self._factors[step.name] = source
        return self._values[step.reads[0]]

    def _with_number(self, op: int, value: int, name: str, number: float, options: object) -> int:
        constant = self.graph.constant(f"{name}.number", np.array([number], np.float32))
        return self.graph.add(op, [value, constant], name, self.graph.shape(value), options)

    def _shape(self, step: Step) -> tuple[int, ...]:
        batch = self.graph.shape(self._values[ENTRY])[0]
        return (batch, step.channels) if isinstance(step, Linear) else (batch, step.resolution, step.resolution, step.channels)
