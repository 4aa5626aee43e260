"""A new device's table from an old one's and a few networks: error after 0, 5, 10 and 20 of them, against fitting from nothing.

python tools/benchmark_transfer.py published DATA            between the four devices of DATA/device_tables, all pairs
python tools/benchmark_transfer.py noise DATA                the same pairs, with networks timed 1, 5, 10 and 20 % off
python tools/benchmark_transfer.py threads tiny@32           this CPU: the table of 1 thread for 2 threads

Every line is the mean over draws of the networks. "From nothing" means that all blocks are thought to cost the same. After 0
networks the old table is taken as it is, in its own milliseconds. The interval is the 90 % interval after so many networks.
With `noise`, errors and rank correlations are against what networks really take, and the steps between them have their own
standard error, over pairs of devices: more networks are never to make it worse.
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
from edgenas.latency import Bench, profile, spearman
from edgenas.latency.calibration import alike, block_counts
from edgenas.latency.tolerance import tolerance
from edgenas.latency.transfer import Adapted, adapt, left_out
from edgenas.space import get_space

RUNS = (0, 5, 10, 20)
NOISY_RUNS = (0, 5, 10, 20, 50)
DRAWS = 5
POOL, HELD_OUT = 80, 50
NOISE = 0.01
"""Of a timed network, relative, added where networks are sums of published blocks."""
NOISES = (0.01, 0.05, 0.1, 0.2)


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


@dataclass(frozen=True)
class PublishedTables:
    """What `(B,)` FBNet blocks take on four devices, by layer and operator, and `(n, B)` random networks of them."""

    costs_ms: dict[str, np.ndarray]
    keys: list[tuple[int, str]]
    counts: np.ndarray

    @property
    def groups(self) -> list[list[Hashable]]:
        return [[layer for layer, _ in self.keys], [op for _, op in self.keys], [op.split("_")[0] for _, op in self.keys]]

    @property
    def pairs(self) -> list[tuple[str, np.ndarray, np.ndarray]]:
        """An old and a new device in words, and their costs."""
        return [(f"{old} -> {new}", self.costs_ms[old], self.costs_ms[new])
                for old in self.costs_ms for new in sorted(self.costs_ms.keys() - {old})]  # fmt: skip


def published_tables(data: Path) -> PublishedTables:
    tables: dict[str, dict] = defaultdict(dict)
    with (data / "device_tables" / "fbnet_lut_recovered.csv").open() as file:
        for row in csv.DictReader(file):
            tables[row["device"]][int(row["layer"]), row["op"]] = float(row["latency_ms_relative_to_skip"])
    keys = sorted(set.intersection(*map(set, tables.values())))
    rng, counts = np.random.default_rng(0), np.zeros((POOL + HELD_OUT, len(keys)))
    places = [[i for i, key in enumerate(keys) if key[0] == layer] for layer in sorted({layer for layer, _ in keys})]
    for row in counts:
        row[[rng.choice(options) for options in places]] = 1
    costs_ms = {device: np.array([table[key] for key in keys]) for device, table in tables.items()}
    return PublishedTables(costs_ms, keys, counts)


def published(tables: PublishedTables) -> list[Replay]:
    rng, replays = np.random.default_rng(0), []
    for name, costs_ms, truth_ms in tables.pairs:
        timed_ms = tables.counts @ truth_ms * (1 + NOISE * rng.standard_normal(len(tables.counts)))
        replays.append(Replay(name, costs_ms, 0.0, tables.groups, tables.counts, timed_ms))
    return replays


def by_networks(
    tables: PublishedTables, noise: float, runs: Sequence[int] = NOISY_RUNS, draws: int = DRAWS
) -> np.ndarray:  # fmt: skip
    """`(pairs, draws, runs, 2)`: mean error and rank correlation of the networks held out, after so many others."""
    rng, found = np.random.default_rng(0), []
    known, held_out = tables.counts[:POOL], tables.counts[POOL:]
    for _, costs_ms, truth_ms in tables.pairs:
        for _ in range(draws):
            counts = rng.permutation(known)
            timed_ms = counts @ truth_ms * np.maximum(1 + noise * rng.standard_normal(POOL), 0.1)
            for n in runs:
                adapted = adapt(costs_ms, 0.0, tables.groups, counts[:n], timed_ms[:n]) if n else Adapted(costs_ms, costs_ms, 0)
                predicted_ms, taken_ms = adapted.predict(held_out), held_out @ truth_ms
                found.append((np.abs(predicted_ms / taken_ms - 1).mean(), spearman(predicted_ms, taken_ms)))
    return np.array(found).reshape(-1, draws, len(runs), 2)


def report_noise(tables: PublishedTables) -> None:
    for noise in NOISES:
        found = by_networks(tables, noise)
        mean, steps = found.mean(axis=(0, 1)), np.diff(found.mean(axis=1), axis=1)
        own = steps.std(axis=0, ddof=1) / len(steps) ** 0.5
        print(f"networks timed {100 * noise:.0f} % off")
        for i, n in enumerate(NOISY_RUNS):
            step = "" if i < 2 else (f"; steps {100 * steps[:, i - 1, 0].mean():+.1f} +- {100 * own[i - 1, 0]:.1f} %, "
                                     f"{steps[:, i - 1, 1].mean():+.3f} +- {own[i - 1, 1]:.3f}")  # fmt: skip
            print(f"{n:2} runs: mean error {100 * mean[i, 0]:5.1f} %, Spearman {mean[i, 1]:.3f}{step}", flush=True)


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
    parser.add_argument("what", choices=["published", "noise", "threads"])
    parser.add_argument("where", metavar="DATA|PRESET@PIXELS")
    options = parser.parse_args()
    if options.what == "published":
        replays = published(published_tables(Path(options.where)))
        for replay in replays:
            report(replay.name, [replay])
        report("all pairs", replays)
    elif options.what == "noise":
        report_noise(published_tables(Path(options.where)))
    else:
        report(f"{options.where}, 1 thread -> 2 threads", [threads(options.where)])


if __name__ == "__main__":
    main()
