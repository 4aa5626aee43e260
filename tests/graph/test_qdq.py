"""int8 graphs: integer kernels that compute what the float graph computes, to within their steps."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from edgenas.device import open_session
from edgenas.graph import build_int8_onnx, build_onnx, random_weights
from edgenas.graph.qdq import ACTIVATION_SCALE, ANY, NOT_NEGATIVE, ZERO_POINTS
from edgenas.space import BlockSpec
from tests.conftest import ORT

BLOCKS = {
    "conv relu": BlockSpec("conv", 12, 3, 0, 8, kernel=3, stride=2, activation="relu"),
    "conv hswish": BlockSpec("conv", 12, 8, 0, 16, kernel=3, activation="hswish"),
    "residual": BlockSpec("mbconv", 8, 8, 24, 8, kernel=5, activation="relu", residual=True),
    "squeeze": BlockSpec("mbconv", 8, 8, 24, 16, kernel=3, stride=2, activation="hswish", se=True),
    "extra depthwise": BlockSpec("mbconv", 8, 8, 24, 16, kernel=3, stride=2, start=5),
    "feed-forward": BlockSpec("mbconv", 8, 8, 24, 8, kernel=0, residual=True),
    "fused": BlockSpec("fused", 8, 8, 24, 8, kernel=3, residual=True),
    "bottleneck": BlockSpec("bottleneck", 9, 8, 8, 16, kernel=3, stride=2),
    "residual bottleneck": BlockSpec("bottleneck", 8, 16, 8, 16, kernel=3, residual=True),
    "maxpool": BlockSpec("maxpool", 8, 8, 0, 8, kernel=3, stride=2),
    "head": BlockSpec("head", 4, 16, 24, 5, activation="hswish"),
}


def _output(model: onnx.ModelProto, array: np.ndarray) -> np.ndarray:
    return open_session(ORT, model.SerializeToString()).run(array)


@pytest.mark.parametrize("spec", BLOCKS.values(), ids=BLOCKS)
def test_it_computes_what_the_float_graph_computes(spec: BlockSpec) -> None:
    rng = np.random.default_rng(0)
    weights = [random_weights(spec, rng)]
    steps = rng.integers(100, 156, (1, spec.in_channels, spec.resolution, spec.resolution)).astype(np.uint8)
    values = (steps.astype(np.float32) - ZERO_POINTS[ANY]) * ACTIVATION_SCALE
    expected = _output(build_onnx([spec], weights), values)
    int8 = build_int8_onnx([spec], weights)
    onnx.checker.check_model(int8)
    found = _output(int8, values if spec.in_channels == 3 else steps)
    if spec.op != "head":
        zero = ZERO_POINTS[NOT_NEGATIVE if spec.op in ("conv", "bottleneck") and spec.activation == "relu" else ANY]
        assert found.dtype == np.uint8
        found = (found.astype(np.float32) - zero) * ACTIVATION_SCALE
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.97
    np.testing.assert_allclose(found, expected, atol=10 * ACTIVATION_SCALE)


def test_every_convolution_runs_on_integers(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    chain = [
        BLOCKS["conv relu"],
        BlockSpec("mbconv", 6, 8, 24, 8, kernel=5, activation="relu", residual=True),
        BlockSpec("head", 6, 8, 24, 5, activation="hswish"),
    ]
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    model = build_int8_onnx(chain, [random_weights(spec, rng) for spec in chain])
    ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    count = Counter(node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node)
    assert (count["QLinearConv"], count["Conv"], count["QLinearAdd"], count["QGemm"], count["Gemm"]) == (4, 0, 1, 2, 0)
    assert count["Relu"] == 0
