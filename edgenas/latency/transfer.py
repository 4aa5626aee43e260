"""A new device's table from another device's, and a few whole networks timed on the new one."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgenas.device import DeviceProfile, Execution, LatencyTarget
from edgenas.latency.bench import ROUNDS, Bench
from edgenas.latency.calibration import alike, block_counts, check
from edgenas.latency.deviation import DeviationModel
from edgenas.latency.profile import open_device
from edgenas.latency.table import EMULATED, ESTIMATED, Calibration, Entry, LatencyTable
from edgenas.progress import Track, quiet
from edgenas.space import SearchSpace

NETWORKS = 10
_SEED = 404


def transfer(
    prior: LatencyTable,
    space: SearchSpace,
    device: DeviceProfile,
    target: LatencyTarget,
    path: Path,
    execution: Execution,
    *,
    networks: int = NETWORKS,
    rounds: int = ROUNDS,
    allow_emulated: bool = False,
    track: Track = quiet,
) -> LatencyTable:
    """Estimate a device's table, save it at `path` and return it: the prior's blocks, at the new device's speed, each as much
    slower or faster as the networks timed there say; see `DeviationModel`.

    prior: any table that covers the space. networks: how many are timed, at least 3. The check is on these
    networks, each predicted from the others; the table's kind is "estimated". Raises EdgeNASError as `profile` does, also where
    the prior fails its check.
    """
    prior.require_plausible(space)
    costs_ms = prior.costs(space)
    provenance = open_device(device, target, execution, allow_emulated)
    # At random. Those of which the prior knows least are extremes of one kind: replayed between published tables, five of them
    # left a mean error of 8.2 %, five random ones 7.2 %; ten and twenty were as good, with wider intervals.
    chosen = space.sample(np.random.default_rng(_SEED), networks)
    bench = Bench(target, execution, rounds)
    measured_ms = bench.network_ms(space, chosen, track, f"timing whole networks on {device.name}")

    overhead_ms, counts = prior.calibration(space).overhead_ms, block_counts(space, chosen)
    adapted = adapt(costs_ms, overhead_ms, alike(space), counts, measured_ms)
    named = zip(space.distinct_blocks, adapted.costs_ms, adapted.spread_ms, strict=True)
    checked = check(left_out(costs_ms, overhead_ms, alike(space), counts, measured_ms), measured_ms)
    table = LatencyTable(
        device.name, execution,
        kind=EMULATED if provenance.emulated else ESTIMATED,
        provenance=provenance if provenance.emulated else replace(provenance, method=(
            f"from the table of {prior.device} ({prior.kind}, {prior.execution}) and {networks} whole networks timed here")),
        entries={spec.key: Entry(float(ms), float(spread), 0) for spec, ms, spread in named},
        calibrations={space.fingerprint: Calibration(adapted.overhead_ms, 1.0, 0.0, len(chosen), checked)},
    )  # fmt: skip
    table.require_plausible(space)
    table.save(path)
    return table


class Adapted(NamedTuple):
    """What `(B,)` blocks cost on a new device, how uncertain that is, and the overhead of one inference."""

    costs_ms: np.ndarray
    spread_ms: np.ndarray
    overhead_ms: float

    def predict(self, counts: np.ndarray) -> np.ndarray:
        """`(n, B)` numbers of blocks -> `(n,)` ms."""
        return self.overhead_ms + counts @ self.costs_ms


def adapt(
    costs_ms: np.ndarray, overhead_ms: float, groups: Sequence[Sequence[Hashable]], counts: np.ndarray, measured_ms: np.ndarray
) -> Adapted:
    """From `(B,)` costs on one device and n networks on another, `(n, B)` numbers of blocks and `(n,)` ms: its speed, then how
    far each block deviates from that. groups: see `DeviationModel`."""
    speed = float(np.exp(np.log(measured_ms / (overhead_ms + counts @ costs_ms)).mean()))
    model = DeviationModel(speed * costs_ms, groups).fit(counts, speed * (overhead_ms + counts @ costs_ms), measured_ms)
    return Adapted(speed * costs_ms * (1 + model.corrections), speed * costs_ms * model.spread, speed * overhead_ms)


def left_out(
    costs_ms: np.ndarray, overhead_ms: float, groups: Sequence[Sequence[Hashable]], counts: np.ndarray, measured_ms: np.ndarray
) -> np.ndarray:
    """`(n,)` ms: each network as `adapt` predicts it from the others."""
    n = len(measured_ms)
    others = [np.arange(n) != i for i in range(n)]
    return np.array([
        adapt(costs_ms, overhead_ms, groups, counts[kept], measured_ms[kept]).predict(counts[~kept])[0] for kept in others
    ])  # fmt: skip
