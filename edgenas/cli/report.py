"""`edgenas report`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

import click
import numpy as np

from edgenas.cli.display import console, percent, say, table
from edgenas.cli.options import open_run, run_argument
from edgenas.cli.search import prediction_lines, run_ledger
from edgenas.device import load_device
from edgenas.errors import UsageError
from edgenas.files import write_json
from edgenas.latency import load_table
from edgenas.report import (
    ClassRow,
    Contestant,
    Row,
    beaten_by,
    class_rows,
    contestants,
    judge,
    plot_front,
    summarise,
    write_classes,
)
from edgenas.search import load_records
from edgenas.training import Run

WORST = 10  # classes that are shown


@click.command("report")
@run_argument
def command(run: Path | None) -> None:
    """Show a run's results: tables, report.json, classes.csv, confusion.csv, and the front as a picture.

    \b
    edgenas report runs/photos

    What edgenas baseline has trained is shown beside the winners.
    """
    report_run(open_run(run))


def report_run(run: Run) -> list[Row]:
    records = load_records(run.path / "search")
    if not records:
        raise UsageError(
            f"{run.path} has no search to report on: run edgenas search {run.path} --device cpu --latency 2ms first."
        )
    rows, files, sentences = summarise(run), contestants(run), judge(run)
    classes = class_rows(run)
    if rows:
        show(rows)
        show_classes(classes)
        show_comparison(files)
    else:
        say(f"No file has been verified yet: edgenas export {run.path}, then edgenas verify {run.path}.")
    for record in records:
        console.print("\n".join(prediction_lines(record)))
    baselines = [asdict(file) for file in files if file.is_baseline]
    write_json(
        run.path / "report.json",
        {"winners": [asdict(row) for row in rows], "baselines": baselines, "judgement": sentences},
    )
    write_classes(run.path, run, classes)
    ledger = run_ledger(run)
    first = True
    for (device, runtime), group in groupby(records, key=lambda r: (r.device, r.runtime)):
        latencies = load_table(load_device(device), run.space, runtime=runtime, allow_emulated=True)
        genomes, accuracy = ledger.arrays()
        evaluated = np.stack([latencies.predict(run.space, genomes), accuracy], axis=1)
        path = run.path / ("front.png" if first else f"front-{device}-{runtime}.png")
        first = False
        plot_front(path, list(group), evaluated, rows, files)
        say(f"Drawn: {path}")
    for sentence in sentences:
        say(sentence)
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


def show_comparison(files: list[Contestant]) -> None:
    """Winners and baselines, a table for every machine and number of threads: a file in a line, its runtimes side by side."""
    if not any(file.is_baseline for file in files):
        return
    for (device, _, threads), group in _grouped(files, lambda f: (f.device, f.fingerprint, f.threads)):
        runtimes = list(dict.fromkeys(file.runtime for file in group))
        lines = [
            [
                name,
                "by hand" if same[0].is_baseline else "search",
                str(same[0].resolution),
                same[0].begins_with,
                "-" if same[0].training_seconds is None else f"{same[0].training_seconds / 60:.1f}",
                percent(same[0].accuracy),
                *(next((f"{f.latency_ms:.3f}" for f in same if f.runtime == runtime), "-") for runtime in runtimes),
                f"{same[0].file_bytes / 1024:.0f}",
                ", ".join(dict.fromkeys(f"{b.name}" for f in same for b in beaten_by(f, group))) or "-",
            ]
            for (name, _), same in _grouped(group, lambda f: (f.name, f.is_baseline))
        ]
        columns = ["<network", "<by", "px", "<begins with", "minutes", "test", *(f"{r} ms" for r in runtimes), "KiB",
                   "<no slower and no less accurate"]  # fmt: skip
        where = f"{device or 'this machine'}, {threads} thread{'s' * (threads > 1)}"
        where += ", EMULATED: no measurement" * group[0].emulated
        title = f"Beside networks that people pick by hand: {group[0].images} test images, latency of one on {where}"
        console.print(table(title, columns, lines))


def _grouped(files: list[Contestant], key: Callable[[Contestant], tuple]) -> list[tuple[tuple, list[Contestant]]]:
    """Files with the same key together, in the order in which keys first appear."""
    groups: dict[tuple, list[Contestant]] = {}
    for file in files:
        groups.setdefault(key(file), []).append(file)
    return list(groups.items())


def validation(row: Row) -> str:
    """Accuracy on the validation images, before and after where the subnet is fine-tuned."""
    before = "" if row.inherited_accuracy is None else f"{percent(row.inherited_accuracy)} -> "
    return before + percent(row.validation_accuracy)


def show_classes(rows: list[ClassRow]) -> None:
    """The worst classes. Runtimes agree on a verified subnet, so that each is shown once."""
    once = list({(row.id, row.label): row for row in rows if row.images}.values())
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
