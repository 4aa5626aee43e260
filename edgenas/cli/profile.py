"""`edgenas profile`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from edgenas.cli.display import say, track
from edgenas.cli.options import SECONDS, SPACE_HELP, Resolutions
from edgenas.device import (
    BundleTarget,
    DeviceProfile,
    LatencyTarget,
    Stopwatch,
    browser_target,
    load_device,
    python_target,
    ssh_target,
)
from edgenas.device.runtimes import PRECISIONS
from edgenas.device.ssh import CACHE
from edgenas.errors import EdgeNASError, UsageError
from edgenas.latency import LatencyTable, check_drift, profile, table_path, transfer, write_bundle
from edgenas.space import DEFAULT_PRESET, SearchSpace, get_space
from edgenas.training import Run


@click.command("profile")
@click.option("--device", default="cpu", show_default=True, help="A device profile: cpu, pi4, or your own in devices/.")
@click.option(
    "--on",
    metavar="local|ssh://USER@HOST[:PORT]|browser[:adb]",
    help="Where the device is.  [default: local, if it is this machine]",
)
@click.option("--provision", is_flag=True, help="With ssh: copy the runtime to a device that lacks it, even without internet.")
@click.option(
    "--bundle", type=click.Path(path_type=Path), metavar="ZIP", help="Write what measures a device without a network."
)
@click.option("--from", "result", type=click.Path(path_type=Path), metavar="JSON", help="Read what a bundle measured.")
@click.option("--check", is_flag=True, help="Time a few entries of the table again and say whether it still holds.")
@click.option(
    "--prior", type=click.Path(path_type=Path), metavar="TABLE", help="Estimate from another device's table and ten runs."
)
@click.option(
    "--run", type=click.Path(path_type=Path), help="Measure what the space of this run can reach.  [default: the latest run]"
)
@click.option("--space", "family", metavar="NAME|FILE", help=f"Measure a space before there is a run. {SPACE_HELP}")
@click.option("--preset", help=f"With --space: the scale of a family.  [default: {DEFAULT_PRESET}]")
@click.option("--width", type=float, default=1.0, show_default=True, help="With --space: multiplies all channels.")
@click.option("--resolutions", type=Resolutions(), help="With --space: image sizes, such as 96,112.  [default: the preset's]")
@click.option("--classes", type=int, default=10, show_default=True, help="With --space.")
@click.option("--runtime", help="onnxruntime or litert; in a browser onnxruntime-web-webgpu or -wasm.  [default: the device's]")
@click.option("--threads", type=click.IntRange(min=1), help="[default: the device's]")
@click.option("--precision", type=click.Choice(tuple(PRECISIONS)), default="fp32", show_default=True)
@click.option("--time", "seconds", type=SECONDS, help="Spend about this long, such as 5m, instead of a fixed number of rounds.")
@click.option("--fresh", is_flag=True, help="Measure again what has been measured.")
@click.option("--allow-emulated", is_flag=True, help="Accept a device under qemu or a software GPU: a trial, no measurement.")
def command(
    device: str, on: str | None, provision: bool, bundle: Path | None, result: Path | None, check: bool,
    prior: Path | None, run: Path | None,
    family: str | None, preset: str | None, width: float, resolutions: tuple[int, ...] | None, classes: int,
    runtime: str | None, threads: int | None,
    precision: str, seconds: float | None, fresh: bool, allow_emulated: bool,
) -> None:  # fmt: skip
    """Measure a device: the latency of every block that a space can reach, and how well their sums predict networks.

    \b
    edgenas profile --device cpu
    edgenas profile --device cpu --runtime litert --space mobilenetv3 --preset tiny
    edgenas profile --device pi4 --on ssh://pi@raspberrypi.local --provision
    edgenas profile --device pi4 --bundle pi4.zip     # unpack it there, run python3 measure.py, take result.json back
    edgenas profile --device pi4 --from result.json
    edgenas profile --device mobile-gpu --on browser  # shows a page for the phone to open
    edgenas profile --device cpu --check
    edgenas profile --device cpu --threads 2 --prior devices/cpu/onnxruntime-fp32-1t.json

    The table is kept in devices/ in the working folder. Interrupted, it goes on where it stopped.
    """
    chosen = load_device(device)
    if sum(way is not None for way in (on, bundle, result)) > 1:
        raise UsageError("--on, --bundle and --from exclude each other.")
    chosen.require_reach(remotely=any(way is not None for way in (on, bundle, result)))
    if run is not None and family is not None:
        raise UsageError("--run and --space exclude each other.")
    if check:
        show_drift(chosen, on, runtime or chosen.runtime, threads or chosen.threads, precision)
        return
    space = get_space(family, preset, classes, width=width, resolutions=resolutions) if family else _run_space(run)
    if bundle is not None:
        runtime, threads = runtime or chosen.runtime, threads or chosen.threads
        write_bundle(bundle, space, chosen.name, runtime=runtime, threads=threads, precision=precision, track=track)
        say(f"Saved: {bundle}. Unpack it on the device, run python3 measure.py there, bring result.json back, and run: "
            f"edgenas profile --device {chosen.name} --from result.json")  # fmt: skip
        return
    if result is not None:
        measured = read_bundle(chosen, space, result, allow_emulated=allow_emulated)
    else:
        measured = measure(
            chosen, space, on=on, provision=provision, runtime=runtime, threads=threads, precision=precision, seconds=seconds,
            fresh=fresh, allow_emulated=allow_emulated, prior=prior,
        )  # fmt: skip
    show(measured, space)
    say(f"Saved: {table_path(measured.device, measured.runtime, measured.threads, measured.precision)}")


def measure(
    device: DeviceProfile, space: SearchSpace, *, on: str | None = None, provision: bool = False, runtime: str | None = None,
    threads: int | None = None, precision: str = "fp32", seconds: float | None = None, fresh: bool = False,
    allow_emulated: bool = False, prior: Path | None = None,
) -> LatencyTable:  # fmt: skip
    """Measure a device where it is, or estimate its table from a prior. Raises EdgeNASError, saying how, when it cannot be
    measured there."""
    runtime, threads = runtime or device.runtime, threads or device.threads
    path = table_path(device.name, runtime, threads, precision)
    device.require_reach(remotely=on is not None)
    with _target(on or "local", runtime, provision) as target:
        if prior is not None:
            return transfer(
                LatencyTable.load(prior), space, device, target, path, runtime=runtime, threads=threads, precision=precision,
                allow_emulated=allow_emulated, track=track,
            )  # fmt: skip
        watched, start = Stopwatch(target), time.monotonic()
        table = profile(
            space, device, watched, path, runtime=runtime, threads=threads, precision=precision, seconds=seconds,
            fresh=fresh, allow_emulated=allow_emulated, track=track,
        )  # fmt: skip
        show_pace(watched, table, time.monotonic() - start)
        return table


def show_pace(watched: Stopwatch, table: LatencyTable, seconds: float) -> None:
    entries = len(watched.timed & table.entries.keys())
    if entries:
        say(f"{entries} entries in {seconds:.0f} s, whole networks and check included: {60 * entries / seconds:.0f} a minute; "
            f"{100 * watched.seconds / seconds:.0f} % of the time in the timer, opening the models included.")  # fmt: skip


def read_bundle(device: DeviceProfile, space: SearchSpace, result: Path, *, allow_emulated: bool = False) -> LatencyTable:
    """The table of what a bundle measured, in place of the one that is there."""
    target = BundleTarget.load(result, space, device.name)
    header = target.header
    path = table_path(device.name, header.runtime, header.threads, header.precision)
    return profile(
        space, device, target, path, runtime=header.runtime, threads=header.threads, precision=header.precision,
        rounds=header.rounds, fresh=True, allow_emulated=allow_emulated, track=track,
    )  # fmt: skip


@contextmanager
def _target(on: str, runtime: str, provision: bool) -> Iterator[LatencyTarget]:
    if provision and not on.startswith("ssh:"):
        raise UsageError("--provision is for a device at ssh://: install the runtime here with pip.")
    if on == "local":
        yield python_target()
    elif on.startswith("browser"):
        with browser_target(on, runtime, say, track) as target:
            yield target
    else:
        with ssh_target(on, runtime, provision=provision) as target:
            yield target
        say(f"Nothing is left on {on} but {CACHE}, if you used --provision.")


def show_drift(device: DeviceProfile, on: str | None, runtime: str, threads: int, precision: str) -> None:
    """Raises EdgeNASError when the device's table no longer holds, so that scripts notice."""
    path = table_path(device.name, runtime, threads, precision)
    table = LatencyTable.load(path)
    with _target(on or "local", runtime, provision=False) as target:
        drift = check_drift(table, target, track)
    say(
        f"{path}: {drift.entries} entries timed again. The machine takes {drift.speed:.2f} times as long as then; on top of "
        f"that entries changed by {100 * drift.median_change:+.1f} % (median), {100 * drift.worst_change:+.1f} % (worst)."
    )
    for change in drift.changes:
        say(f"Changed {change}")
    if not drift.holds:
        raise EdgeNASError(
            f"{path} no longer holds: let the machine cool and rest and check again, or measure it with --fresh."
        )
    say("The table still holds.")


def show(measured: LatencyTable, space: SearchSpace) -> None:
    calibration = measured.calibration(space)
    check, about = calibration.check, measured.provenance
    where = (f"{space.name} on {measured.device} ({about['cpu']}), {measured.runtime} {about['runtime_version']}, "
             f"{measured.precision}, {measured.threads} thread(s)")  # fmt: skip
    kind = "measured" if measured.measured else f"{measured.kind.upper()} {about['method']}"
    say(f"{where}: {len(space.distinct_blocks)} blocks {kind}.")
    say(f"Check on {len(check.errors)} subnets, each predicted without it: mean error {100 * check.mean_error:.1f} %, "
        f"worst {100 * check.worst_error:.1f} %, Spearman {check.spearman:.3f}; "
        f"90 % of subnets lie within {100 * calibration.relative_interval(0.9):.1f} %.")  # fmt: skip


def _run_space(path: Path | None) -> SearchSpace:
    if path is not None:
        return Run.open(path).space
    try:
        return Run.latest().space
    except UsageError:
        raise UsageError("There is no trained run in runs/: name one with --run, or a space with --space.") from None
