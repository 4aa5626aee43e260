"""`edgenas search`."""

from __future__ import annotations

from pathlib import Path

import click

from edgenas.cli.display import console, percent, say, table, track
from edgenas.cli.options import MILLISECONDS, data_option, open_run, run_argument
from edgenas.data import Dataset
from edgenas.latency import LatencyTable, load_device, load_table
from edgenas.search import Ledger, SearchRecord, search
from edgenas.search.ledger import weights_key
from edgenas.training import Evaluator, Run


@click.command("search")
@run_argument
@click.option(
    "--device", default="cpu", show_default=True, help="A device profile: cpu, pi4, mobile-gpu, or your own in devices/."
)
@click.option(
    "--latency",
    "budgets",
    type=MILLISECONDS,
    multiple=True,
    required=True,
    help="The budget, such as 2ms. May be given several times.",
)
@click.option("--runtime", help="Latencies in this runtime: onnxruntime or litert.  [default: the device's]")
@click.option(
    "--evaluations",
    type=click.IntRange(min=10),
    default=64,
    show_default=True,
    help="Subnets evaluated to fit the accuracy predictor.",
)
@click.option("--seed", type=int, default=0, show_default=True)
@data_option
def command(
    run: Path | None,
    device: str,
    budgets: tuple[float, ...],
    runtime: str | None,
    evaluations: int,
    seed: int,
    data: str | None,
) -> None:
    """Find the most accurate subnets whose latency on a device is within a budget.

    \b
    edgenas search runs/photos --device cpu --latency 2ms
    edgenas search --device pi4 --latency 30ms

    RUN is the latest one unless named. Subnets are compared on validation images; test images are never looked at.
    Searching again, for another budget or device, reuses every evaluation.
    """
    profile = load_device(device)
    opened = open_run(run)
    latencies = load_table(profile, opened.space, runtime=runtime)
    warn_of_estimate(latencies, opened)
    for record in search_run(opened, opened.dataset(data, track), latencies, budgets, evaluations, seed):
        show(record)
    say(f"Next: edgenas export {opened.path} --format onnx --format tflite")


def search_run(
    run: Run, dataset: Dataset, latencies: LatencyTable, budgets: tuple[float, ...], evaluations: int, seed: int
) -> list[SearchRecord]:
    """Search for every budget and keep the results in the run."""
    evaluator = Evaluator(run.supernet(), dataset)
    ledger = Ledger(run.path / "search" / "evaluations.jsonl", weights_key(run.weights))
    results = search(run.space, latencies, evaluator.accuracy, ledger, budgets, evaluations=evaluations, seed=seed, track=track)
    quality = results[0].predictor
    say(
        f"{results[0].evaluated} new evaluations, {len(ledger)} in all. Accuracy predictor: Kendall tau {quality.tau:.2f}, "
        f"error {percent(quality.error)} (cross-validated)."
    )
    records = [SearchRecord.of(result, latencies, budget) for result, budget in zip(results, budgets, strict=True)]
    for record in records:
        record.save(run.path / "search")
    return records


def warn_of_estimate(latencies: LatencyTable, run: Run) -> None:
    if latencies.measured:
        return
    relative = latencies.calibration(run.space).relative_interval
    say(
        f"{latencies.device} has not been measured: latencies are ESTIMATED, within a factor of {1 + relative:.2f} in 9 of 10 "
        f"cases (source and method: devices/{latencies.device}.toml). To measure: edgenas profile --device {latencies.device}"
    )


def show(record: SearchRecord) -> None:
    rows = [
        [
            "best" if c == record.best else "",
            c.architecture.id,
            f"{c.latency_ms:.3f}",
            f"{c.latency_low_ms:.3f} - {c.latency_high_ms:.3f}",
            percent(c.validation_accuracy),
            f"{c.macs / 1e6:.2f}",
            f"{c.parameters / 1e6:.3f}",
            f"{c.peak_memory_bytes / 1024:.0f}",
            str(c.architecture),
        ]
        for c in record.front
    ]
    ms = "ms" if record.latency_kind == "measured" else "ms, estimated"
    title = f"Front within {record.budget_ms:g} ms on {record.device} ({record.runtime}, {record.threads} thread)"
    columns = ["<", "<id", ms, "90 % interval", "validation", "MMACs", "M params", "peak KiB", "<architecture"]
    console.print(table(title, columns, rows))
