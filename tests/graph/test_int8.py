"""int8 files compute what the simulation computes: integer for integer in ONNX Runtime and LiteRT."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from edgenas.device import Execution, open_session, python_target, tflite_runtime_python
from edgenas.graph import build_int8_onnx, build_int8_tflite, get_format
from edgenas.quantisation import Quantisation
from edgenas.space import BlockSpec
from tests.graph.reference import CHAINS
from tests.quantisation.networks import BLOCKS, Case, random_weights_of

RUNTIMES = {"onnxruntime": "onnx", "litert": "tflite"}


def file_of(case: Case, kind: str, quantisation: Quantisation | None = None) -> bytes:
    return get_format(kind).build(case.blocks, case.weights, "int8", quantisation=quantisation or case.quantisation)


def outputs_of(case: Case, runtime: str, content: bytes, kind: str) -> np.ndarray:
    """NCHW or `(n, classes)`, as numbers, through a file whose ends may be integers."""
    form = get_format(kind)
    is_image = case.blocks[0].in_channels == 3 and not case.quantisation.integer_ends
    images = case.images if is_image else case.input.steps(case.images, form.integers)
    images = images if kind == "onnx" else np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    if runtime == "tflite-runtime":
        outputs = python_target(tflite_runtime_python()).run(content, images, Execution(runtime))
    else:
        session = open_session(Execution(runtime), content)
        outputs = np.concatenate([session.run(image[None]) for image in images])
    outputs = outputs.transpose(0, 3, 1, 2) if kind == "tflite" and outputs.ndim == 4 else outputs
    return outputs if outputs.dtype.kind == "f" else case.output.values(outputs)


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_block_is_its_simulation(name: str, runtime: str) -> None:
    case, kind = Case([BLOCKS[name]]), RUNTIMES[runtime]
    found = outputs_of(case, runtime, file_of(case, kind), kind)
    assert case.noise < 1.5
    differing = np.abs(found - case.simulated) > 0.5 * case.output.scale
    # TFLite writes the mean of an odd size's end as a multiple of the sum, and so rounds twice.
    assert differing.mean() < (0.15 if (name, runtime) == ("odd bottleneck", "litert") else 1e-3)
    assert case.steps(found - case.simulated) < (0.6 if differing.mean() > 1e-3 else 0.05)


def test_a_block_is_close_to_its_simulation_in_tflite_runtime() -> None:
    """Its kernels, of integers throughout, round otherwise."""
    if tflite_runtime_python() is None:
        pytest.skip("tflite-runtime is not installed")
    for name, spec in BLOCKS.items():
        case = Case([spec])
        found = outputs_of(case, "tflite-runtime", file_of(case, "tflite"), "tflite")
        assert case.steps(found - case.simulated) < 1, name


@pytest.mark.parametrize("name", CHAINS)
def test_xnnpack_runs_the_whole_network_in_one_piece(name: str) -> None:
    blocks = CHAINS[name]
    content = get_format("tflite").build(blocks, random_weights_of(blocks), "int8")
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    (delegate,) = [op for op in interpreter._get_ops_details() if op["op_name"] == "DELEGATE"]
    assert interpreter.get_input_details()[0]["index"] in delegate["inputs"]
    assert list(delegate["outputs"]) == [interpreter.get_output_details()[0]["index"]]


@pytest.mark.parametrize("name", ["largest", "mobilenetv4 largest", "efficientnet-lite largest", "resnet smallest"])
def test_a_network_is_its_simulation(name: str) -> None:
    case = Case(CHAINS[name], 16)
    for runtime, kind in RUNTIMES.items():
        found = outputs_of(case, runtime, file_of(case, kind), kind)
        assert case.steps(found - case.simulated) <= max(1.0, 0.5 * case.noise), runtime


def test_one_scale_for_a_weight_where_it_is_asked_for() -> None:
    case = Case([BLOCKS["residual"], BlockSpec("head", 8, 8, 0, 5)], per_tensor=True)
    for runtime, kind in RUNTIMES.items():
        content = file_of(case, kind)
        np.testing.assert_allclose(outputs_of(case, runtime, content, kind), case.simulated, atol=1.01 * case.output.scale)
    parsed = schema.ModelT.InitFromPackedBuf(file_of(case, "tflite")).subgraphs[0].tensors
    assert {len(tensor.quantization.scale) for tensor in parsed if tensor.name.endswith(b".weight")} == {1}
    weights = file_of(case, "onnx")
    assert weights == file_of(case, "onnx", replace(case.quantisation, per_tensor=True))
    assert weights != file_of(case, "onnx", replace(case.quantisation, per_tensor=False))


def test_ends_are_integers_where_that_is_asked_for() -> None:
    case = Case([BLOCKS["conv relu6"], BlockSpec("head", 12, 8, 0, 5)], integer_ends=True)
    for runtime, kind in RUNTIMES.items():
        content = file_of(case, kind)
        found = outputs_of(case, runtime, content, kind)
        np.testing.assert_allclose(found, case.simulated, atol=0.1 * case.output.scale)
    parsed = schema.ModelT.InitFromPackedBuf(file_of(case, "tflite"))
    codes = {code.builtinCode for code in parsed.operatorCodes}
    assert not codes & {schema.BuiltinOperator.QUANTIZE, schema.BuiltinOperator.DEQUANTIZE}


def test_every_convolution_runs_on_integers_in_onnx_runtime(tmp_path: Path) -> None:
    chain = [
        BLOCKS["conv relu"],
        BlockSpec("mbconv", 6, 8, 24, 8, kernel=5, activation="hswish", se=True, residual=True),
        BlockSpec("head", 6, 8, 24, 5, activation="hswish"),
    ]
    case, options = Case(chain), ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    model = build_int8_onnx(chain, case.weights, quantisation=case.quantisation)
    onnx.checker.check_model(model, full_check=True)
    ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    count = Counter(node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node)
    assert (count["QLinearConv"], count["QGemm"]) == (6, 2)
    # Two gates of h-swish in the block and one in the head; each, and the squeeze, multiplies.
    assert (count["QLinearAdd"], count["QLinearMul"]) == (1 + 3, 3 + 1)
    assert not {"Conv", "Gemm", "Relu", "Clip", "HardSwish", "HardSigmoid", "Add", "Mul"} & set(count)


def test_operators_are_of_versions_that_old_runtimes_know() -> None:
    parsed = schema.ModelT.InitFromPackedBuf(file_of(Case(list(CHAINS["largest"]), 2), "tflite"))
    assert max(code.version for code in parsed.operatorCodes) <= 4


def test_values_have_their_stable_names() -> None:
    case = Case([BLOCKS["residual"], BlockSpec("head", 8, 8, 0, 5)])
    names = {tensor.name.decode() for tensor in schema.ModelT.InitFromPackedBuf(file_of(case, "tflite")).subgraphs[0].tensors}
    assert {"block0.depthwise", "block0.residual", "block1.classify.weight"} <= names
    onnx_names = {node.name for node in build_int8_onnx(case.blocks, case.weights).graph.node}
    assert {"block0.depthwise", "block0.residual", "block1.classify.weight"} <= onnx_names


def test_speed_alone_needs_no_calibration() -> None:
    case = Case([BLOCKS["squeeze"]])
    for kind in ("onnx", "tflite"):
        assert get_format(kind).build(case.blocks, case.weights, "int8") != file_of(case, kind)
    assert build_int8_tflite(case.blocks, case.weights) == build_int8_tflite(case.blocks, case.weights)
