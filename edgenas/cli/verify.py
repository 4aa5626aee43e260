"""`edgenas verify`."""

from __future__ import annotations

from pathlib import Path

import click

from edgenas.cli.display import console, percent, say, table, track
from edgenas.cli.judgement import show_judgement
from edgenas.cli.options import data_option, open_run, run_argument
from edgenas.data import Dataset
from edgenas.device import DeviceProfile, load_device, ssh_target, tflite_runtime_python
from edgenas.errors import ParityError, UsageError
from edgenas.export import ExportedModel, Place, Verification, load_exports, verify
from edgenas.latency import open_device, timed_tables
from edgenas.training import Run


@click.command("verify")
@run_argument
@click.option("--device", help="Verify what was chosen for this device, on the device itself; with --on.")
@click.option("--on", metavar="ssh://USER@HOST[:PORT]", help="Where the device is.")
@click.option("--provision", is_flag=True, help="Copy the runtime to a device that lacks it, even without internet.")
@click.option("--images", type=click.IntRange(min=1), help="Use so many test images, for a slow device.  [default: all]")
@click.option("--allow-emulated", is_flag=True, help="Accept a device under qemu: its outputs count, its latency does not.")
@data_option
def command(
    run: Path | None, device: str | None, on: str | None, provision: bool, images: int | None, allow_emulated: bool,
    data: str | None,
) -> None:  # fmt: skip
    """Prove each exported file in its runtimes: outputs equal to torch's, accuracy on the test images, latency.

    \b
    edgenas verify runs/photos
    edgenas verify runs/photos --device pi4 --on ssh://pi@raspberrypi.local

    Here, ONNX files run in ONNX Runtime, TFLite files in LiteRT and in tflite-runtime; on a device, the files that were chosen
    for it run in the runtime that they were chosen for. A file whose outputs differ is renamed to *.rejected, and the command
    fails.
    """
    if (device is None) != (on is None):
        raise UsageError("--device and --on belong together: name the device and say where it is.")
    if provision and on is None:
        raise UsageError("--provision is for a device: say which with --device and --on.")
    opened = open_run(run)
    dataset = opened.dataset(data, track)
    if on is None:
        results = verify_run(opened, dataset, images)
    else:
        results = verify_on(
            opened, dataset, load_device(device), on, images, provision=provision, allow_emulated=allow_emulated
        )
    show(results)
    rejected = [f"{model.folder / v.file} in {v.runtime}" for model, rows in results for v in rows if not v.passed]
    if rejected:
        raise ParityError(
            f"Outputs differ from torch's, renamed to *.rejected: {', '.join(rejected)}. Export again, and please report it."
        )
    show_judgement(opened, "files")
    say(f"Next: edgenas report {opened.path}")


def verify_run(run: Run, dataset: Dataset, images: int | None = None) -> list[tuple[ExportedModel, list[Verification]]]:
    """All exported files, on this machine."""
    models = _exports(run)
    if tflite_runtime_python() is None and any(file.suffix == ".tflite" for model in models for file in model.files):
        say(
            "Not verified in tflite-runtime, which is not installed (bash tools/tflite_runtime.sh does that): "
            "TFLite files run in LiteRT alone."
        )
    tables = timed_tables()
    return [(model, verify(model, run.space, dataset, tables, track, images=images)) for model in models]


def verify_on(
    run: Run, dataset: Dataset, device: DeviceProfile, on: str, images: int | None, *, provision: bool, allow_emulated: bool
) -> list[tuple[ExportedModel, list[Verification]]]:
    """The files that were chosen for a device, on that device."""
    device.require_reach(remotely=True)
    chosen: dict[tuple[str, int], list[ExportedModel]] = {}
    for model in _exports(run):
        for key in dict.fromkeys((b["runtime"], b["threads"]) for b in model.budgets if b["device"] == device.name):
            chosen.setdefault(key, []).append(model)
    if not chosen:
        raise UsageError(f"No file of {run.path} was chosen for {device.name}: run edgenas search {run.path} --device "
                         f"{device.name} --latency 30ms, then edgenas export {run.path}.")  # fmt: skip
    tables, results = timed_tables(), []
    for (runtime, threads), models in chosen.items():
        with ssh_target(on, runtime, provision=provision) as target:
            environment = open_device(device, target, runtime, threads, "fp32", allow_emulated)
            place = Place(runtime, target, environment, threads, device.name)
            results += [
                (model, verify(model, run.space, dataset, tables, track, places=[place], images=images)) for model in models
            ]
    return results


def _exports(run: Run) -> list[ExportedModel]:
    models = load_exports(run.path / "export")
    if not models:
        raise UsageError(f"{run.path} has nothing to verify: run edgenas export {run.path} first.")
    return models


def show(results: list[tuple[ExportedModel, list[Verification]]]) -> None:
    rows = [
        [
            model.architecture.id,
            v.file,
            f"{v.runtime} {v.runtime_version}",
            "passed" if v.passed else "FAILED",
            f"{v.parity.max_difference:.1e}",
            percent(v.parity.agreement),
            percent(v.torch_accuracy),
            percent(v.accuracy),
            "-" if v.predicted_ms is None else f"{v.predicted_ms:.3f}",
            f"{v.latency_ms:.3f}",
        ]
        for model, verifications in results
        for v in verifications
    ]
    columns = [
        "<id",
        "<file",
        "<runtime",
        "<parity",
        "max diff",
        "same top-1",
        "torch",
        "accuracy",
        "predicted ms",
        "emulated ms" if any(v.emulated for _, verifications in results for v in verifications) else "measured ms",
    ]
    first = results[0][1][0]
    where = f"{first.device}{', EMULATED: no measurement' if first.emulated else ''}" if first.device else "this machine"
    console.print(table(f"On {first.images} test images; latency of 1 image on {where}", columns, rows))
    slowest = max((v.slowdown for _, verifications in results for v in verifications), default=1.0)
    if slowest > 1.1:
        say(
            f"Just now the machine is {100 * (slowest - 1):.0f} % slower than when its latency table was measured; "
            "latencies are stated for its speed then."
        )
