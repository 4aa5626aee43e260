"""What int8 saves on this CPU: the largest network of every family, in float32 and in int8, side by side in one process.

python tools/benchmark_precisions.py                            a table in Markdown: a family and a runtime in each row
python tools/benchmark_precisions.py --family plain --pixels 32

Weights are random, since times do not depend on them. Each cell is milliseconds in float32, in int8, and how many times as fast
int8 is. A time is the lower quartile over rounds of the round's least, one thread.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np

from edgenas.device import Execution, python_target
from edgenas.device.runtimes import RUNTIMES, Runtime
from edgenas.latency.bench import QUIET, ROUNDS
from edgenas.latency.microbenchmark import model_bytes
from edgenas.space import FAMILIES, get_space

PIXELS = 32, 96, 160, 224
PRECISIONS = "fp32", "int8"


def pairs(family: str, runtime: Runtime, pixels: tuple[int, ...]) -> Iterator[tuple[float, float]]:
    """Milliseconds in each precision, at each size."""
    target = python_target(runtime.python or "")
    for size in pixels:
        space = get_space(family, None, 10, resolutions=(size,))
        blocks = space.blocks(space.largest)
        models = {precision: model_bytes(blocks, runtime.name, precision) for precision in PRECISIONS}
        timed = target.time(models, Execution(runtime.name), rounds=ROUNDS)
        fp32, int8 = (float(np.quantile(timed[precision], QUIET)) for precision in PRECISIONS)
        yield fp32, int8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", action="append", choices=list(FAMILIES))
    parser.add_argument("--pixels", action="append", type=int)
    options = parser.parse_args()
    pixels = tuple(options.pixels or PIXELS)
    able = [runtime for runtime in RUNTIMES.values() if set(PRECISIONS) <= set(runtime.precisions) and runtime.python]
    print("| family | runtime |", " | ".join(f"{size} px" for size in pixels), "|")
    print("| --- | --- |", " | ".join("---" for _ in pixels), "|")
    for family in options.family or FAMILIES:
        for runtime in able:
            cells = (f"{fp32:.3g} → {int8:.3g}, {fp32 / int8:.2f} ×" for fp32, int8 in pairs(family, runtime, pixels))
            print(f"| {family} | {runtime.name} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
