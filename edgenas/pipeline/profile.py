"""Measure a device: its latency table for a space, from wherever the device is."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgenas.device import (
    BundleTarget,
    DeviceProfile,
    LatencyTarget,
    Stopwatch,
    TrialTarget,
    browser_target,
    load_device,
    phone_target,
    python_target,
    ssh_target,
)
from edgenas.device.ssh import CACHE
from edgenas.errors import EdgeNASError, UsageError
from edgenas.latency import Drift, LatencyTable, check_drift, profile, table_path, transfer, write_bundle
from edgenas.progress import Track, quiet
from edgenas.space import SearchSpace
from edgenas.values import checked
from edgenas.values.kinds import GivenPath, NewFile, Seconds, Threads

log = logging.getLogger("edgenas")


@dataclass(frozen=True)
class Checked:
    """How far the table at `path` still holds."""

    path: Path
    drift: Drift

    def require_that_it_holds(self) -> None:
        """Raises EdgeNASError where it does not, so that scripts notice."""
        if not self.drift.holds:
            raise EdgeNASError(
                f"{self.path} no longer holds", "let the machine cool and rest and check again, or measure it with `fresh`."
            )


@checked
def profile_device(
    device: DeviceProfile | str, space: SearchSpace, *, on: str | None = None, provision: bool = False,
    runtime: str | None = None, threads: Threads | None = None, precision: str = "fp32", seconds: Seconds | None = None,
    fresh: bool = False, allow_emulated: bool = False, prior: GivenPath | None = None, binary: GivenPath | None = None,
    track: Track = quiet,
) -> LatencyTable:  # fmt: skip
    """Measure a device where it is, or estimate its table from a prior; it is kept in devices/ of the working folder.

    on: `local`, `ssh://USER@HOST[:PORT]` (provision: copy the runtime there), `browser` or `browser:adb`, `adb` or `adb:SERIAL`
    (binary: LiteRT's benchmark_model for the phone).
    runtime, threads: the device's unless told otherwise. seconds: how long to measure, about, in place of a number of rounds.
    fresh: measure again what has been measured. allow_emulated: accept an emulator; the table says so.
    prior: another device's table, from which this one is estimated with a few timings.

    Raises EdgeNASError, saying how, when the device cannot be measured there. Interrupted, the next call goes on.
    """
    device = load_device(device) if isinstance(device, str) else device
    execution = device.execution(runtime=runtime, threads=threads, precision=precision)
    path = table_path(device.name, execution)
    device.require_reach(remotely=on is not None)
    with _target("local" if on is None else on, execution.runtime, provision, binary, track) as target:
        if prior is not None:
            return _warned(transfer(
                LatencyTable.load(prior), space, device, target, path, execution, allow_emulated=allow_emulated, track=track
            ))  # fmt: skip
        watched, start = Stopwatch(target), time.monotonic()
        table = profile(
            space, device, watched, path, execution, seconds=seconds, fresh=fresh, allow_emulated=allow_emulated, track=track
        )
        _tell_pace(watched, table, time.monotonic() - start)
        return _warned(table)


def _warned(table: LatencyTable) -> LatencyTable:
    for sentence in table.provenance.warnings:
        log.warning(sentence)
    return table


def _tell_pace(watched: Stopwatch, table: LatencyTable, seconds: float) -> None:
    entries = len(watched.timed & table.entries.keys())
    if entries:
        log.info(
            f"{entries} entries in {seconds:.0f} s, whole networks and check included: {60 * entries / seconds:.0f} a minute; "
            f"{100 * watched.seconds / seconds:.0f} % of the time in the timer, opening the models included."
        )


@checked
def pack_bundle(
    bundle: NewFile, device: DeviceProfile, space: SearchSpace, *, runtime: str | None = None, threads: Threads | None = None,
    precision: str = "fp32", track: Track = quiet,
) -> None:  # fmt: skip
    """Write what measures a device without a network: a .zip to be unpacked and run there."""
    execution = device.execution(runtime=runtime, threads=threads, precision=precision)
    write_bundle(bundle, space, device.name, execution, track=track)


@checked
def read_bundle(
    device: DeviceProfile, space: SearchSpace, result: GivenPath, *, allow_emulated: bool = False, track: Track = quiet
) -> LatencyTable:
    """The table of what a bundle measured, in place of the one that is there."""
    target = BundleTarget.load(result, space, device.name)
    header = target.header
    path = table_path(device.name, header.execution)
    return _warned(profile(
        space, device, target, path, header.execution, rounds=header.rounds, fresh=True, allow_emulated=allow_emulated,
        track=track,
    ))  # fmt: skip


def check_table(
    device: DeviceProfile, *, on: str | None = None, runtime: str | None = None, threads: int | None = None,
    precision: str = "fp32", binary: Path | None = None, track: Track = quiet,
) -> Checked:  # fmt: skip
    """Time a few entries of a device's table again."""
    execution = device.execution(runtime=runtime, threads=threads, precision=precision)
    path = table_path(device.name, execution)
    table = LatencyTable.load(path)
    with _target(on or "local", execution.runtime, False, binary, track) as target:
        return Checked(path, check_drift(table, target, track))


def require_way(on: str, provision: bool, binary: Path | None) -> None:
    """Raise UsageError for options that are for devices that are reached in another way."""
    if provision and not on.startswith("ssh:"):
        raise UsageError("`provision` is for a device at ssh://: install the runtime here with pip.")
    if binary is not None and not on.startswith("adb"):
        raise UsageError("`binary` is what a phone runs: add `on` adb.")


@contextmanager
def reached(on: str, runtime: str, provision: bool, binary: Path | None, track: Track) -> Iterator[TrialTarget]:
    """A device at ssh:// or at adb."""
    if on.startswith("adb"):
        with phone_target(on, runtime, binary, track) as phone:
            yield phone
    else:
        with ssh_target(on, runtime, provision=provision) as target:
            yield target


@contextmanager
def _target(on: str, runtime: str, provision: bool, binary: Path | None, track: Track) -> Iterator[LatencyTarget]:
    require_way(on, provision, binary)
    if on == "local":
        yield python_target()
    elif on.startswith("browser"):
        with browser_target(on, runtime, log.info, track) as browser:
            yield browser
    else:
        with reached(on, runtime, provision, binary, track) as target:
            yield target
        if not on.startswith("adb"):
            log.info(f"Nothing is left on {on} but {CACHE}, if you used `provision`.")
