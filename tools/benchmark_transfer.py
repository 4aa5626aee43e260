"""A new device's table from an old one's and a few networks: error after 0, 5, 10 and 20 of them, against fitting from nothing.

python tools/benchmark_transfer.py published DATA            between the four devices of DATA/device_tables, all pairs
python tools/benchmark_transfer.py threads tiny@32           this CPU: the table of 1 thread for 2 threads

Every line is the mean over draws of the networks. "From nothing" means that all blocks are thought to cost the same. After 0
networks the old table is taken as it is, in its own milliseconds. The interval is the 90 % interval after so many networks.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgenas.device import Execution, load_device, python_target
from edgenas.latency import Bench, profile
from edgenas.latency.calibration import alike, block_counts
from edgenas.latency.tolerance import tolerance
from edgenas.latency.transfer import adapt, left_out
from edgenas.space import get_space

RUNS = (0, 5, 10, 20)
DRAWS = 5
POOL, HELD_OUT = 80, 50
NOISE = 0.01
"""Of a timed network, added where networks are sums of published blocks."""


@dataclass(frozen=True)
class Replay:
    """An old device's blocks and a new device's networks: `(B,)` ms, `(n, B)` numbers of blocks, `(n,)` ms. The first `POOL`
    networks may be learnt from, the others are predicted."""

    name: str
    costs_ms: np.ndarray
    overhead_ms: float
    groups: Sequence[Sequence[Hashable]]
    counts: np.ndarray
    measured_ms: np.ndarray

    def from_nothing(self) -> Replay:
        return Replay(self.name, np.ones_like(self.costs_ms), 0.0, self.groups, self.counts, self.measured_ms)

    def errors(self, runs: int, rng: np.random.Generator) -> tuple[np.ndarray, float, float]:
        """Relative errors of the networks held out; the interval; the share of networks in it."""
        counts, measured_ms = self.counts[POOL:], self.measured_ms[POOL:]
        if runs == 0:
            return np.abs((self.overhead_ms + counts @ self.costs_ms) / measured_ms - 1), np.nan, np.nan
        chosen = rng.permutation(POOL)[:runs]
        known = self.costs_ms, self.overhead_ms, self.groups, self.counts[chosen], self.measured_ms[chosen]
        predicted_ms = adapt(*known).predict(counts)
        interval = tolerance(left_out(*known) / self.measured_ms[chosen] - 1)
        factor = np.exp(np.abs(np.log(predicted_ms / measured_ms)))
        return np.abs(predicted_ms / measured_ms - 1), interval, float((factor <= 1 + interval).mean())


def report(title: str, replays: Sequence[Replay]) -> None:
    print(title)
    for runs in RUNS:
        for words, kind in (("", replays), (" from nothing", [replay.from_nothing() for replay in replays])):
            if runs == 0 and words:
                continue
            rng = np.random.default_rng(0)
            results = [replay.errors(runs, rng) for replay in kind for _ in range(DRAWS if runs else 1)]
            errors, intervals, inside = zip(*results, strict=True)
            trust = (
                f"; {100 * np.mean(inside):.0f} % in the 90 % interval of {100 * np.median(intervals):.0f} %" if runs else ""
            )
            print(f"{runs:2} runs{words}: mean error {100 * np.mean(errors):.1f} %, "
                  f"worst {100 * np.max(errors):.1f} %{trust}", flush=True)  # fmt: skip


def published(data: Path) -> list[Replay]:
    tables: dict[str, dict] = defaultdict(dict)
    with (data / "device_tables" / "fbnet_lut_recovered.csv").open() as file:
        for row in csv.DictReader(file):
            tables[row["device"]][int(row["layer"]), row["op"]] = float(row["latency_ms_relative_to_skip"])
    keys = sorted(set.intersection(*map(set, tables.values())))
    layers = sorted({layer for layer, _ in keys})
    groups = [[layer for layer, _ in keys], [op for _, op in keys], [op.split("_")[0] for _, op in keys]]
    rng = np.random.default_rng(0)
    counts = np.zeros((POOL + HELD_OUT, len(keys)))
    for row in counts:
        row[[rng.choice([i for i, key in enumerate(keys) if key[0] == layer]) for layer in layers]] = 1
    replays = []
    for old in tables:
        for new in sorted(tables.keys() - {old}):
            costs_ms, truth_ms = (np.array([tables[device][key] for key in keys]) for device in (old, new))
            timed_ms = counts @ truth_ms * (1 + NOISE * rng.standard_normal(len(counts)))
            replays.append(Replay(f"{old} -> {new}", costs_ms, 0.0, groups, counts, timed_ms))
    return replays


def threads(name: str) -> Replay:
    preset, pixels = name.split("@")
    space = get_space("mobilenetv3", preset, 10, resolutions=(int(pixels),))
    with tempfile.TemporaryDirectory() as folder:
        prior = profile(space, load_device("cpu"), python_target(), Path(folder) / "t.json", Execution("onnxruntime"))
    genomes = space.sample(np.random.default_rng(0), POOL + HELD_OUT)
    measured_ms = Bench(python_target(), Execution("onnxruntime", 2)).network_ms(space, genomes)
    overhead_ms = prior.calibration(space).overhead_ms
    return Replay(name, prior.costs(space), overhead_ms, alike(space), block_counts(space, genomes), measured_ms)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["published", "threads"])
    parser.add_argument("where", metavar="DATA|PRESET@PIXELS")
    options = parser.parse_args()
    if options.what == "published":
        replays = published(Path(options.where))
        for replay in replays:
            report(replay.name, [replay])
        report("all pairs", replays)
    else:
        report(f"{options.where}, 1 thread -> 2 threads", [threads(options.where)])


if __name__ == "__main__":
    main()
