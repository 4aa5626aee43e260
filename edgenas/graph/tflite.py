"""BlockSpecs to TFLite, operator by operator: the flatbuffer is written directly, with no converter.

Tensors are NHWC. Every operator is at version 1, so that tflite-runtime 2.14 reads the files as well as LiteRT.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgenas.graph.weights import BlockWeights
from edgenas.space import BlockSpec

INPUT, OUTPUT = "image", "output"
SIGNATURE = "serving_default"
SCHEMA_VERSION, FILE_IDENTIFIER = 3, b"TFL3"
ALIGNMENT = 16  # of buffers, in bytes: `force_align` in the schema

_Op, _Fused = schema.BuiltinOperator, schema.ActivationFunctionType
_FUSED = {"relu": _Fused.RELU, "relu6": _Fused.RELU6}
_DTYPES = {"float32": schema.TensorType.FLOAT32, "int32": schema.TensorType.INT32}


def build_tflite(
    blocks: Sequence[BlockSpec],
    weights: Sequence[BlockWeights],
    *,
    batch: int = 1,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """A chain of blocks as a TFLite file, whole network or single block.

    blocks, weights: one of each per block, in order, the weights as `weight_shapes` names them, in torch's layouts.
    metadata: becomes Metadata entries, each a name and a buffer of UTF-8 text.

    The model maps `image`, float32 `(batch, resolution, resolution, channels)`, to `output`, float32 `(batch, classes)`
    for a network that ends in a head, `(batch, resolution, resolution, channels)` otherwise. Its signature is
    `serving_default`, with the same names.
    """
    graph = _Graph()
    first = blocks[0]
    image = value = graph.tensor(INPUT, (batch, first.resolution, first.resolution, first.in_channels))
    for index, (spec, arrays) in enumerate(zip(blocks, weights, strict=True)):
        value = _BLOCKS[spec.op](graph, f"block{index}", spec, arrays, value)
    return graph.model(image, value, metadata or {})


def build_empty_tflite() -> bytes:
    """The least that an interpreter can do; its time is the overhead that every measured block carries.

    One ReLU of one number rather than nothing at all: it enters the XNNPACK delegate, as every block does.
    """
    graph = _Graph()
    image = graph.tensor(INPUT, (1, 1, 1, 1))
    return graph.model(image, graph.add(_Op.RELU, [image], OUTPUT, (1, 1, 1, 1)), {})


def read_tflite_metadata(content: bytes) -> dict[str, str]:
    """What `build_tflite` was given as metadata."""
    model = schema.ModelT.InitFromPackedBuf(content)
    return {e.name.decode(): bytes(model.buffers[e.buffer].data).decode() for e in model.metadata or []}


class _Buffer(schema.BufferT):
    """Constant data, aligned as runtimes that map the file into memory need it; the generated code does not align."""

    def Pack(self, builder: flatbuffers.Builder) -> int:
        builder.Prep(ALIGNMENT, len(self.data))
        return super().Pack(builder)


class _Graph:
    """Tensors, buffers and operators in order of computation. A value is the index of its tensor."""

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
        self.buffers.append(_Buffer(data=np.frombuffer(data, np.uint8)))
        return len(self.buffers) - 1

    def constant(self, name: str, array: np.ndarray) -> int:
        """Integers as int32, everything else as float32."""
        dtype = "int32" if np.issubdtype(array.dtype, np.integer) else "float32"
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

    def conv(self, block: str, layer: str, weights: BlockWeights, value: int, *, stride: int = 1, activation: str = "",
             depthwise: bool = False, pads: tuple[int, int] | None = None) -> int:  # fmt: skip
        """A layer's convolution, then the activation. pads: before and after; None keeps the size at stride 1."""
        name, weight = f"{block}.{layer}", weights[f"{layer}.weight"]
        channels, _, _, kernel = weight.shape
        value, padding, out = self.padded(name, value, kernel, stride, pads)
        batch = self.shape(value)[0]
        layout = (1, 2, 3, 0) if depthwise else (0, 2, 3, 1)
        inputs = [
            value,
            self.constant(f"{name}.weight", weight.transpose(layout)),
            self.constant(f"{name}.bias", weights[f"{layer}.bias"]),
        ]
        op = _Op.DEPTHWISE_CONV_2D if depthwise else _Op.CONV_2D
        options = schema.DepthwiseConv2DOptionsT(depthMultiplier=1) if depthwise else schema.Conv2DOptionsT()
        options.padding = padding
        options.strideW = options.strideH = stride
        return self.activated(op, inputs, name, (batch, out, out, channels), options, activation)

    def max_pooled(self, name: str, value: int, *, kernel: int, stride: int, pads: tuple[int, int]) -> int:
        """The largest of k x k values."""
        value, padding, out = self.padded(name, value, kernel, stride, pads)
        return self._pooled(_Op.MAX_POOL_2D, name, value, kernel, stride, padding, out)

    def mean_pooled(self, name: str, value: int, *, stride: int) -> int:
        """The mean of squares of values; those that end outside have the fewer values."""
        out = (self.shape(value)[1] - 1) // stride + 1
        return self._pooled(_Op.AVERAGE_POOL_2D, name, value, stride, stride, schema.Padding.SAME, out)

    def _pooled(self, op: int, name: str, value: int, kernel: int, stride: int, padding: int, out: int) -> int:
        batch, _, _, channels = self.shape(value)
        options = schema.Pool2DOptionsT(
            filterHeight=kernel, filterWidth=kernel, strideH=stride, strideW=stride, padding=padding
        )
        return self.activated(op, [value], name, (batch, out, out, channels), options, "")

    def padded(self, name: str, value: int, kernel: int, stride: int, pads: tuple[int, int] | None) -> tuple[int, int, int]:
        """The value for a k x k window that moves, the format's word for what is still to be padded, and the output's size.

        The format's SAME puts the smaller half of what it needs before the image; anything else takes an operator of its own.
        """
        size = self.shape(value)[1]
        before, after = pads = (kernel // 2,) * 2 if pads is None else pads
        out = (size + before + after - kernel) // stride + 1
        if pads == (0, 0):
            return value, schema.Padding.VALID, out
        needed = (out - 1) * stride + kernel - size
        if out == (size - 1) // stride + 1 and max(needed, 0) // 2 == before:
            return value, schema.Padding.SAME, out
        return self.pad(name, value, pads), schema.Padding.VALID, out

    def linear(self, block: str, layer: str, weights: BlockWeights, value: int, *, activation: str = "") -> int:
        """A layer's matrix product: `(batch, 1, 1, in)` or `(batch, in)` to `(batch, out)`."""
        name, weight, bias = f"{block}.{layer}", weights[f"{layer}.weight"], weights.get(f"{layer}.bias")
        left_out = -1
        inputs = [
            value,
            self.constant(f"{name}.weight", weight),
            left_out if bias is None else self.constant(f"{name}.bias", bias),
        ]
        shape = (self.shape(value)[0], len(weight))
        return self.activated(_Op.FULLY_CONNECTED, inputs, name, shape, schema.FullyConnectedOptionsT(), activation)

    def activated(self, op: int, inputs: list[int], name: str, shape: Sequence[int], options: object, activation: str) -> int:
        """An operator and its activation, fused into it where the format can."""
        options.fusedActivationFunction = _FUSED.get(activation, _Fused.NONE)
        value = self.add(op, inputs, name, shape, options)
        return self.add(_Op.HARD_SWISH, [value], f"{name}.hswish", shape) if activation == "hswish" else value

    def pad(self, name: str, value: int, pads: tuple[int, int]) -> int:
        batch, height, width, channels = self.shape(value)
        paddings = self.constant(f"{name}.paddings", np.array([[0, 0], pads, pads, [0, 0]]))
        shape = (batch, height + sum(pads), width + sum(pads), channels)
        return self.add(_Op.PAD, [value, paddings], f"{name}.pad", shape, schema.PadOptionsT())

    def sum(self, name: str, first: int, second: int, *, activation: str = "") -> int:
        return self.activated(_Op.ADD, [first, second], name, self.shape(first), schema.AddOptionsT(), activation)

    def pool(self, name: str, value: int) -> int:
        """Global average: `(batch, 1, 1, channels)`."""
        batch, _, _, channels = self.shape(value)
        axes = self.constant(f"{name}.axes", np.array([1, 2]))
        return self.add(_Op.MEAN, [value, axes], name, (batch, 1, 1, channels), schema.ReducerOptionsT(keepDims=True))

    def model(self, image: int, output: int, metadata: Mapping[str, str]) -> bytes:
        self.tensors[output].name = OUTPUT
        model = schema.ModelT(
            version=SCHEMA_VERSION,
            description="edgenas",
            operatorCodes=[schema.OperatorCodeT(deprecatedBuiltinCode=op, builtinCode=op, version=1) for op in self.ops],
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


def _conv(graph: _Graph, name: str, spec: BlockSpec, weights: BlockWeights, value: int) -> int:
    entry = value
    value = graph.conv(name, "conv", weights, value, stride=spec.stride, activation=spec.activation, pads=spec.pads)
    return graph.sum(f"{name}.residual", value, entry) if spec.residual else value


def _maxpool(graph: _Graph, name: str, spec: BlockSpec, weights: BlockWeights, value: int) -> int:
    return graph.max_pooled(f"{name}.pool", value, kernel=spec.kernel, stride=spec.stride, pads=spec.pads)


def _mbconv(graph: _Graph, name: str, spec: BlockSpec, weights: BlockWeights, value: int) -> int:
    entry = value
    if spec.start:
        pads = None if spec.kernel else spec.pads
        value = graph.conv(name, "start", weights, value, stride=spec.start_stride, depthwise=True, pads=pads)
    if spec.expands:
        value = graph.conv(name, "expand", weights, value, activation=spec.activation)
    if spec.kernel:
        value = graph.conv(name, "depthwise", weights, value, stride=spec.stride, activation=spec.activation, depthwise=True,
                           pads=spec.pads)  # fmt: skip
    if spec.se:
        # TFLite has no hard sigmoid. It is relu6(x + 3) / 6: the 3 goes into the bias, the 1 / 6 into the projection.
        weights = weights | {
            "se.expand.bias": weights["se.expand.bias"] + 3,
            "project.weight": weights["project.weight"] / 6,
        }
        gate = graph.pool(f"{name}.se.pool", value)
        gate = graph.conv(name, "se.reduce", weights, gate, activation="relu")
        gate = graph.conv(name, "se.expand", weights, gate, activation="relu6")
        value = graph.add(_Op.MUL, [value, gate], f"{name}.se.scale", graph.shape(value), schema.MulOptionsT())
    value = graph.conv(name, "project", weights, value)
    return graph.sum(f"{name}.residual", value, entry) if spec.residual else value


def _fused(graph: _Graph, name: str, spec: BlockSpec, weights: BlockWeights, value: int) -> int:
    entry = value
    value = graph.conv(name, "expand", weights, value, stride=spec.stride, activation=spec.activation, pads=spec.pads)
    value = graph.conv(name, "project", weights, value)
    return graph.sum(f"{name}.residual", value, entry) if spec.residual else value


def _bottleneck(graph: _Graph, name: str, spec: BlockSpec, weights: BlockWeights, value: int) -> int:
    entry = value
    value = graph.conv(name, "reduce", weights, value, activation=spec.activation)
    value = graph.conv(name, "conv", weights, value, stride=spec.stride, activation=spec.activation, pads=spec.pads)
    value = graph.conv(name, "project", weights, value)
    if not spec.residual:
        if spec.stride > 1:
            entry = graph.mean_pooled(f"{name}.pool", entry, stride=spec.stride)
        entry = graph.conv(name, "shortcut", weights, entry)
    return graph.sum(f"{name}.residual", value, entry, activation=spec.activation)


def _head(graph: _Graph, name: str, spec: BlockSpec, weights: BlockWeights, value: int) -> int:
    if spec.resolution > 1:
        value = graph.pool(f"{name}.pool", value)
    if spec.mid_channels:
        value = graph.linear(name, "mix", weights, value, activation=spec.activation)
    return graph.linear(name, "classify", weights, value)


_BLOCKS = {"conv": _conv, "maxpool": _maxpool, "mbconv": _mbconv, "fused": _fused, "bottleneck": _bottleneck, "head": _head}
