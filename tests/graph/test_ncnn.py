from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgenas.device import Execution, get_runtime, open_session
from edgenas.graph import build_ncnn
from edgenas.graph.ncnn import split_ncnn
from edgenas.space import BlockSpec
from tests.graph.reference import CHAINS, FAMILIES_CHAINS, TINY, block_specs, reference, relative_error, weights_and_image

needs_ncnn = pytest.mark.skipif(get_runtime("ncnn").python is None, reason="ncnn is not installed: pip install ncnn")
GATED = BlockSpec("mbconv", 9, 4, 12, 4, 3, 1, "relu6", se=True, residual=True)


def run(model: bytes, image: np.ndarray) -> np.ndarray:
    return open_session(Execution("ncnn"), model).run(image)


def layers(model: bytes) -> list[list[str]]:
    """The words of every layer: its kind, its name, the numbers of its inputs and outputs, these, its parameters."""
    _, _, *lines = split_ncnn(model)[0].decode().splitlines()
    return [line.split() for line in lines]


@needs_ncnn
@given(spec=block_specs(), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=60)
def test_any_block_computes_what_torch_computes(spec: BlockSpec, seed: int) -> None:
    weights, image = weights_and_image([spec], 1, seed)
    assert relative_error(run(build_ncnn([spec], weights), image), reference([spec], weights, image)) < 1e-4


@needs_ncnn
@pytest.mark.parametrize("blocks", FAMILIES_CHAINS.values(), ids=FAMILIES_CHAINS)
def test_any_network_computes_what_torch_computes(blocks: tuple[BlockSpec, ...]) -> None:
    weights, image = weights_and_image(blocks, batch=1)
    assert relative_error(run(build_ncnn(blocks, weights), image), reference(blocks, weights, image)) < 1e-4


@needs_ncnn
def test_metadata_does_not_change_what_is_computed() -> None:
    blocks = TINY.blocks(TINY.smallest)
    weights, image = weights_and_image(blocks, batch=1)
    named = build_ncnn(blocks, weights, metadata={"classes": "cat, dog"})
    np.testing.assert_array_equal(run(named, image), run(build_ncnn(blocks, weights), image))


@needs_ncnn
def test_a_layer_that_a_deprecated_path_would_compute_is_none(capfd: pytest.CaptureFixture[str]) -> None:
    """ncnn says so on standard error where it meets a convolution of values without height and width."""
    weights, image = weights_and_image([GATED], batch=1)
    run(build_ncnn([GATED], weights), image)
    assert capfd.readouterr().err == ""


def test_a_network_is_made_of_the_fewest_layers() -> None:
    """Activations and the hard sigmoid are inside the layers before them; values that are read twice are split."""
    weights, _ = weights_and_image([GATED], batch=1)
    assert [words[0] for words in layers(build_ncnn([GATED], weights))] == [
        "Input", "Split", "Convolution", "ConvolutionDepthWise", "Split", "Pooling", "InnerProduct", "InnerProduct", "BinaryOp",
        "Convolution", "BinaryOp",
    ]  # fmt: skip


@pytest.mark.parametrize("blocks", CHAINS.values(), ids=CHAINS)
def test_every_value_is_written_before_it_is_read_and_read_once(blocks: tuple[BlockSpec, ...]) -> None:
    weights, _ = weights_and_image(blocks, batch=1)
    text, numbers = split_ncnn(build_ncnn(blocks, weights))
    written, read, kept = ["output"], [], 0
    for _, _, inputs, outputs, *words in layers(build_ncnn(blocks, weights)):
        assert set(words[: int(inputs)]) <= set(written)
        read += words[: int(inputs)]
        written += words[int(inputs) : int(inputs) + int(outputs)]
        kept += "Convolution" in words[0]
    assert sorted(read) == sorted(set(written) - {"output"})
    header = text.decode().splitlines()[:2]
    assert header == ["7767517", f"{len(layers(build_ncnn(blocks, weights)))} {len(written) - 1}"]
    values = sum(array.size for arrays in weights for array in arrays.values())
    tagged = sum(len([name for name in arrays if name.endswith("weight")]) for arrays in weights)
    assert len(numbers) == 4 * (values + tagged)


def test_the_interface_is_named_and_shaped_as_documented() -> None:
    blocks = TINY.blocks(TINY.smallest)
    weights, _ = weights_and_image(blocks, batch=1)
    first, *_, last = layers(build_ncnn(blocks, weights))
    assert first == ["Input", "image", "0", "1", "image", "0=20", "1=20", "2=3"]
    assert last[0] == "InnerProduct" and last[5] == "output"
