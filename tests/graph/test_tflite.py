from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given, settings
from hypothesis import strategies as st

from edgenas.graph import BlockWeights, build_empty_tflite, build_tflite, tflite_output
from edgenas.space import Architecture, BlockSpec
from tests.graph.reference import CHAINS, TINY, block_specs, reference, relative_error, weights_and_image

OP_NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}


def run(model: bytes, image: np.ndarray) -> np.ndarray:
    """NCHW in, NCHW or `(batch, classes)` out, through the signature."""
    runner = Interpreter(model_content=model, num_threads=1).get_signature_runner("serving_default")
    output = runner(image=np.ascontiguousarray(image.transpose(0, 2, 3, 1)))["output"]
    return output.transpose(0, 3, 1, 2) if output.ndim == 4 else output


def ops(model: bytes) -> list[str]:
    parsed = schema.ModelT.InitFromPackedBuf(model)
    codes = [OP_NAMES[code.builtinCode] for code in parsed.operatorCodes]
    return [codes[operator.opcodeIndex] for operator in parsed.subgraphs[0].operators]


def network(architecture: Architecture) -> tuple[tuple[BlockSpec, ...], list[BlockWeights], np.ndarray]:
    blocks = TINY.blocks(architecture)
    return blocks, *weights_and_image(blocks, batch=1)


@given(spec=block_specs(), batch=st.integers(1, 2), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=100)
def test_any_block_computes_what_torch_computes(spec: BlockSpec, batch: int, seed: int) -> None:
    weights, image = weights_and_image([spec], batch, seed)
    found = run(build_tflite([spec], weights, batch=batch), image)
    assert relative_error(found, reference([spec], weights, image)) < 1e-4


@pytest.mark.parametrize("blocks", CHAINS.values(), ids=CHAINS)
def test_any_network_computes_what_torch_computes(blocks: tuple[BlockSpec, ...]) -> None:
    weights, image = weights_and_image(blocks, batch=1)
    assert relative_error(run(build_tflite(blocks, weights), image), reference(blocks, weights, image)) < 1e-4


@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("op", ["conv", "mbconv"])
def test_padding_costs_an_operator_only_at_stride_2_and_an_even_resolution(op: str, kernel: int) -> None:
    for resolution, stride, padded in ((8, 1, False), (9, 1, False), (9, 2, False), (8, 2, True)):
        spec = BlockSpec(op, resolution, 4, 8 if op == "mbconv" else 0, 4, kernel, stride)
        weights, _ = weights_and_image([spec], batch=1)
        assert ("PAD" in ops(build_tflite([spec], weights))) == padded


def test_a_network_is_made_of_the_fewest_operators() -> None:
    """No transposes, ReLUs inside their convolutions, and the hard sigmoid for free."""
    spec = BlockSpec("mbconv", 9, 4, 12, 4, 3, 1, "relu6", se=True, residual=True)
    weights, _ = weights_and_image([spec], batch=1)
    assert ops(build_tflite([spec], weights)) == [
        "CONV_2D", "DEPTHWISE_CONV_2D", "MEAN", "CONV_2D", "CONV_2D", "MUL", "CONV_2D", "ADD"
    ]  # fmt: skip
    blocks, weights, _ = network(TINY.largest)
    assert set(ops(build_tflite(blocks, weights))) == {
        "CONV_2D", "DEPTHWISE_CONV_2D", "HARD_SWISH", "MEAN", "MUL", "ADD", "FULLY_CONNECTED", "PAD"
    }  # fmt: skip


@pytest.mark.parametrize("name", ["largest", "mobilenetv4 largest", "resnet largest", "resnet with pooling"])
def test_xnnpack_runs_the_whole_network_in_one_piece(name: str) -> None:
    blocks = CHAINS[name]
    weights, _ = weights_and_image(blocks, batch=1)
    interpreter = Interpreter(model_content=build_tflite(blocks, weights), num_threads=1)
    interpreter.allocate_tensors()
    delegates = [op for op in interpreter._get_ops_details() if op["op_name"] == "DELEGATE"]
    image, output = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    assert len(delegates) == 1
    assert image in delegates[0]["inputs"]
    assert list(delegates[0]["outputs"]) == [output]


def test_metadata_can_be_read_back() -> None:
    blocks, weights, image = network(TINY.smallest)
    metadata = {"edgenas.id": "1a2b", "classes": "çà, là", "empty": ""}
    model = build_tflite(blocks, weights, metadata=metadata)
    parsed = schema.ModelT.InitFromPackedBuf(model)
    assert parsed.description == b"edgenas"
    found = {entry.name.decode(): bytes(parsed.buffers[entry.buffer].data).decode() for entry in parsed.metadata}
    assert found == metadata
    np.testing.assert_array_equal(run(model, image), run(build_tflite(blocks, weights), image))


def test_the_file_is_laid_out_as_the_format_asks() -> None:
    blocks, weights, _ = network(TINY.smallest)
    data = build_tflite(blocks, weights, metadata={"odd": "x" * 13})
    model = schema.Model.GetRootAs(data)
    assert schema.Model.ModelBufferHasIdentifier(data, 0)
    assert model.Buffers(0).DataIsNone()
    starts = []
    for i in range(1, model.BuffersLength()):
        table = model.Buffers(i)._tab
        starts.append(table.Vector(table.Offset(4)))
    assert len(starts) > 50
    assert all(start % 16 == 0 for start in starts)


def test_the_interface_is_named_and_shaped_as_documented() -> None:
    blocks, weights, _ = network(TINY.smallest)
    for count, classes in ((len(blocks), True), (3, False)):
        content = build_tflite(blocks[:count], weights[:count], batch=2)
        interpreter = Interpreter(model_content=content)
        (entry,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
        assert (entry["name"], list(entry["shape"]), entry["dtype"]) == ("image", [2, 20, 20, 3], np.float32)
        last = blocks[count - 1]
        shape = [2, 10] if classes else [2, last.out_resolution, last.out_resolution, last.out_channels]
        assert (result["name"], list(result["shape"]), result["dtype"]) == ("output", shape, np.float32)
        assert (list(tflite_output(content).shape), tflite_output(content).dtype) == (shape, np.float32)
        assert interpreter.get_signature_list() == {"serving_default": {"inputs": ["image"], "outputs": ["output"]}}


def test_the_same_weights_make_the_same_bytes() -> None:
    blocks, weights, _ = network(TINY.smallest)
    assert build_tflite(blocks, weights) == build_tflite(blocks, weights)


def test_the_empty_model_returns_its_input() -> None:
    image = np.full((1, 1, 1, 1), 2.5, np.float32)
    np.testing.assert_array_equal(run(build_empty_tflite(), image), image)


def test_blocks_and_weights_must_be_as_many() -> None:
    blocks, weights, _ = network(TINY.smallest)
    with pytest.raises(ValueError, match="shorter"):
        build_tflite(blocks, weights[:-1])
