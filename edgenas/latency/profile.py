"""Measuring a device: every block of a space once, then whole networks that tell how blocks add up and how well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

import numpy as np

from edgenas.device import DeviceProfile, Execution, LatencyTarget, Provenance, require_precision
from edgenas.errors import EdgeNASError
from edgenas.latency.bench import GROUP_MODELS, ROUNDS, STATISTIC, Bench, block_chains
from edgenas.latency.calibration import Calibrator
from edgenas.latency.table import EMULATED, ESTIMATED, MEASURED, LatencyTable
from edgenas.progress import Track, quiet
from edgenas.space import BlockSpec, SearchSpace

SESSIONS, SESSION_NETWORKS = 6, 10
"""Random networks are timed in so many processes, so many in each; see `calibrate`."""

NETWORKS_SEED = 101

NARROW = 0.04
"""The relative interval at which no more networks are timed, even if there is time left."""

REFUSED = ".refused"
"""Of the name of a table that failed its check."""

BATCH, POOL, MOST_BATCHES = 8, 400, 10
"""Networks timed at once when there is time left, chosen among so many, so often at most."""


def profile(
    space: SearchSpace,
    device: DeviceProfile,
    target: LatencyTarget,
    path: Path,
    execution: Execution,
    *,
    rounds: int = ROUNDS,
    seconds: float | None = None,
    fresh: bool = False,
    allow_emulated: bool = False,
    track: Track = quiet,
) -> LatencyTable:
    """Measure what the table at `path` does not hold yet, calibrate it for the space, check it, and return it.

    rounds: interleaved rounds per group of models. seconds: about how long timing may take, in place of `rounds`.
        What is left of it goes to networks that the calibration is least certain of, until its interval is `NARROW`.
    fresh: forget what the table holds. allow_emulated: write down what an emulator takes, as such.

    The table is saved after every group, so an interrupted run goes on where it stopped. Raises EdgeNASError when the
    table comes from another machine or runtime version, when the target is no such device or an emulated one, and when the
    table fails its check: then it is put aside, and what has passed one before stays.
    """
    provenance = open_device(device, target, execution, allow_emulated)
    path, passed = Path(path), _checked_before(Path(path))
    table = _open_table(device.name, path, execution, provenance, fresh)
    missing = table.missing(space)
    if table.covers(space):
        return table
    parts = schedule(space, missing)
    bench = Bench(target, execution, rounds, seconds, sum(map(len, parts)), table.reference_ms)

    # An entry that is new may change what the sum of the others was fitted to.
    table.calibrations.pop(space.fingerprint, None)
    calibrator = Calibrator(table, space)
    for part in track(parts, f"timing blocks and whole networks on {device.name}", len(parts)):
        if isinstance(part, np.ndarray):
            calibrator.add(part, bench.network_ms(space, part), drawn=bool(calibrator.sessions))
            continue
        for group in bench.measure_blocks(block_chains(part)):
            table.reference_ms = bench.reference_ms
            # Alone, every block carries the time of a session that does nothing.
            alone = {key: replace(e, latency_ms=max(0.0, e.latency_ms - bench.empty_ms)) for key, e in group.items()}
            table.entries |= alone
            table.save(path)

    if all(table.entries[spec.key].latency_ms <= 0 for spec in space.distinct_blocks):
        raise EdgeNASError(f"No block of {space.name} takes longer than an empty model on {device.name}: what answers times no "
                           "networks. Measure again with `fresh`.")  # fmt: skip
    calibration = calibrator.calibrate()
    for _ in range(MOST_BATCHES):
        # What is left of the time goes to the networks that teach most; those that check stay random, so that it is fair.
        if calibration.relative_interval() <= NARROW or not bench.seconds or bench.seconds < 0:
            break
        pool = space.sample(np.random.default_rng(sum(len(s.genomes) for s in calibrator.sessions)), POOL)
        chosen = calibrator.least_certain(pool, BATCH)
        bench.models_left = len(chosen)
        measured_ms = bench.network_ms(space, chosen, track, f"timing more networks on {device.name}")
        calibrator.add(chosen, measured_ms, drawn=False)
        calibration = calibrator.calibrate()
    table.provenance = table.provenance.until(provenance, target.environment(execution.runtime))
    _require_passed(table, space, path, passed)
    table.save(path)
    return table


def _checked_before(path: Path) -> LatencyTable | None:
    """The table at `path`, where there is one of which any part has been checked."""
    try:
        table = LatencyTable.load(path)
    except EdgeNASError:
        return None
    return table if table.calibrations else None


def _require_passed(table: LatencyTable, space: SearchSpace, path: Path, before: LatencyTable | None) -> None:
    """Raises EdgeNASError for a table that fails its check, and puts it where nothing reads it: its entries, of which some were
    saved on the way, are as doubtful as their sum. before: what stays in its place."""
    try:
        table.require_plausible(space)
    except EdgeNASError as error:
        aside = path.with_suffix(REFUSED)
        table.save(aside)
        if before is None:
            path.unlink(missing_ok=True)
        else:
            before.save(path)
        raise EdgeNASError(f"{error} It was put aside as {aside}, which nothing reads.") from None


def open_device(device: DeviceProfile, target: LatencyTarget, execution: Execution, allow_emulated: bool) -> Provenance:
    """The provenance of what a target measures. Raises EdgeNASError when that would be no measurement of the device."""
    require_precision(execution.runtime, execution.precision)
    there = target.environment(execution.runtime)
    device.require_arch(there.machine)
    provenance = replace(there.on(execution), statistic=STATISTIC)
    if not provenance.emulated:
        return provenance
    if not allow_emulated:
        raise EdgeNASError(f"This {device.name} is emulated: its times say nothing about a real one. "
                           "For a trial, which is marked as such, add `allow_emulated`.")  # fmt: skip
    return replace(provenance, method="timed in an emulator, which says nothing about the device")


def schedule(space: SearchSpace, missing: Sequence[BlockSpec]) -> list[np.ndarray | Sequence[BlockSpec]]:
    """What is timed one after the other: sessions of networks, as genomes, and groups of blocks. The networks come before,
    between and after the blocks, so that they see what the machine does in all that time."""
    ends, *drawn = planned_networks(space)
    groups = [missing[i : i + GROUP_MODELS] for i in range(0, len(missing), GROUP_MODELS)]
    parts: list[np.ndarray | Sequence[BlockSpec]] = [ends]
    for group, sessions in zip_longest(groups, np.array_split(np.stack(drawn), len(groups) + 1)):
        parts += [*sessions, group] if group else [*sessions]
    return parts


def planned_networks(space: SearchSpace) -> list[np.ndarray]:
    """Genomes of whole networks, session by session: first the smallest and largest at every resolution, which every fit has,
    so that it never extrapolates; then random ones. Always the same."""
    ends = [space.encode(space.architecture(r, pick, pick)) for r in _spread(space.resolutions, 3) for pick in (min, max)]
    drawn = space.sample(np.random.default_rng(NETWORKS_SEED), SESSIONS * SESSION_NETWORKS)
    return [np.stack(ends), *np.split(drawn, SESSIONS)]


def _spread(values: tuple[int, ...], n: int) -> list[int]:
    """At most `n` of the values, evenly spread, first and last among them."""
    return [values[i] for i in sorted({int(i) for i in np.linspace(0, len(values) - 1, n)})]


def _open_table(
    device: str, path: Path, execution: Execution, provenance: Provenance, fresh: bool
) -> LatencyTable:  # fmt: skip
    """The table at `path`, or a new one. Raises EdgeNASError when what is measured now would not fit in it."""
    kind = EMULATED if provenance.emulated else MEASURED
    if fresh or not path.exists():
        return LatencyTable(device, execution, kind=kind, provenance=provenance)
    table = LatencyTable.load(path)
    table.require_of(device, execution, path)
    if table.kind == ESTIMATED:
        return LatencyTable(device, execution, kind=kind, provenance=provenance)
    if (table.execution, table.kind) != (execution, kind):
        raise EdgeNASError(f"{path} holds {table.kind} latencies of another execution ({table.execution}, now {execution}): "
                           "choose another file, or measure everything again with `fresh`.")  # fmt: skip
    for name, words in (("fingerprint", "another machine"), ("runtime_version", f"another version of {execution.runtime}")):
        then, now = getattr(table.provenance, name), getattr(provenance, name)
        if then != now:
            raise EdgeNASError(f"{path} was measured on {words} ({then}, now {now}): "
                               "measure everything again with `fresh`, or name this device differently.")  # fmt: skip
    return table
