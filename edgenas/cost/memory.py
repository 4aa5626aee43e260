"""Peak activation memory: the most bytes that are alive at once when a network is computed operator by operator.

A value stays alive until the last operator that reads it. In fp32 activations work in place: the convention of MCUNet
(arXiv:2007.10319) without its in-place depthwise. In int8 it is what TFLite Micro's arena has to hold of the TFLite file:
additions and products have outputs of their own, h-swish is a sum and a product, and an image whose padding TensorFlow has no
word for is copied with zeros around it. `arena_bytes` adds what is lost by how values are placed: nothing in 8 of 9 networks,
else 1 to 8 %, in tiny ones of the family `plain` up to 25 %.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from edgenas.quantisation import IMAGE, fused_activations, quantised_steps
from edgenas.space import BlockSpec, program_of
from edgenas.space.program import INPUT, Act, Add, Conv, Flatten, MaxPool, Scale, tensorflow_padding

ALIGNMENT = 16
"""Of int8 values in an arena, in bytes."""


def peak_memory_bytes(blocks: Iterable[BlockSpec], precision: str = "fp32") -> int:
    return max(block_peak_memory_bytes(spec, precision) for spec in blocks)


def block_peak_memory_bytes(spec: BlockSpec, precision: str = "fp32") -> int:
    """While the block is computed; its input is there, and nothing else of the network. fp16 is computed in fp32."""
    operators = list(_in_int8(spec) if precision == "int8" else _in_fp32(spec))
    last_read = {name: i for i, operator in enumerate(operators) for name in operator.reads}
    sizes, most = {INPUT: _bytes(spec.in_channels, spec.resolution, precision)}, 0
    for i, operator in enumerate(operators):
        sizes[operator.writes] = _bytes(operator.channels, operator.resolution, precision)
        most = max(most, sum(size for value, size in sizes.items() if last_read.get(value, i) >= i))
    return most


def arena_bytes(blocks: Sequence[BlockSpec]) -> int:
    """What an int8 network's values take in TFLite Micro's arena, placed as its greedy planner does: the largest first, each
    where it first fits between those that are alive meanwhile (arXiv:2010.08678)."""
    born, dies, sizes = {IMAGE: 0}, {IMAGE: 0}, {IMAGE: _bytes(blocks[0].in_channels, blocks[0].resolution, "int8")}
    last, now = IMAGE, 0
    for index, spec in enumerate(blocks):
        names = {INPUT: last}
        for operator in _in_int8(spec):
            now += 1
            last = names[operator.writes] = f"block{index}.{operator.writes}"
            sizes[last], born[last] = _bytes(operator.channels, operator.resolution, "int8"), now
            dies |= dict.fromkeys([last, *(names[name] for name in operator.reads)], now)
    placed: list[tuple[int, str]] = []
    for name in sorted(sizes, key=lambda name: (sizes[name], born[name]), reverse=True):  # of equally large ones the last
        at = 0
        for offset, other in sorted(placed):
            if born[other] <= dies[name] and born[name] <= dies[other]:
                if at + sizes[name] <= offset:
                    break
                at = max(at, offset + sizes[other])
        placed.append((at, name))
    return max(offset + sizes[name] for offset, name in placed)


class _Operator(NamedTuple):
    """reads, writes: names of memory, in which values may follow each other."""

    reads: tuple[str, ...]
    writes: str
    channels: int
    resolution: int


def _in_fp32(spec: BlockSpec) -> Iterator[_Operator]:
    place = {INPUT: INPUT}
    for step in program_of(spec):
        place[step.name] = place[step.reads[0]] if isinstance(step, Act | Flatten) else step.name
        if place[step.name] == step.name:
            yield _Operator(tuple(place[name] for name in step.reads), step.name, step.channels, step.resolution)


def _in_int8(spec: BlockSpec) -> Iterator[_Operator]:
    """As `graph.tflite_int8` writes them."""
    steps = quantised_steps(spec)
    fused, last = fused_activations(steps).values(), steps[-1]
    place, shapes = {INPUT: INPUT}, {INPUT: (spec.in_channels, spec.resolution)}
    sixfold: set[str] = set()  # products with gates, until a layer's weights make up for that
    for step in steps:
        shapes[step.name] = step.channels, step.resolution
        if step in fused or isinstance(step, Flatten):
            place[step.name] = place[step.reads[0]]
            continue
        for name in sixfold & {*step.reads} if isinstance(step, Add) else ():
            yield _Operator((place[name],), f"{name}.plain", *shapes[name])
            place[name] = f"{name}.plain"
        reads, place[step.name] = tuple(place[name] for name in step.reads), step.name
        if isinstance(step, Conv | MaxPool):
            channels, size = shapes[step.reads[0]]
            if tensorflow_padding(size, step.kernel, step.stride, step.pads) is None:
                yield _Operator(reads, f"{step.name}.pad", channels, size + sum(step.pads))
                reads = (f"{step.name}.pad",)
        yield _Operator(reads, step.name, step.channels, step.resolution)
        if isinstance(step, Scale):
            sixfold.add(step.name)
    if last.name in sixfold:
        yield _Operator((place[last.name],), f"{last.name}.plain", *shapes[last.name])


def _bytes(channels: int, resolution: int, precision: str) -> int:
    values = channels * resolution**2
    return -(-values // ALIGNMENT) * ALIGNMENT if precision == "int8" else 4 * values
