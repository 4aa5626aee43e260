"""An int8 file with integer ends consists of what TFLite Micro has."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgenas.graph import build_int8_tflite, tflite_operators, tflite_output
from edgenas.quantisation import Quantisation
from tests.graph.reference import CHAINS
from tests.quantisation.networks import BLOCKS, Case, random_weights_of

_REGISTERED = """
    ABS ADD ADD_N ARG_MAX ARG_MIN ASSIGN_VARIABLE AVERAGE_POOL_2D BATCH_TO_SPACE_ND BROADCAST_ARGS BROADCAST_TO CALL_ONCE CAST
    CEIL CONCATENATION CONV_2D COS CUMSUM DEPTH_TO_SPACE DEPTHWISE_CONV_2D DEQUANTIZE DIV ELU EQUAL EXP EXPAND_DIMS FILL FLOOR
    FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GATHER_ND GREATER GREATER_EQUAL HARD_SWISH IF L2_NORMALIZATION L2_POOL_2D
    LEAKY_RELU LESS LESS_EQUAL LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC LOG_SOFTMAX MAX_POOL_2D MAXIMUM MEAN MINIMUM
    MIRROR_PAD MUL NEG NOT_EQUAL PACK PAD PADV2 PRELU QUANTIZE READ_VARIABLE REDUCE_MAX RELU RELU6 RESHAPE RESIZE_BILINEAR
    RESIZE_NEAREST_NEIGHBOR ROUND RSQRT SELECT_V2 SHAPE SIN SLICE SOFTMAX SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQRT
    SQUARE SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM SVDF TANH TRANSPOSE TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM
    UNPACK VAR_HANDLE WHILE ZEROS_LIKE
"""
"""The builtin operators that python/tflite_micro/python_ops_resolver.cc of github.com/tensorflow/tflite-micro registers, in
commit 03e16b2931c76b82dd4c9d4c0cab2a816af47134."""
REGISTERED = _REGISTERED.split()


def test_they_are_operators_of_the_format() -> None:
    assert set(REGISTERED) <= set(vars(schema.BuiltinOperator))


@pytest.mark.parametrize("name", [*CHAINS, *BLOCKS])
def test_every_network_consists_of_them(name: str) -> None:
    blocks = CHAINS.get(name) or (BLOCKS[name],)
    quantisation = replace(Quantisation.nominal(blocks), integer_ends=True)
    content = build_int8_tflite(blocks, random_weights_of(blocks), quantisation=quantisation)
    assert set(tflite_operators(content)) <= set(REGISTERED)
    assert tflite_output(content).dtype == np.int8
    # On integers throughout: biases and axes are int32, all else is int8.
    tensors = schema.ModelT.InitFromPackedBuf(content).subgraphs[0].tensors
    assert {tensor.type for tensor in tensors} <= {schema.TensorType.INT8, schema.TensorType.INT32}


@pytest.mark.parametrize("name", ["efficientnet-lite smallest", "smallest", "resnet smallest"])
def test_it_computes_them_as_simulated(name: str) -> None:
    """Its kernels, of integers throughout, round otherwise."""
    runtime = pytest.importorskip("tflite_micro").runtime
    case = Case(CHAINS[name], 8, integer_ends=True)
    content = build_int8_tflite(case.blocks, case.weights, quantisation=case.quantisation)
    interpreter, found = runtime.Interpreter.from_bytes(content, arena_size=2**26), []
    for image in case.input.steps(case.images.transpose(0, 2, 3, 1), "int8"):
        interpreter.set_input(np.ascontiguousarray(image[None]), 0)
        interpreter.invoke()
        found.append(interpreter.get_output(0).copy())
    assert case.steps(case.output.values(np.concatenate(found)) - case.simulated) < max(1.0, 1.5 * case.noise)
