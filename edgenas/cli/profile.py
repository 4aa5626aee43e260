"""`edgenas profile`."""

from __future__ import annotations

from pathlib import Path

import click

from edgenas.cli.display import say, track
from edgenas.cli.options import SECONDS
from edgenas.errors import EdgeNASError, UsageError
from edgenas.latency import DeviceProfile, LatencyTable, load_device, profile, python_target, table_path
from edgenas.space import SearchSpace, get_space
from edgenas.training import Run


@click.command("profile")
@click.option("--device", default="cpu", show_default=True, help="A device profile: cpu, or your own in devices/.")
@click.option(
    "--run", type=click.Path(path_type=Path), help="Measure what the space of this run can reach.  [default: the latest run]"
)
@click.option("--space", "family", help="Measure a space before there is a run: its family, such as mobilenetv3.")
@click.option("--preset", default="small", show_default=True, help="With --space.")
@click.option("--classes", type=int, default=10, show_default=True, help="With --space.")
@click.option("--runtime", help="onnxruntime or litert.  [default: the device's]")
@click.option("--threads", type=click.IntRange(min=1), help="[default: the device's]")
@click.option("--time", "seconds", type=SECONDS, help="Spend about this long, such as 5m, instead of a fixed number of rounds.")
@click.option("--fresh", is_flag=True, help="Measure again what has been measured.")
def command(
    device: str, run: Path | None, family: str | None, preset: str, classes: int, runtime: str | None, threads: int | None,
    seconds: float | None, fresh: bool,
) -> None:  # fmt: skip
    """Measure a device: the latency of every block that a space can reach, and how well their sums predict networks.

    \b
    edgenas profile --device cpu
    edgenas profile --device cpu --runtime litert --space mobilenetv3 --preset tiny

    The table is kept in devices/ in the working folder. Interrupted, it goes on where it stopped.
    """
    chosen = load_device(device)
    if run is not None and family is not None:
        raise UsageError("--run and --space exclude each other.")
    space = get_space(family, preset, classes) if family else _run_space(run)
    measured = measure(chosen, space, runtime=runtime, threads=threads, seconds=seconds, fresh=fresh)
    show(measured, space)
    say(f"Saved: {table_path(measured.device, measured.runtime, measured.threads)}")


def measure(
    device: DeviceProfile, space: SearchSpace, *, runtime: str | None = None, threads: int | None = None,
    seconds: float | None = None, fresh: bool = False,
) -> LatencyTable:  # fmt: skip
    """Measure this machine. Raises EdgeNASError for a device that it is not."""
    if device.name != "cpu" and device.arch != _this_arch():
        raise EdgeNASError(
            f"{device.name} is {device.arch}, and this machine is {_this_arch()}: run edgenas profile --device "
            f"{device.name} on the device itself, and copy its devices/{device.name}/ folder here."
        )
    runtime, threads = runtime or device.runtime, threads or device.threads
    path = table_path(device.name, runtime, threads)
    return profile(
        space, device.name, python_target(), path, runtime=runtime, threads=threads, seconds=seconds, fresh=fresh, track=track
    )


def show(measured: LatencyTable, space: SearchSpace) -> None:
    check = measured.calibration(space).check
    about = measured.provenance
    say(
        f"{space.name} on {measured.device} ({about['cpu']}), {measured.runtime} {about['runtime_version']}, "
        f"{measured.threads} thread(s): {len(space.distinct_blocks)} blocks measured."
    )
    say(
        f"Held-out check on {check.networks} random subnets: mean error {100 * check.mean_error:.1f} %, "
        f"worst {100 * check.worst_error:.1f} %, Spearman {check.spearman:.3f}; 90 % within {100 * check.error_quantile:.1f} %."
    )


def _run_space(path: Path | None) -> SearchSpace:
    if path is not None:
        return Run.open(path).space
    try:
        return Run.latest().space
    except UsageError:
        raise UsageError(
            "There is no trained run in runs/: name one with --run, or a space with --space and --preset."
        ) from None


def _this_arch() -> str:
    import platform

    return platform.machine()
