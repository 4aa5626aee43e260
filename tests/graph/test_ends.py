"""Files that normalise pixels themselves, and that give probabilities: in every format and precision, in every runtime."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from edgenas.data import prepare
from edgenas.device import Execution, get_runtime, open_session
from edgenas.graph import Ends, get_format
from edgenas.quantisation import IMAGE, Quantisation, Range
from edgenas.space import BlockSpec
from tests.graph.reference import TINY, weights_and_image

BLOCKS = TINY.blocks(TINY.smallest)
WEIGHTS, _ = weights_and_image(BLOCKS, batch=1)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PIXELS = Ends((MEAN, STD))
SIZE = BLOCKS[0].resolution
IMAGES = np.random.default_rng(3).integers(0, 256, (4, SIZE, SIZE, 3), np.uint8)
NORMALISED = prepare.normalised(IMAGES, MEAN, STD)

RUNTIMES = ("onnxruntime", "openvino", "opencv", "litert", "ncnn")


def runner(runtime: str, precision: str, ends: Ends, quantisation: Quantisation | None = None) -> Callable:
    """A function from `(n, r, r, 3)` images to outputs. Skips the test where the runtime is not installed."""
    found = get_runtime(runtime)
    if found.python is None:
        pytest.skip(f"{runtime} is not installed: pip install {found.package}")
    form = found.model_format
    content = form.build(BLOCKS, WEIGHTS, precision, ends=ends, quantisation=quantisation)
    session = open_session(Execution(runtime, precision=precision), content)

    def run(images: np.ndarray) -> np.ndarray:
        images = prepare.in_layout(images, form.layout).astype(form.pixels if ends.normalisation else form.dtype)
        return np.concatenate([session.run(image[None]) for image in images])

    return run


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("runtime", ["onnxruntime", "litert"])
def test_pixels_give_what_the_normalised_image_gives(runtime: str, precision: str) -> None:
    """To the last bit, as the first operators compute what `prepare` does."""
    expected = runner(runtime, precision, Ends())(NORMALISED)
    found = runner(runtime, precision, PIXELS)(IMAGES)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_runtime_takes_pixels_and_gives_probabilities(runtime: str) -> None:
    scores = runner(runtime, "fp32", Ends())(NORMALISED).astype(float)
    powers = np.exp(scores - scores.max(1, keepdims=True))
    found = runner(runtime, "fp32", Ends((MEAN, STD), probabilities=True))(IMAGES)
    np.testing.assert_allclose(found, powers / powers.sum(1, keepdims=True), atol=2e-5)


@pytest.mark.parametrize("runtime", ["onnxruntime", "litert"])
@pytest.mark.parametrize(("per_tensor", "differing"), [(False, 0.01), (True, 0.25)])
def test_the_integers_of_pixels_are_those_of_the_normalised_image(runtime: str, per_tensor: bool, differing: float) -> None:
    """All 256 of every channel, but for those that are next to the middle of two steps: they may become the other one.

    One scale for three deviations is less exact.
    """
    block = BlockSpec("maxpool", 16, 3, 0, 3, kernel=2, stride=2, padding="valid")
    quantisation = Quantisation((block,), {IMAGE: Range(-2.1, 2.64)}, per_tensor, integer_ends=True)
    form = get_runtime(runtime).model_format
    content = form.build([block], [{}], "int8", quantisation=quantisation, ends=PIXELS)
    pixels = np.tile(np.arange(256, dtype=np.uint8).reshape(4, 8, 1, 8, 1, 1), (1, 1, 2, 1, 2, 3)).reshape(4, 16, 16, 3)
    session = open_session(Execution(runtime, precision="int8"), content)
    found = np.concatenate([session.run(image[None]) for image in prepare.in_layout(pixels, form.layout)])
    expected = quantisation.ranges[IMAGE].steps(prepare.normalised(pixels[:, ::2, ::2], MEAN, STD), form.integers)
    difference = found.astype(int) - prepare.in_layout(expected, form.layout)
    assert np.abs(difference).max() <= 1 and (difference != 0).mean() < differing


def test_int8_stays_in_one_piece_of_xnnpack_behind_the_first_operator() -> None:
    content = get_format("tflite").build(BLOCKS, WEIGHTS, "int8", ends=Ends((MEAN, STD), probabilities=True))
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    names = [op["op_name"] for op in interpreter._get_ops_details()]
    assert names.count("DELEGATE") == 1
    (taken,) = interpreter.get_input_details()
    assert (taken["dtype"], taken["quantization"]) == (np.uint8, (1.0, 0))
    model = schema.ModelT.InitFromPackedBuf(content)
    assert max(code.version for code in model.operatorCodes) <= 4


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_any_number_of_pixels_at_once(precision: str) -> None:
    form = get_format("onnx")
    content = form.build(BLOCKS, WEIGHTS, precision, batch=None, ends=Ends((MEAN, STD), probabilities=True))
    session = open_session(Execution("onnxruntime", precision=precision), content)
    images = prepare.in_layout(IMAGES, "NCHW")
    whole, one = session.run(images), session.run(images[2:3])
    np.testing.assert_allclose(whole[2:3], one, atol=1e-6)
    np.testing.assert_allclose(whole.sum(1), 1, atol=1e-5)
