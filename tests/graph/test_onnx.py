from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgenas.device import Execution, get_runtime, open_session
from edgenas.graph import build_empty_onnx, build_ncnn, build_onnx
from edgenas.space import OPERATORS, BlockSpec, Operator, Program, register_operator
from tests.graph.reference import CHAINS, FAMILIES_CHAINS, TINY, block_specs, reference, relative_error, weights_and_image


def run(model: onnx.ModelProto, image: np.ndarray) -> np.ndarray:
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(["output"], {"image": image})[0]


@given(spec=block_specs(), batch=st.integers(1, 2), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=100)
def test_any_block_computes_what_torch_computes(spec: BlockSpec, batch: int, seed: int) -> None:
    weights, image = weights_and_image([spec], batch, seed)
    found = run(build_onnx([spec], weights, batch=batch), image)
    assert relative_error(found, reference([spec], weights, image)) < 1e-4


@pytest.mark.parametrize("blocks", CHAINS.values(), ids=CHAINS)
def test_any_network_computes_what_torch_computes(blocks: tuple[BlockSpec, ...]) -> None:
    weights, image = weights_and_image(blocks, batch=1)
    assert relative_error(run(build_onnx(blocks, weights), image), reference(blocks, weights, image)) < 1e-4


@pytest.mark.parametrize("name", ["opencv", "openvino"])
@pytest.mark.parametrize("blocks", FAMILIES_CHAINS.values(), ids=FAMILIES_CHAINS)
def test_any_network_computes_the_same_elsewhere(blocks: tuple[BlockSpec, ...], name: str) -> None:
    if get_runtime(name).python is None:
        pytest.skip(f"{name} is not installed: pip install {get_runtime(name).package}")
    weights, image = weights_and_image(blocks, batch=1)
    session = open_session(Execution(name), build_onnx(blocks, weights).SerializeToString())
    assert relative_error(session.run(image), reference(blocks, weights, image)) < 1e-4


def test_gates_are_clips_within_the_layers_before_them() -> None:
    """OpenCV 5.0 computes Mul(x, HardSigmoid(y)) wrongly, and a node of its own takes time."""
    spec = BlockSpec("mbconv", 9, 4, 12, 4, 3, 1, "relu6", se=True)
    weights, image = weights_and_image([spec], batch=1)
    model = build_onnx([spec], weights)
    assert [node.op_type for node in model.graph.node] == [
        "Conv", "Clip", "Conv", "Clip", "GlobalAveragePool", "Conv", "Relu", "Conv", "Clip", "Mul", "Conv"
    ]  # fmt: skip
    assert relative_error(run(model, image), reference([spec], weights, image)) < 1e-5


def test_a_gate_of_what_no_layer_gives_is_written_out() -> None:
    """As an operator of one's own may have it: the mean of what it scales."""

    def gated(p: Program, spec: BlockSpec) -> None:
        p.global_mean("mean")
        p.scale("scale", "input", p.act("gate"))

    register_operator(Operator("gated", gated, "nowhere:Module", keeps_channels=True))
    try:
        spec = BlockSpec("gated", 6, 4, 0, 4)
        image = np.random.default_rng(0).uniform(-6, 6, (1, 4, 6, 6)).astype(np.float32)
        image += np.array([-9, -1, 1, 9], np.float32).reshape(1, 4, 1, 1)
        expected = image * np.clip(image.mean((2, 3), keepdims=True) / 6 + 0.5, 0, 1)
        for name, content in {
            "onnxruntime": build_onnx([spec], [{}]).SerializeToString(),
            "ncnn": build_ncnn([spec], [{}]),
        }.items():
            if get_runtime(name).python is not None:
                np.testing.assert_allclose(open_session(Execution(name), content).run(image), expected, atol=1e-5)
    finally:
        del OPERATORS["gated"]


def test_a_named_batch_takes_any_number_of_images() -> None:
    blocks = TINY.blocks(TINY.smallest)
    weights, images = weights_and_image(blocks, batch=5)
    model = build_onnx(blocks, weights, batch="batch")
    expected = reference(blocks, weights, images)
    for count in (1, 5):
        assert relative_error(run(model, images[:count]), expected[:count]) < 1e-4


def test_a_head_of_one_value_pools_nothing() -> None:
    for resolution, pools in ((1, 0), (2, 1)):
        spec = BlockSpec("head", resolution, 8, 0, 10)
        weights, _ = weights_and_image([spec], batch=1)
        assert [node.op_type for node in build_onnx([spec], weights).graph.node].count("GlobalAveragePool") == pools


def test_metadata_can_be_read_back() -> None:
    spec = BlockSpec("conv", 4, 3, 0, 8, 3)
    weights, _ = weights_and_image([spec], batch=1)
    model = build_onnx([spec], weights, metadata={"edgenas.id": "1a2b", "classes": "çà, là"})
    model = onnx.load_from_string(model.SerializeToString())
    assert {entry.key: entry.value for entry in model.metadata_props} == {"edgenas.id": "1a2b", "classes": "çà, là"}


def test_the_empty_model_returns_its_input() -> None:
    image = np.full((1, 1, 1, 1), 2.5, np.float32)
    np.testing.assert_array_equal(run(build_empty_onnx(), image), image)


def test_blocks_and_weights_must_be_as_many() -> None:
    blocks = TINY.blocks(TINY.smallest)
    weights, _ = weights_and_image(blocks, batch=1)
    with pytest.raises(ValueError, match="shorter"):
        build_onnx(blocks, weights[:-1])
