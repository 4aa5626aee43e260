from __future__ import annotations

import io
import zipfile

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from flatbuffers.table import Table

from edgenas.graph import Ends, build_tflite, get_format, with_tflite_metadata
from tests.graph.reference import TINY, reference, weights_and_image
from tests.graph.test_tflite import run

BLOCKS = TINY.blocks(TINY.smallest)
WEIGHTS, IMAGE = weights_and_image(BLOCKS, batch=1)
LABELS = [f"çat {i}" for i in range(10)]
MEAN, STD = (0.5, 0.25, 0.125), (0.5, 0.25, 1.0)


def described(mean=MEAN, std=STD) -> bytes:
    return with_tflite_metadata(build_tflite(BLOCKS, WEIGHTS, metadata={"own": "1"}), LABELS, mean, std, "1f0c53aa")


class Fields:
    """A table of a flatbuffer, field by field."""

    def __init__(self, table: Table):
        self._table = table

    def _at(self, slot: int) -> int:
        return self._table.Pos + self._table.Offset(4 + 2 * slot)

    def table(self, slot: int) -> Fields:
        return Fields(Table(self._table.Bytes, self._table.Indirect(self._at(slot))))

    def only(self, slot: int) -> Fields:
        """The one table of a vector."""
        offset = self._table.Offset(4 + 2 * slot)
        assert self._table.VectorLen(offset) == 1
        return Fields(Table(self._table.Bytes, self._table.Indirect(self._table.Vector(offset))))

    def text(self, slot: int) -> str:
        return self._table.String(self._at(slot)).decode()

    def byte(self, slot: int) -> int:
        return self._table.Get(flatbuffers.number_types.Uint8Flags, self._at(slot))

    def floats(self, slot: int) -> list[float]:
        vector = self._table.GetVectorAsNumpy(flatbuffers.number_types.Float32Flags, self._table.Offset(4 + 2 * slot))
        return vector.tolist()


def test_it_says_how_pixels_are_normalised_and_what_outputs_mean() -> None:
    """By the numbers of the fields in MediaPipe's metadata_schema.fbs."""
    model = schema.ModelT.InitFromPackedBuf(described())
    (entry,) = [entry for entry in model.metadata if entry.name == b"TFLITE_METADATA"]
    data = bytes(model.buffers[entry.buffer].data)
    assert data[4:8] == b"M001"
    about = Fields(Table(data, int.from_bytes(data[:4], "little")))
    assert (about.text(0), about.text(7)) == ("1f0c53aa", "1.0.0")
    graph = about.only(3)
    image, scores = graph.only(2), graph.only(3)
    assert (image.text(0), scores.text(0)) == ("image", "output")
    content, unit = image.table(3), image.only(4)
    assert (content.byte(0), content.table(1).byte(0)) == (2, 1)  # an image, in RGB
    assert unit.byte(0) == 1
    assert (unit.table(1).floats(0), unit.table(1).floats(1)) == ([127.5, 63.75, 31.875], [127.5, 63.75, 255.0])
    assert (image.table(5).floats(0), image.table(5).floats(1)) == ([1.0, 3.0, 0.875], [-1.0, -1.0, -0.125])  # most, least
    file = scores.only(6)
    assert (file.text(0), file.byte(2)) == ("labels.txt", 2)


def test_the_labels_are_in_an_archive_behind_the_model() -> None:
    with zipfile.ZipFile(io.BytesIO(described())) as archive:
        (entry,) = archive.infolist()
        assert (entry.filename, entry.compress_type) == ("labels.txt", zipfile.ZIP_STORED)
        assert archive.read(entry).decode().splitlines() == LABELS


def test_the_model_stays_what_it_was() -> None:
    plain, found = build_tflite(BLOCKS, WEIGHTS), described()
    np.testing.assert_array_equal(run(found, IMAGE), run(plain, IMAGE))
    assert get_format("tflite").metadata(found) == {"own": "1"}
    assert found == described()
    model = schema.Model.GetRootAs(found)
    tables = [model.Buffers(i)._tab for i in range(1, model.BuffersLength())]
    assert all(table.Vector(table.Offset(4)) % 16 == 0 for table in tables)


def test_mediapipe_classifies_with_it() -> None:
    mediapipe = pytest.importorskip("mediapipe", reason="MediaPipe is not installed: pip install mediapipe")
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.ImageClassifierOptions(base_options=BaseOptions(model_asset_buffer=described((0.5,) * 3, (0.5,) * 3)))
    size = BLOCKS[0].resolution
    pixels = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    with vision.ImageClassifier.create_from_options(options) as classifier:
        found = classifier.classify(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels))
    values = ((pixels / 255 - 0.5) / 0.5).transpose(2, 0, 1)[None].astype(np.float32)
    (expected,) = reference(BLOCKS, WEIGHTS, values)
    assert {c.category_name: c.score for c in found.classifications[0].categories} == pytest.approx(
        dict(zip(LABELS, expected, strict=True)), abs=1e-3
    )


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_mediapipe_takes_pixels_whatever_the_deviations_are(precision: str) -> None:
    """It refuses a file of float32 whose channels have several; here they are in the graph."""
    mediapipe = pytest.importorskip("mediapipe", reason="MediaPipe is not installed: pip install mediapipe")
    from mediapipe.tasks.python import BaseOptions, vision

    plain = get_format("tflite").build(BLOCKS, WEIGHTS, precision, ends=Ends((MEAN, STD), probabilities=True))
    content = with_tflite_metadata(plain, LABELS, (0.0,), (1 / 255,), "1f0c53aa")
    options = vision.ImageClassifierOptions(base_options=BaseOptions(model_asset_buffer=content))
    size = BLOCKS[0].resolution
    pixels = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    with vision.ImageClassifier.create_from_options(options) as classifier:
        found = classifier.classify(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels))
    (expected,) = run(plain, pixels[None].transpose(0, 3, 1, 2))
    assert {c.category_name: c.score for c in found.classifications[0].categories} == pytest.approx(
        dict(zip(LABELS, expected, strict=True)), abs=1e-6
    )
