"""What every model format must do; a format of one's own passes the same tests."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.device import Execution, get_runtime, open_session
from edgenas.device.device_timer import Session
from edgenas.errors import UsageError
from edgenas.graph import FORMATS, get_format, random_weights, register_format
from tests.graph.reference import TINY

BLOCKS = TINY.blocks(TINY.smallest)
WEIGHTS = [random_weights(spec, np.random.default_rng(0)) for spec in BLOCKS]
CASES = [(name, precision) for name, form in FORMATS.items() for precision in form.precisions]
RUNTIMES = {"onnx": "onnxruntime", "tflite": "litert", "ncnn": "ncnn"}


def session_of(name: str, content: bytes) -> Session:
    """Skips the test where the format's runtime is not installed."""
    runtime = get_runtime(RUNTIMES[name])
    if runtime.python is None:
        pytest.skip(f"{name} files are not opened: pip install {runtime.package}")
    return open_session(Execution(runtime.name), content)


@pytest.mark.parametrize(("name", "precision"), CASES)
def test_a_network_runs_in_its_layout_and_type(name: str, precision: str) -> None:
    form, resolution = get_format(name), BLOCKS[0].resolution
    batch = 2 if form.batches else 1
    content = form.build(BLOCKS, WEIGHTS, precision, batch=batch)
    assert content == form.build(BLOCKS, WEIGHTS, precision, batch=batch)
    sizes = {"N": batch, "C": 3, "H": resolution, "W": resolution}
    images = np.random.default_rng(1).standard_normal([sizes[letter] for letter in form.layout]).astype(form.dtype)
    outputs = session_of(name, content).run(images)
    assert outputs.shape == (batch, 10)
    assert np.isfinite(outputs).all()


@pytest.mark.parametrize(("name", "precision"), CASES)
def test_metadata_reads_back(name: str, precision: str) -> None:
    metadata = {"classes": "çà, là", "provenance": "{}"}
    form = get_format(name)
    assert form.metadata(form.build(BLOCKS, WEIGHTS, precision, metadata=metadata)) == metadata
    assert form.metadata(form.build(BLOCKS, WEIGHTS, precision)) == {}


@pytest.mark.parametrize("name", FORMATS)
def test_the_empty_model_gives_back_one_value(name: str) -> None:
    session = session_of(name, get_format(name).empty())
    image = np.full((1, 1, 1, 1), 2.5, np.float32)
    np.testing.assert_array_equal(session.run(image), image)


@pytest.mark.parametrize("name", FORMATS)
def test_what_it_cannot_write_it_refuses(name: str) -> None:
    form = get_format(name)
    assert (form.precisions[0], {suffix[0] for suffix in form.suffixes}) == ("fp32", {"."})
    with pytest.raises(UsageError, match=r"cannot be written in int3: choose fp32"):
        form.build(BLOCKS, WEIGHTS, "int3")
    if form.dynamic_batch:
        assert form.build(BLOCKS, WEIGHTS, batch=None)
    else:
        with pytest.raises(UsageError, match="fixed number"):
            form.build(BLOCKS, WEIGHTS, batch=None)
    if not form.batches:
        with pytest.raises(UsageError, match="which is 1"):
            form.build(BLOCKS, WEIGHTS, batch=2)


@pytest.mark.parametrize("name", FORMATS)
def test_its_files_make_its_content_again(name: str) -> None:
    form = get_format(name)
    content = form.build(BLOCKS, WEIGHTS, metadata={"classes": "çà\0là"})
    parts = form.split(content)
    assert len(parts) == len(form.suffixes) and all(parts)
    assert form.join(*parts) == content


def test_names_are_unique_and_known() -> None:
    with pytest.raises(ValueError, match="already"):
        register_format(get_format("onnx"))
    with pytest.raises(UsageError, match="Did you mean 'onnx'"):
        get_format("onx")
