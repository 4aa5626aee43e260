"""`edgenas report`."""

from __future__ import annotations

from dataclasses import asdict
from itertools import groupby
from pathlib import Path

import click
import numpy as np

from edgenas.cli.display import console, percent, say, table
from edgenas.cli.options import open_run, run_argument
from edgenas.cli.search import prediction_lines, run_ledger
from edgenas.errors import UsageError
from edgenas.files import write_json
from edgenas.latency import load_device, load_table
from edgenas.report import ClassRow, Row, class_rows, plot_front, summarise, write_classes
from edgenas.search import load_records
from edgenas.training import Run

WORST = 10  # classes that are shown


@click.command("report")
@run_argument
def command(run: Path | None) -> None:
    """Show a run's results: tables, report.json, classes.csv, confusion.csv, and the front as a picture.

    \b
    edgenas report runs/photos
    """
    report_run(open_run(run))


def report_run(run: Run) -> list[Row]:
    records = load_records(run.path / "search")
    if not records:
        raise UsageError(
            f"{run.path} has no search to report on: run edgenas search {run.path} --device cpu --latency 2ms first."
        )
    rows = summarise(run)
    classes = class_rows(run)
    if rows:
        show(rows)
        show_classes(classes)
    else:
        say(f"No file has been verified yet: edgenas export {run.path}, then edgenas verify {run.path}.")
    for record in records:
        console.print("\n".join(prediction_lines(record)))
    write_json(run.path / "report.json", [asdict(row) for row in rows])
    write_classes(run.path, run, classes)
    ledger = run_ledger(run)
    first = True
    for (device, runtime), group in groupby(records, key=lambda r: (r.device, r.runtime)):
        latencies = load_table(load_device(device), run.space, runtime=runtime, allow_emulated=True)
        genomes, accuracy = ledger.arrays()
        evaluated = np.stack([latencies.predict(run.space, genomes), accuracy], axis=1)
        path = run.path / ("front.png" if first else f"front-{device}-{runtime}.png")
        first = False
        plot_front(path, list(group), evaluated, rows)
        say(f"Drawn: {path}")
    return rows


def show(rows: list[Row]) -> None:
    lines = [
        [
            f"{row.device} {row.budget_ms:g} ms" + ("" if row.on_device else " *"),
            row.id,
            row.runtime + (" (EMULATED)" if row.emulated else ""),
            "-" if row.predicted_ms is None else f"{row.predicted_ms:.3f}",
            f"{row.measured_ms:.3f}",
            "-" if row.error is None else f"{100 * row.error:+.1f} %",
            validation(row),
            percent(row.torch_accuracy),
            percent(row.exported_accuracy),
            f"{row.max_difference:.0e}",
            f"{row.file_bytes / 1024:.0f}",
        ]
        for row in rows
    ]
    columns = [
        "<budget",
        "<subnet",
        "<runtime",
        "predicted ms",
        "measured ms",
        "error",
        "validation",
        "torch",
        "exported",
        "max diff",
        "KiB",
    ]
    title = "Accuracy on validation images, and on test images in torch and exported; latency of one image where verified"
    console.print(table(title, columns, lines))
    if not all(row.on_device for row in rows):
        console.print("* Verified elsewhere than on that device: the latencies beside say nothing of the budget.")
    for id_, architecture in dict.fromkeys((row.id, row.architecture) for row in rows):
        console.print(f"{id_}  {architecture}")


def validation(row: Row) -> str:
    """Accuracy on the validation images, before and after where the subnet is fine-tuned."""
    before = "" if row.inherited_accuracy is None else f"{percent(row.inherited_accuracy)} -> "
    return before + percent(row.validation_accuracy)


def show_classes(rows: list[ClassRow]) -> None:
    """The worst classes. Runtimes agree on a verified subnet, so that each is shown once."""
    once = list({(row.id, row.label): row for row in rows}.values())
    lines = [
        [
            row.label,
            row.id,
            str(row.images),
            percent(row.recall),
            "-" if row.precision is None else percent(row.precision),
            row.taken_for or "-",
        ]
        for row in once[:WORST]
    ]
    columns = ["<class", "<subnet", "test images", "recall", "precision", "<most often taken for"]
    console.print(table(f"Worst {len(lines)} of {len(once)} classes of the subnets; all are in classes.csv", columns, lines))
