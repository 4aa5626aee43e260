"""`edgenas verify`."""

from __future__ import annotations

from pathlib import Path

import click

from edgenas.cli.display import console, percent, say, table, track
from edgenas.cli.options import data_option, open_run, run_argument
from edgenas.data import Dataset
from edgenas.errors import ParityError, UsageError
from edgenas.export import ExportedModel, Verification, load_exports, verify
from edgenas.latency import measured_tables, tflite_runtime_python
from edgenas.training import Evaluator, Run


@click.command("verify")
@run_argument
@data_option
def command(run: Path | None, data: str | None) -> None:
    """Prove each exported file in its runtimes: outputs equal to torch's, accuracy on the test images, latency.

    \b
    edgenas verify runs/photos

    ONNX files run in ONNX Runtime, TFLite files in LiteRT and in tflite-runtime. A file whose outputs differ is
    renamed to *.rejected, and the command fails.
    """
    opened = open_run(run)
    results = verify_run(opened, opened.dataset(data, track))
    show(results)
    rejected = [f"{model.folder / v.file} in {v.runtime}" for model, rows in results for v in rows if not v.passed]
    if rejected:
        raise ParityError(
            f"Outputs differ from torch's, renamed to *.rejected: {', '.join(rejected)}. Export again, and please report it."
        )
    say(f"Next: edgenas report {opened.path}")


def verify_run(run: Run, dataset: Dataset) -> list[tuple[ExportedModel, list[Verification]]]:
    models = load_exports(run.path / "export")
    if not models:
        raise UsageError(f"{run.path} has nothing to verify: run edgenas export {run.path} first.")
    if tflite_runtime_python() is None and any(file.suffix == ".tflite" for model in models for file in model.files):
        say(
            "Not verified in tflite-runtime, which is not installed (bash tools/tflite_runtime.sh does that): "
            "TFLite files run in LiteRT alone."
        )
    evaluator, tables = Evaluator(run.supernet(), dataset), measured_tables(run.space)
    return [(model, verify(model, run.space, evaluator, tables, track)) for model in models]


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
        "measured ms",
    ]
    images = results[0][1][0].images if results and results[0][1] else 0
    console.print(table(f"On {images} test images; latency of 1 image on this machine", columns, rows))
    slowest = max((v.slowdown for _, verifications in results for v in verifications), default=1.0)
    if slowest > 1.1:
        say(
            f"Just now this machine is {100 * (slowest - 1):.0f} % slower than when its latency table was measured; "
            "latencies are stated for its speed then."
        )
