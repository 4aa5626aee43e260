"""Peak activation memory: the most bytes that are alive at once when a network is computed operator by operator.

A value stays alive until the last operator that reads it. In fp32 activations work in place: the convention of MCUNet
(arXiv:2007.10319) without its in-place depthwise. In int8 it is what TFLite Micro's arena has to hold of the TFLite file:
additions and products have outputs of their own, h-swish is a sum and a product, and an image that TensorFlow's words for padding do
not fit is copied with zeros around it. Of 88 networks of all families the arena was this in 77; in the others placing values
one after the other cost 1 to 8 % more, in two of the family `plain` 15 and 25 %.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from edgenas.quantisation import fused_activations, quantised_steps
from edgenas.space import BlockSpec, program_of
from edgenas.space.program import INPUT, Act, Conv, Flatten, MaxPool, Step, tensorflow_padding

ALIGNMENT = 16
"""Of int8 values in an arena, in bytes."""


def peak_memory_bytes(blocks: Iterable[BlockSpec], precision: str = "fp32") -> int:
    return max(block_peak_memory_bytes(spec, precision) for spec in blocks)


def block_peak_memory_bytes(spec: BlockSpec, precision: str = "fp32") -> int:
    """While the block is computed; its input is there, and nothing else of the network. fp16 is computed in fp32."""
    operators = list(_in_int8(spec) if precision == "int8" else _in_fp32(spec))
    last_read = {name: i for i, operator in enumerate(operators) for name in operator.reads}
    sizes, most = {INPUT: _bytes(spec.in_channels, spec.resolution, precision)}, 0
    for i, (reads, name, channels, resolution) in enumerate(operators):
        sizes[name] = _bytes(channels, resolution, precision)
        most = max(most, sum(size for value, size in sizes.items() if last_read.get(value, i) >= i))
    return most


class _Operator(NamedTuple):
    """reads, writes: names of memory, in which values may follow each other."""

    reads: tuple[str, ...]
    writes: str
    channels: int
    resolution: int


def _in_fp32(spec: BlockSpec) -> Iterator[_Operator]:
    steps = program_of(spec)
    return _operators(steps, [step for step in steps if isinstance(step, Act | Flatten)])


def _in_int8(spec: BlockSpec) -> Iterator[_Operator]:
    steps = quantised_steps(spec)
    fused = fused_activations(steps).values()
    resolutions = {INPUT: spec.resolution} | {step.name: step.resolution for step in steps}
    channels = {INPUT: spec.in_channels} | {step.name: step.channels for step in steps}
    windows = {step.name: step for step in steps if isinstance(step, Conv | MaxPool)}
    for operator in _operators(steps, [step for step in steps if step in fused or isinstance(step, Flatten)]):
        window, reads = windows.get(operator.writes), operator.reads
        if window is not None:
            (read,) = window.reads
            size = resolutions[read]
            if tensorflow_padding(size, window.kernel, window.stride, window.pads) is None:
                padded = f"{window.name}.pad"
                yield _Operator(reads, padded, channels[read], size + sum(window.pads))
                reads = (padded,)
        yield operator._replace(reads=reads)


def _operators(steps: Iterable[Step], in_place: list[Step]) -> Iterator[_Operator]:
    """in_place: the steps that write where what they read was."""
    place = {INPUT: INPUT}
    for step in steps:
        place[step.name] = place[step.reads[0]] if step in in_place else step.name
        if place[step.name] == step.name:
            yield _Operator(tuple(place[name] for name in step.reads), step.name, step.channels, step.resolution)


def _bytes(channels: int, resolution: int, precision: str) -> int:
    values = channels * resolution**2
    return -(-values // ALIGNMENT) * ALIGNMENT if precision == "int8" else 4 * values
