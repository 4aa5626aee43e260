"""How well tables predict: networks that no table has seen, timed here and compared. Prints one line per table.

python tools/benchmark_latency.py accuracy tiny 32 --precision int8
python tools/benchmark_latency.py transfer tiny 32 --threads 2      a 1-thread table as prior, against fitting from nothing
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from edgenas.latency import Bench, LatencyTable, load_device, profile, python_target, transfer
from edgenas.latency.calibration import block_counts, check, deviation_model
from edgenas.space import SearchSpace, get_space

HELD_OUT, HELD_OUT_SEED = 50, 999
RUNS = (5, 10, 20)


def measured_table(space: SearchSpace, runtime: str, threads: int, precision: str, folder: Path) -> LatencyTable:
    return profile(space, load_device("cpu"), python_target(), folder / f"{threads}.json", runtime=runtime, threads=threads,
                   precision=precision)  # fmt: skip


def report(name: str, table: LatencyTable, space: SearchSpace, genomes: np.ndarray, measured_ms: np.ndarray) -> None:
    predicted_ms = table.predict(space, genomes)
    found, interval = check(predicted_ms, measured_ms), table.interval(space, predicted_ms)
    inside = ((interval.low <= measured_ms) & (measured_ms <= interval.high)).mean()
    print(f"{name}: mean error {100 * found.mean_error:.2f} %, worst {100 * found.worst_error:.2f} %, "
          f"Spearman {found.spearman:.4f}; {100 * inside:.0f} % in the 90 % interval of "
          f"{100 * table.calibration(space).relative_interval:.1f} %", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["accuracy", "transfer"])
    parser.add_argument("preset")
    parser.add_argument("resolution", type=int)
    parser.add_argument("--runtime", default="onnxruntime")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    space = get_space("mobilenetv3", options.preset, 10, resolutions=(options.resolution,))
    key = options.runtime, options.threads, options.precision
    genomes = space.sample(np.random.default_rng(HELD_OUT_SEED), HELD_OUT)
    with tempfile.TemporaryDirectory() as name:
        folder, start = Path(name), time.monotonic()
        if options.what == "accuracy":
            table = measured_table(space, *key, folder)
            print(f"{len(table.entries)} blocks and all networks in {time.monotonic() - start:.0f} s")
            bench = Bench(python_target(), *key[:2], precision=options.precision, reference_ms=table.reference_ms)
            report(" ".join(map(str, key)), table, space, genomes, bench.network_ms(space, genomes))
            return
        prior = measured_table(space, options.runtime, 1, options.precision, folder)
        bench = Bench(python_target(), *key[:2], precision=options.precision)
        measured_ms = bench.network_ms(space, genomes)
        report("0 runs", prior, space, genomes, measured_ms)
        # From nothing: every block is thought to cost the same.
        flat = np.ones(len(space.distinct_blocks))
        known = space.sample(np.random.default_rng(HELD_OUT_SEED + 1), max(RUNS))
        known_ms = bench.network_ms(space, known)
        for runs in RUNS:
            table = transfer(prior, space, load_device("cpu"), python_target(), folder / "t.json", runtime=options.runtime,
                             threads=options.threads, precision=options.precision, networks=runs)  # fmt: skip
            report(f"{runs} runs", table, space, genomes, measured_ms)
            counts = block_counts(space, known[:runs])
            costs = flat * np.exp(np.log(known_ms[:runs] / counts.sum(axis=1)).mean())
            model = deviation_model(space, costs).fit(counts, counts @ costs, known_ms[:runs])
            guessed_ms = block_counts(space, genomes) @ (costs * (1 + model.corrections))
            found = check(guessed_ms, measured_ms)
            print(f"{runs} runs from nothing: mean error {100 * found.mean_error:.2f} %, worst {100 * found.worst_error:.2f} %")


if __name__ == "__main__":
    main()
