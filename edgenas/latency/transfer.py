"""A new device's table from another device's, and a few whole networks timed on the new one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgenas.latency.bench import ROUNDS, Bench
from edgenas.latency.calibration import block_counts, deviation_model, tolerance
from edgenas.latency.device import DeviceProfile
from edgenas.latency.profile import open_device
from edgenas.latency.table import EMULATED, ESTIMATED, Calibration, Entry, LatencyTable
from edgenas.latency.targets import LatencyTarget
from edgenas.progress import Track, quiet
from edgenas.space import SearchSpace

NETWORKS = 10
_POOL, _SEED = 400, 404


def transfer(
    prior: LatencyTable,
    space: SearchSpace,
    device: DeviceProfile,
    target: LatencyTarget,
    path: Path,
    *,
    runtime: str,
    threads: int = 1,
    precision: str = "fp32",
    networks: int = NETWORKS,
    rounds: int = ROUNDS,
    allow_emulated: bool = False,
    track: Track = quiet,
) -> LatencyTable:
    """Estimate a device's table, save it at `path` and return it: the prior's blocks, at the new device's speed, each as much
    slower or faster as the networks timed there say; see `DeviationModel`.

    prior: any table that covers the space. networks: how many are timed, those that tell most. The interval is that of the
    networks, each predicted from the others; its kind is "estimated". Raises EdgeNASError as `profile` does.
    """
    costs_ms = prior.costs(space)
    provenance = open_device(device, target, runtime, threads, precision, allow_emulated)
    pool = space.sample(np.random.default_rng(_SEED), _POOL)
    model, expected_ms = deviation_model(space, costs_ms), prior.predict(space, pool)
    chosen = pool[model.least_certain(block_counts(space, pool), expected_ms, networks)]
    bench = Bench(target, runtime, threads, rounds, precision)
    measured_ms = bench.network_ms(space, chosen, track, f"timing whole networks on {device.name}")

    expected_ms = prior.predict(space, chosen)
    speed = float(np.exp(np.log(measured_ms / expected_ms).mean()))
    model = deviation_model(space, speed * costs_ms).fit(block_counts(space, chosen), speed * expected_ms, measured_ms)
    latency_ms = speed * costs_ms * (1 + model.corrections)
    spread_ms = speed * costs_ms * model.spread
    named = zip(space.distinct_blocks, latency_ms, spread_ms, strict=True)
    table = LatencyTable(
        device.name, runtime, threads, precision,
        kind=EMULATED if provenance["emulated"] else ESTIMATED,
        provenance={"method": f"from the table of {prior.device} ({prior.kind}, {prior.runtime}, {prior.threads} thread(s)) "
                              f"and {networks} whole networks timed here"} | provenance,
        entries={spec.key: Entry(float(ms), float(spread), 0) for spec, ms, spread in named},
        calibrations={space.fingerprint: Calibration(
            speed * prior.calibration(space).overhead_ms, 1.0, 0.0, tolerance(np.abs(model.left_out())), len(chosen)
        )},
    )  # fmt: skip
    table.save(path)
    return table
