"""Whether a table still holds: a few of its entries timed again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgenas.device.targets import LatencyTarget
from edgenas.errors import EdgeNASError
from edgenas.latency.bench import Bench, block_chains
from edgenas.latency.table import LatencyTable
from edgenas.progress import Track, quiet
from edgenas.space import BlockSpec

ENTRIES = 24
TOLERANCE = 0.1
"""By how much the machine's speed, and the typical entry, may have changed. Both are known to about 2 %."""

_WATCHED = {"fingerprint": "machine", "runtime_version": "runtime version", "governor": "CPU governor"}


@dataclass(frozen=True)
class Drift:
    """What has changed since a table was measured.

    speed: how much longer the reference network takes now, as a factor. median_change, worst_change: of the entries, relative,
    on top of that. changes: what else is different, in words.
    """

    entries: int
    speed: float
    median_change: float
    worst_change: float
    changes: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return max(self.speed, 1 / self.speed) <= 1 + TOLERANCE and abs(self.median_change) <= TOLERANCE


def check_drift(table: LatencyTable, target: LatencyTarget, track: Track = quiet) -> Drift:
    """Time entries from all over a table again. Raises EdgeNASError for a table that was not measured."""
    if table.reference_ms is None:
        raise EdgeNASError(
            f"The table of {table.device} was not measured on it, so there is nothing to check: measure it first."
        )
    now = target.environment(table.execution.runtime)
    now.require_cores(table.execution)
    changes = tuple(f"{words}: {getattr(table.provenance, name)}, now {getattr(now, name)}" for name, words in _WATCHED.items()
                    if getattr(table.provenance, name) != getattr(now, name))  # fmt: skip
    # The short ones would tell more about the clock than about the device.
    keys = sorted(table.entries, key=lambda key: table.entries[key].latency_ms)[len(table.entries) // 2 :]
    chosen = [keys[int(i)] for i in np.linspace(0, len(keys) - 1, min(ENTRIES, len(keys)))]
    bench = Bench(target, table.execution, reference_ms=table.reference_ms)
    again: dict[str, float] = {}
    for group in bench.measure_blocks(
        track(block_chains(map(BlockSpec.from_key, chosen)), "timing entries again", len(chosen))
    ):
        again |= {key: entry.latency_ms - bench.empty_ms for key, entry in group.items()}
    ratios = np.array([again[key] / table.entries[key].latency_ms for key in chosen])
    worst = ratios[np.abs(np.log(np.maximum(ratios, 1e-9))).argmax()]
    return Drift(len(chosen), bench.slowdown, float(np.median(ratios) - 1), float(worst - 1), changes)
