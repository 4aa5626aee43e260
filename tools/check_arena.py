"""Predicted memory and file sizes beside TFLite Micro's own: networks of every family, opened in its interpreter.

    pip install --no-deps tflite-micro
    python tools/check_arena.py

Prints for each network its arena by prediction and as the interpreter planned it, what the interpreter keeps besides, and its
file by prediction and as it is. Ends with status 1 where an arena is more than 5 % off.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from tflite_micro import runtime

from edgenas import cost
from edgenas.graph import get_format, random_weights
from edgenas.quantisation import Quantisation
from edgenas.space import FAMILIES, BlockSpec, get_space

ARENA = 64 * 2**20
TOLERANCE = 0.05


def networks() -> Iterator[tuple[str, tuple[BlockSpec, ...]]]:
    """Two random ones of every family and preset but the largest."""
    rng = np.random.default_rng(1)
    for family, presets in FAMILIES.items():
        for preset in presets:
            for resolution in (48, 96):
                space = get_space(family, preset, classes=10, resolutions=(resolution,))
                for genome in space.sample(rng, 1):
                    yield f"{family} {preset} {resolution} px", space.blocks(space.decode(genome))


def planned(content: bytes) -> tuple[int, int]:
    """Bytes of values, and of what is kept of operators and scales, on this 64-bit machine."""
    interpreter = runtime.Interpreter.from_bytes(content, arena_size=ARENA)
    about = interpreter.get_input_details(0)
    interpreter.set_input(np.zeros(about["shape"], np.int8), 0)
    interpreter.invoke()
    reading, writing = os.pipe()
    errors = os.dup(2)
    os.dup2(writing, 2)  # where it prints
    interpreter.print_allocations()
    os.dup2(errors, 2)
    os.close(writing)
    with os.fdopen(reading) as file:
        text = file.read()
    head, tail = (int(re.findall(rf"Arena allocation {part} (\d+) bytes", text)[0]) for part in ("head", "tail"))
    return head, tail


def main() -> int:
    worst = 0.0
    for name, blocks in networks():
        quantisation = replace(Quantisation.nominal(blocks), integer_ends=True)
        weights = [random_weights(spec, np.random.default_rng(0)) for spec in blocks]
        content = get_format("tflite").build(blocks, weights, "int8", quantisation=quantisation)
        head, tail = planned(content)
        predicted = cost.arena_bytes(blocks)
        worst = max(worst, abs(predicted / head - 1))
        print(
            f"{name:35} arena {predicted:8} predicted {head:8} planned ({100 * (predicted / head - 1):+5.1f} %), at least "
            f"{cost.peak_memory_bytes(blocks, 'int8'):8}; besides {tail:7}; file {cost.file_bytes(blocks, 'int8'):9} predicted "
            f"{len(content):9}"
        )
    print(f"The furthest is {100 * worst:.1f} % off.")
    return int(worst > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
