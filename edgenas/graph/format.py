"""`ModelFormat`: a kind of model file that runtimes open. `FORMATS` has all of them, by name; a new one is registered here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import onnx

from edgenas.errors import UsageError
from edgenas.graph.ends import PLAIN, Ends
from edgenas.graph.ncnn import build_empty_ncnn, build_ncnn, join_ncnn, read_ncnn_metadata, split_ncnn
from edgenas.graph.onnx import build_empty_onnx, build_onnx
from edgenas.graph.qdq import build_int8_onnx
from edgenas.graph.tflite import build_empty_tflite, build_tflite, read_tflite_metadata
from edgenas.graph.tflite_int8 import build_int8_tflite
from edgenas.graph.weights import BlockWeights
from edgenas.quantisation import Quantisation
from edgenas.space import BlockSpec
from edgenas.values import unknown


class ModelFormat(Protocol):
    """How a chain of blocks becomes the bytes of a file, or of several that belong together.

    name: by which runtimes and commands ask for it. suffixes: of its files, with the dot.
    precisions: those that it can be written in, `fp32` first.
    layout: of an image at its input, `NCHW` or `NHWC`. dtype: of the image's values, as numpy names it.
    pixels: the same of an image that is not normalised, where a file takes one: see `Ends`.
    batches: whether a file can take several images at once. dynamic_batch: and any number.
    integers: the type of 8-bit values in int8 files.
    """

    name: str
    suffixes: tuple[str, ...]
    precisions: tuple[str, ...]
    layout: str
    dtype: str
    pixels: str
    batches: bool
    dynamic_batch: bool
    integers: str

    def build(
        self, blocks: Sequence[BlockSpec], weights: Sequence[BlockWeights], precision: str = "fp32", *,
        batch: int | None = 1, metadata: Mapping[str, str] | None = None, quantisation: Quantisation | None = None,
        ends: Ends = PLAIN,
    ) -> bytes:  # fmt: skip
        """A whole network or a single block; the same arguments give the same bytes.

        weights: one of each per block, as `weight_shapes` names them. batch: images at once; None is any number.
        quantisation: of these blocks, for a file in int8; without one its speed alone is of interest.
        ends: of a whole network.
        Raises UsageError for a precision or a batch that the format cannot be written in.
        """
        ...

    def empty(self) -> bytes:
        """The least that a session can do, on one value: its time is the overhead that every measured block carries."""
        ...

    def metadata(self, content: bytes) -> dict[str, str]:
        """What `build` was given as metadata."""
        ...

    def split(self, content: bytes) -> tuple[bytes, ...]:
        """What `build` gave as the content of each file, one per suffix."""
        ...

    def join(self, *parts: bytes) -> bytes:
        """The reverse of `split`."""
        ...


class _OneFile:
    """What formats have in common whose content is that of a single file."""

    def split(self, content: bytes) -> tuple[bytes, ...]:
        return (content,)

    def join(self, *parts: bytes) -> bytes:
        (content,) = parts
        return content


class Onnx(_OneFile):
    name, layout, dtype, batches, dynamic_batch, integers = "onnx", "NCHW", "float32", True, True, "uint8"
    pixels: str = "uint8"
    suffixes: tuple[str, ...] = (".onnx",)
    precisions: tuple[str, ...] = ("fp32", "fp16", "int8")

    def build(
        self, blocks: Sequence[BlockSpec], weights: Sequence[BlockWeights], precision: str = "fp32", *,
        batch: int | None = 1, metadata: Mapping[str, str] | None = None, quantisation: Quantisation | None = None,
        ends: Ends = PLAIN,
    ) -> bytes:  # fmt: skip
        check_support(self, precision, batch)
        images = "batch" if batch is None else batch
        if precision == "int8":
            model = build_int8_onnx(blocks, weights, batch=images, metadata=metadata, quantisation=quantisation, ends=ends)
        else:
            model = build_onnx(blocks, weights, batch=images, metadata=metadata, half=precision == "fp16", ends=ends)
        return model.SerializeToString()

    def empty(self) -> bytes:
        return build_empty_onnx().SerializeToString()

    def metadata(self, content: bytes) -> dict[str, str]:
        return {entry.key: entry.value for entry in onnx.load_from_string(content).metadata_props}


class TfLite(_OneFile):
    name, layout, dtype, batches, dynamic_batch, integers = "tflite", "NHWC", "float32", True, False, "int8"
    pixels: str = "uint8"
    suffixes: tuple[str, ...] = (".tflite",)
    precisions: tuple[str, ...] = ("fp32", "fp16", "int8")

    def build(
        self, blocks: Sequence[BlockSpec], weights: Sequence[BlockWeights], precision: str = "fp32", *,
        batch: int | None = 1, metadata: Mapping[str, str] | None = None, quantisation: Quantisation | None = None,
        ends: Ends = PLAIN,
    ) -> bytes:  # fmt: skip
        check_support(self, precision, batch)
        if precision == "int8":
            return build_int8_tflite(blocks, weights, batch=batch or 1, metadata=metadata, quantisation=quantisation, ends=ends)
        return build_tflite(blocks, weights, batch=batch or 1, metadata=metadata, half=precision == "fp16", ends=ends)

    def empty(self) -> bytes:
        return build_empty_tflite()

    def metadata(self, content: bytes) -> dict[str, str]:
        return read_tflite_metadata(content)


class Ncnn:
    name, layout, dtype, batches, dynamic_batch, integers = "ncnn", "NCHW", "float32", False, False, "int8"
    pixels: str = "float32"
    suffixes: tuple[str, ...] = (".ncnn.param", ".ncnn.bin")
    precisions: tuple[str, ...] = ("fp32",)

    def build(
        self, blocks: Sequence[BlockSpec], weights: Sequence[BlockWeights], precision: str = "fp32", *,
        batch: int | None = 1, metadata: Mapping[str, str] | None = None, quantisation: Quantisation | None = None,
        ends: Ends = PLAIN,
    ) -> bytes:  # fmt: skip
        check_support(self, precision, batch)
        return build_ncnn(blocks, weights, metadata=metadata, ends=ends)

    def empty(self) -> bytes:
        return build_empty_ncnn()

    def metadata(self, content: bytes) -> dict[str, str]:
        return read_ncnn_metadata(content)

    def split(self, content: bytes) -> tuple[bytes, ...]:
        return split_ncnn(content)

    def join(self, *parts: bytes) -> bytes:
        return join_ncnn(*parts)


FORMATS: dict[str, ModelFormat] = {}
"""All formats, by name."""


def register_format(form: ModelFormat) -> ModelFormat:
    """Make a format known to `FORMATS`. Raises ValueError where its name is taken."""
    if form.name in FORMATS:
        raise ValueError(f"there is a format {form.name!r} already")
    FORMATS[form.name] = form
    return form


def get_format(name: str) -> ModelFormat:
    """Raises UsageError for an unknown name, with the nearest."""
    if name not in FORMATS:
        raise UsageError(unknown("format", name, FORMATS))
    return FORMATS[name]


def check_support(form: ModelFormat, precision: str, batch: int | None = 1) -> None:
    """Raises UsageError for what a format cannot be written in."""
    if precision not in form.precisions:
        raise UsageError(f"A {form.name} file cannot be written in {precision}: choose {' or '.join(form.precisions)}.")
    if batch != 1 and not form.batches:
        raise UsageError(f"A {form.name} file takes a fixed number of images at once, which is 1: leave `batch` at that.")
    if batch is None and not form.dynamic_batch:
        raise UsageError(f"A {form.name} file takes a fixed number of images at once: give a batch.")


register_format(Onnx())
register_format(TfLite())
register_format(Ncnn())
