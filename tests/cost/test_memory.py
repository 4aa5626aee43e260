"""What is predicted of memory and of files' sizes, beside real files and LiteRT's own arena."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edgenas import cost
from edgenas.graph import get_format
from edgenas.quantisation import Quantisation
from edgenas.space import BlockSpec, get_space
from tests.graph.reference import CHAINS
from tests.quantisation.networks import random_weights_of

FAMILIES = [name for name in CHAINS if name.endswith(("largest", "smallest"))]
"""More than ten architectures: both ends of every family."""


def int8_file(blocks: tuple[BlockSpec, ...]) -> bytes:
    """With integer ends, as a microcontroller takes it."""
    quantisation = replace(Quantisation.nominal(blocks), integer_ends=True)
    return get_format("tflite").build(blocks, random_weights_of(blocks), "int8", quantisation=quantisation)


def most_alive(content: bytes) -> int:
    """By the file's own operators, one after the other: what an arena has to hold. Every value counts in steps of 16 bytes."""
    model = schema.ModelT.InitFromPackedBuf(content)
    graph = model.subgraphs[0]
    sizes = {
        i: -(-int(np.prod(tensor.shape)) // 16) * 16
        for i, tensor in enumerate(graph.tensors)
        if model.buffers[tensor.buffer].data is None or not len(model.buffers[tensor.buffer].data)
    }
    born = dict.fromkeys(graph.inputs, 0) | {i: n for n, op in enumerate(graph.operators) for i in op.outputs}
    dies = {i: n for n, op in enumerate(graph.operators) for i in op.inputs} | dict.fromkeys(
        graph.outputs, len(graph.operators)
    )
    return max(sum(size for i, size in sizes.items() if born[i] <= n <= dies[i]) for n in range(len(graph.operators)))


def arena_of(content: bytes) -> tuple[int, int]:
    """LiteRT's arena, without a delegate: from its first byte to its last, and what its kernels' own buffers take at most."""
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_content=content, num_threads=1, experimental_op_resolver_type=plain)
    interpreter.allocate_tensors()
    interpreter.invoke()
    graph = schema.ModelT.InitFromPackedBuf(content).subgraphs[0]
    constants = {i for i, tensor in enumerate(graph.tensors) if tensor.buffer}
    spans, own = [], 0
    for detail in interpreter.get_tensor_details():
        if detail["index"] in constants:
            continue
        try:
            array = interpreter.tensor(detail["index"])()
        except ValueError:  # a kernel's that is not used
            continue
        begin = array.__array_interface__["data"][0]
        spans.append((begin, begin + array.nbytes))
        if detail["index"] >= len(graph.tensors):
            own = max(own, array.nbytes)
    return _extent(spans), own


def _extent(spans: list[tuple[int, int]]) -> int:
    """Of the largest of the pieces of memory that these lie in."""
    pieces: list[list[int]] = []
    for begin, end in sorted(spans):
        if pieces and begin <= pieces[-1][1] + 4096:
            pieces[-1][1] = max(pieces[-1][1], end)
        else:
            pieces.append([begin, end])
    return max(end - begin for begin, end in pieces)


@pytest.mark.parametrize("name", CHAINS)
def test_what_int8_needs_is_what_its_file_says(name: str) -> None:
    blocks = CHAINS[name]
    assert cost.peak_memory_bytes(blocks, "int8") == most_alive(int8_file(blocks))


@pytest.mark.parametrize("family", ["efficientnet-lite", "mobilenetv3", "proxyless"])
def test_litert_keeps_the_image_and_what_is_predicted(family: str) -> None:
    """Placed in another order, so up to 7 % more. Its built-in kernels unroll the images of dense convolutions beside that: in
    other families more than all values take."""
    space = get_space(family, "tiny", classes=10, resolutions=(48,))
    for genome in space.sample(np.random.default_rng(2), 4):
        blocks = space.blocks(space.decode(genome))
        arena, unrolled = arena_of(int8_file(blocks))
        predicted = cost.arena_bytes(blocks) + 3 * space.largest.resolution**2
        assert unrolled < predicted
        assert predicted == pytest.approx(arena, rel=0.08)


def test_tflite_micro_plans_what_is_predicted() -> None:
    """As tools/check_arena.py does for twice as many."""
    pytest.importorskip("tflite_micro")
    from tools.check_arena import planned

    for name in FAMILIES:
        assert cost.arena_bytes(CHAINS[name]) == pytest.approx(planned(int8_file(CHAINS[name]))[0], rel=0.05), name


def test_how_values_are_placed_costs_little() -> None:
    for name in FAMILIES:
        least = cost.peak_memory_bytes(CHAINS[name], "int8")
        assert least <= cost.arena_bytes(CHAINS[name]) < 1.3 * least


def test_int8_by_hand() -> None:
    down = BlockSpec("mbconv", 8, 8, 24, 16, kernel=3, stride=2, activation="relu")
    # The expanded image, and its copy with a row and a column of zeros on each side.
    assert cost.block_peak_memory_bytes(down, "int8") == 24 * 64 + 24 * 100
    # Nothing is copied where the padding is TensorFlow's: the expanded image and what is made of the input.
    assert cost.block_peak_memory_bytes(replace(down, padding="same"), "int8") == 24 * 64 + 8 * 64
    hswish = BlockSpec("conv", 8, 8, 0, 16, kernel=3, activation="hswish")
    assert cost.block_peak_memory_bytes(hswish, "int8") == 3 * 16 * 64
    assert cost.block_peak_memory_bytes(hswish, "fp32") == 4 * (8 + 16) * 64
    assert cost.block_peak_memory_bytes(hswish, "fp16") == cost.block_peak_memory_bytes(hswish)


@pytest.mark.parametrize(("precision", "error"), [("fp32", 0.01), ("fp16", 0.03), ("int8", 0.03)])
def test_the_size_of_a_file(precision: str, error: float) -> None:
    for name in FAMILIES:
        blocks = CHAINS[name]
        size = len(get_format("tflite").build(blocks, random_weights_of(blocks), precision))
        assert cost.file_bytes(blocks, precision) == pytest.approx(size + cost.files.METADATA, rel=error), name
