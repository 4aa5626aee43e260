"""What MediaPipe Tasks, ML Kit and Android Studio read of a TFLite file: `TFLITE_METADATA`, and associated files.

The metadata is a flatbuffer of its own in one of the model's buffers. Associated files, such as the labels, are a zip archive
that follows the model, uncompressed. Tables and numbers of fields are those of
https://github.com/google-ai-edge/mediapipe/blob/master/mediapipe/tasks/metadata/metadata_schema.fbs
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from edgenas.graph.tflite import FILE_IDENTIFIER, INPUT, OUTPUT, STANDARD_METADATA, AlignedBuffer

LABELS = "labels.txt"
IDENTIFIER = b"M001"
PARSER_VERSION = "1.0.0"

_RGB = 1  # a ColorSpaceType
_IMAGE_PROPERTIES, _FEATURE_PROPERTIES = 2, 1  # of the union ContentProperties
_NORMALISATION = 1  # of the union ProcessUnitOptions
_TENSOR_AXIS_LABELS = 2  # an AssociatedFileType
_FIRST_DATE = (1980, 1, 1, 0, 0, 0)


def with_tflite_metadata(
    content: bytes, labels: Sequence[str], mean: Sequence[float], std: Sequence[float], name: str = ""
) -> bytes:
    """A TFLite file of an image classifier with its labels, and how pixels are normalised.

    labels: of the outputs, in order. mean, std: per channel, of pixels in 0..1. What the file was already, it stays.

    MediaPipe takes one mean and one deviation for all channels, and refuses a file of float32 that has several.
    """
    model = schema.ModelT.InitFromPackedBuf(content)
    buffers = [schema.BufferT() if buffer.data is None else AlignedBuffer(data=buffer.data) for buffer in model.buffers]
    described = _described(name, mean, std)
    model.buffers = [*buffers, AlignedBuffer(data=list(described))]
    model.metadata = [*(model.metadata or []), schema.MetadataT(name=STANDARD_METADATA, buffer=len(buffers))]
    builder = flatbuffers.Builder(len(content) + 4096)
    builder.Finish(model.Pack(builder), file_identifier=FILE_IDENTIFIER)
    whole = io.BytesIO(bytes(builder.Output()))
    with zipfile.ZipFile(whole, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(LABELS, _FIRST_DATE), "".join(f"{label}\n" for label in labels))
    return whole.getvalue()


def _described(name: str, mean: Sequence[float], std: Sequence[float]) -> bytes:
    """The content of the metadata's buffer."""
    tables = _Tables()
    numbers = ([255 * value for value in values] for values in (mean, std))
    normalisation = tables.table(*(tables.floats(values) for values in numbers))
    unit = tables.table(_Byte(_NORMALISATION), normalisation)
    image = tables.table(_Byte(_IMAGE_PROPERTIES), tables.table(_Byte(_RGB)))
    limits = ([(0 - m) / s for m, s in zip(mean, std, strict=True)], [(1 - m) / s for m, s in zip(mean, std, strict=True)])
    low, high = map(tables.floats, limits)
    entry = tables.table(tables.text(INPUT), None, None, image, tables.tables(unit), tables.table(high, low))
    file = tables.table(tables.text(LABELS), None, _Byte(_TENSOR_AXIS_LABELS))
    scores = tables.table(_Byte(_FEATURE_PROPERTIES), tables.table())
    result = tables.table(tables.text(OUTPUT), None, None, scores, None, None, tables.tables(file))
    graph = tables.table(None, None, tables.tables(entry), tables.tables(result))
    title, version = tables.text(name or "edgenas"), tables.text(PARSER_VERSION)
    return tables.finished(tables.table(title, None, None, tables.tables(graph), None, None, None, version))


class _Byte(int):
    """A field's value of its own; every other is where a table, vector or string lies."""


class _Tables:
    """Tables of a flatbuffer, the inner before the outer."""

    def __init__(self) -> None:
        self._builder = flatbuffers.Builder(1024)

    def table(self, *fields: _Byte | int | None) -> int:
        """With these fields in their order; None is one that is left out."""
        self._builder.StartObject(len(fields))
        for slot, value in enumerate(fields):
            if isinstance(value, _Byte):
                self._builder.PrependUint8Slot(slot, int(value), 0)
            elif value is not None:
                self._builder.PrependUOffsetTRelativeSlot(slot, value, 0)
        return int(self._builder.EndObject())

    def text(self, text: str) -> int:
        return int(self._builder.CreateString(text))

    def floats(self, values: Sequence[float]) -> int:
        return self._vector(values, self._builder.PrependFloat32)

    def tables(self, *tables: int) -> int:
        return self._vector(tables, self._builder.PrependUOffsetTRelative)

    def _vector(self, values: Sequence[float], prepend: Callable[[float], object]) -> int:
        self._builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            prepend(value)
        return int(self._builder.EndVector())

    def finished(self, table: int) -> bytes:
        self._builder.Finish(table, file_identifier=IDENTIFIER)
        return bytes(self._builder.Output())
