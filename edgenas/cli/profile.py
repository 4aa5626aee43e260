"""`edgenas profile`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from edgenas.bars import track
from edgenas.cli.answering import Answering, reply
from edgenas.cli.display import answer, conclude
from edgenas.cli.options import PATH, SECONDS, SPACE_HELP, Resolutions, device_names
from edgenas.cli.show_latency import about_table, show_drift, show_table
from edgenas.cli.stopping import exit_status
from edgenas.device import load_device, precisions
from edgenas.errors import UsageError
from edgenas.latency import LatencyTable, table_path
from edgenas.names import pasted
from edgenas.pipeline.profile import check_table, pack_bundle, profile_device, read_bundle
from edgenas.pipeline.quickstart import three_budgets
from edgenas.run import Run
from edgenas.space import DEFAULT_PRESET, SearchSpace, get_space


@click.command("profile", cls=Answering)
@click.option(
    "--device", default="cpu", show_default=True, shell_complete=device_names,
    help="A device profile: cpu, pi4, or your own in devices/.",
)  # fmt: skip
@click.option(
    "--on",
    metavar="local|ssh://USER@HOST[:PORT]|browser[:adb]|adb[:SERIAL]",
    help="Where the device is.  [default: local, if it is this machine]",
)
@click.option("--provision", is_flag=True, help="With ssh: copy the runtime to a device that lacks it, even without internet.")
@click.option("--binary", type=PATH, metavar="FILE", help="With adb: LiteRT's benchmark_model for the phone.")
@click.option("--bundle", type=PATH, metavar="ZIP", help="Write what measures a device without a network.")
@click.option("--from", "result", type=PATH, metavar="JSON", help="Read what a bundle measured.")
@click.option("--check", is_flag=True, help="Time a few entries of the table again and say whether it still holds.")
@click.option("--prior", type=PATH, metavar="TABLE", help="Estimate from another device's table and ten runs.")
@click.option("--run", type=PATH, help="Measure what the space of this run can reach.  [default: the latest run]")
@click.option("--space", "family", metavar="NAME|FILE", help=f"Measure a space before there is a run. {SPACE_HELP}")
@click.option("--preset", help=f"With --space: the scale of a family.  [default: {DEFAULT_PRESET}]")
@click.option("--width", type=float, default=1.0, show_default=True, help="With --space: multiplies all channels.")
@click.option("--resolutions", type=Resolutions(), help="With --space: image sizes, such as 96,112.  [default: the preset's]")
@click.option("--classes", type=int, default=10, show_default=True, help="With --space.")
@click.option(
    "--runtime",
    help="onnxruntime, litert, openvino, opencv, ncnn; in a browser onnxruntime-web-webgpu or -wasm; on a phone litert-gpu or "
    "litert-nnapi, too.  [default: the device's]",
)
@click.option("--threads", type=int, help="[default: the device's]")
@click.option("--precision", type=click.Choice(precisions()), default="fp32", show_default=True)
@click.option("--time", "seconds", type=SECONDS, help="Spend about this long, such as 5m, instead of a fixed number of rounds.")
@click.option("--fresh", is_flag=True, help="Measure again what has been measured.")
@click.option("--allow-emulated", is_flag=True, help="Accept a device under qemu or a software GPU: a trial, no measurement.")
def command(
    device: str, on: str | None, provision: bool, binary: Path | None, bundle: Path | None, result: Path | None, check: bool,
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
    edgenas profile --device android --on adb --binary benchmark_model --runtime litert-gpu --threads 1
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
        checked = check_table(chosen, on=on, runtime=runtime, threads=threads, precision=precision, binary=binary, track=track)
        show_drift(checked)
        reply(checked)
        checked.require_that_it_holds()
        answer("The table still holds.")
        return
    opened, space = _run_and_space(run, family, preset, classes, width, resolutions)
    if bundle is not None:
        pack_bundle(bundle, chosen, space, runtime=runtime, threads=threads, precision=precision, track=track)
        reply({"bundle": bundle})
        answer(f"Saved: {bundle}. Unpack it on the device, run python3 measure.py there, bring result.json back, and run: "
            f"edgenas profile --device {pasted(chosen.name)} --from result.json")  # fmt: skip
        return
    if result is not None:
        measured = read_bundle(chosen, space, result, allow_emulated=allow_emulated, track=track)
    else:
        with _stoppable(fresh):
            measured = profile_device(
                chosen, space, on=on, provision=provision, runtime=runtime, threads=threads, precision=precision,
                seconds=seconds, fresh=fresh, allow_emulated=allow_emulated, prior=prior, binary=binary,
                track=track,
            )  # fmt: skip
    show_table(measured, space)
    path = table_path(measured.device, measured.execution)
    conclude(f"Saved: {path}.", *(_search(opened, measured) if opened else ()))
    reply({"path": path} | about_table(measured, space))


@contextmanager
def _stoppable(fresh: bool) -> Iterator[None]:
    """Stopped, what was measured would be forgotten by the same command where that begins afresh."""
    try:
        yield
    except KeyboardInterrupt as stop:
        if not fresh:
            raise
        click.echo("\nStopped. What was measured is kept: the same command without --fresh goes on from there.", err=True)
        raise SystemExit(exit_status(stop)) from None


def _run_and_space(path: Path | None, family: str | None, *settings: Any) -> tuple[Run | None, SearchSpace]:
    """What is to be measured: the space of a run, or one that there is no run of yet. settings: the other options of that."""
    if family is not None:
        preset, classes, width, resolutions = settings
        return None, get_space(family, preset, classes, width=width, resolutions=resolutions)
    try:
        run = Run.latest() if path is None else Run.open(path)
    except UsageError:
        if path is not None:
            raise
        raise UsageError("There is no trained run in runs/: name one with --run, or a space with --space.") from None
    return run, run.space


def _search(run: Run, table: LatencyTable) -> list[str | Path]:
    """A search that can find something: within twice what the fastest subnet surely keeps."""
    device, runtime = load_device(table.device), table.execution.runtime
    _, budget_ms, _ = three_budgets(run.space, table)
    elsewhere = [] if runtime == device.runtime else ["--runtime", runtime]
    return ["search", run.path, "--device", table.device, *elsewhere, "--latency", f"{budget_ms:g}ms"]
