"""How well tables predict this CPU: a table is measured, then networks that it has not seen are timed and compared.

python tools/benchmark_latency.py                        one thread; fp32 and int8; 32, 96 and 224 px: one line each
python tools/benchmark_latency.py small@32 --precision int8
python tools/benchmark_latency.py lite0@96 --family efficientnet-lite --runtime litert
python tools/benchmark_latency.py small@96 --apart 60      a minute between the sessions: machines drift

A network's latency is the median of several sessions, each in processes of its own. How far one session is from that median is
the repeatability: no table can be closer to a single timing. The table of the whole default space at 32 px is small@32.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from edgenas.device import Execution, Stopwatch, load_device, python_target
from edgenas.latency import Bench, LatencyTable, profile
from edgenas.latency.calibration import check
from edgenas.latency.tolerance import most_drift
from edgenas.space import SearchSpace, get_space

CONFIGURATIONS = "tiny@32", "small@32", "small@96", "imagenet@224"
HELD_OUT, HELD_OUT_SEED = 50, 999
SESSIONS = 3
CLOSE = 0.05


def measure_table(space: SearchSpace, execution: Execution, folder: Path) -> tuple[LatencyTable, str]:
    """The table, and how it went in words."""
    target, start = Stopwatch(python_target()), time.monotonic()
    table = profile(space, load_device("cpu"), target, folder / "table.json", execution)
    seconds = time.monotonic() - start
    return table, (f"{len(table.entries)} entries in {seconds:.0f} s ({60 * len(table.entries) / seconds:.0f} a minute, "
                   f"timer {100 * target.seconds / seconds:.0f} %)")  # fmt: skip


def time_networks(table: LatencyTable, space: SearchSpace, genomes: np.ndarray, apart_s: float) -> np.ndarray:
    """`(SESSIONS, n)` ms, each so many seconds after the one before, the first after the table."""
    timed_ms = []
    for _ in range(SESSIONS):
        time.sleep(apart_s)
        timed_ms.append(Bench(python_target(), table.execution, reference_ms=table.reference_ms).network_ms(space, genomes))
    return np.stack(timed_ms)


def compared(table: LatencyTable, space: SearchSpace, genomes: np.ndarray, timed_ms: np.ndarray) -> str:
    """`(sessions, n)` ms against the predictions, in words."""
    measured_ms, predicted_ms = np.median(timed_ms, axis=0), table.predict(space, genomes)
    found, interval = check(predicted_ms, measured_ms), table.interval(space, predicted_ms)
    inside = ((interval.low <= measured_ms) & (measured_ms <= interval.high)).mean()
    single = ((interval.low <= timed_ms) & (timed_ms <= interval.high)).mean()
    shifts = np.log(timed_ms / predicted_ms).mean(axis=1)
    drift = most_drift([np.array(errors) for errors in table.calibration(space).check.sessions])
    return (f"mean {100 * found.mean_error:.2f} %, worst {100 * found.worst_error:.2f} %, Spearman {found.spearman:.4f}, "
            f"{100 * np.mean(np.array(found.errors) <= CLOSE):.0f} % within 5 %; "
            f"{100 * inside:.0f} % in the 90 % interval of {100 * table.calibration(space).relative_interval():.1f} % "
            f"({100 * single:.0f} % of single timings); sessions shifted by {', '.join(f'{100 * s:+.1f}' for s in shifts)} %, "
            f"allowed for: a standard deviation of {100 * drift:.1f} %")  # fmt: skip


def repeatability(timed_ms: np.ndarray) -> str:
    off = np.abs(timed_ms / np.median(timed_ms, axis=0) - 1)
    return f"repeatability mean {100 * off.mean():.2f} %, worst {100 * off.max():.2f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spaces", nargs="*", default=CONFIGURATIONS, metavar="PRESET@PIXELS")
    parser.add_argument("--family", default="mobilenetv3")
    parser.add_argument("--runtime", default="onnxruntime")
    parser.add_argument("--precision", choices=["fp32", "int8"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--apart", type=float, default=0.0, metavar="SECONDS", help="between the sessions that are compared")
    options = parser.parse_args()
    for name in options.spaces:
        preset, pixels = name.split("@")
        space = get_space(options.family, preset, 10, resolutions=(int(pixels),))
        genomes = space.sample(np.random.default_rng(HELD_OUT_SEED), HELD_OUT)
        for precision in [options.precision] if options.precision else ["fp32", "int8"]:
            execution = Execution(options.runtime, options.threads, precision)
            with tempfile.TemporaryDirectory() as folder:
                table, pace = measure_table(space, execution, Path(folder))
                timed_ms = time_networks(table, space, genomes, options.apart)
            print(f"{options.family} {name} {execution}: "
                  f"{compared(table, space, genomes, timed_ms)}; {repeatability(timed_ms)}; {pace}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
