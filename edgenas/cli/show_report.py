"""What is shown of a report: tables of winners, classes and baselines, and sentences."""

from __future__ import annotations

from collections.abc import Sequence

from edgenas.cli.display import answer, answer_all, conclude, percent, scored, tabulate
from edgenas.cli.show_devices import show_comparison as show_device_comparison
from edgenas.names import pasted
from edgenas.pipeline.report import Report
from edgenas.report import ClassRow, Contestant, Row, on_prediction, side_by_side
from edgenas.run import Run

WORST = 10  # classes that are shown


def show_report(run: Run, report: Report) -> None:
    if report.rows:
        show_rows(report.rows)
        show_classes(report.classes)
        show_comparison(report.files)
    else:
        answer(f"No file has been verified yet: edgenas export {pasted(run.path)}, then edgenas verify {pasted(run.path)}.")
    for front in (front for record in report.records for front in record.fronts):
        answer_all(on_prediction(front))
    if report.devices:
        show_device_comparison(report.devices)
    for picture in report.pictures:
        answer(f"Drawn: {picture}")
    answer_all(report.judgement)
    if report.page is not None:
        conclude(f"Written: {report.page}, the same and more: open it in a browser.")


def show_rows(rows: Sequence[Row]) -> None:
    lines = [
        [
            row.name + ("" if row.on_device else " *"),
            row.timed_in + (" (EMULATED)" if row.emulated else ""),
            row.id,
            "-" if row.predicted_ms is None else f"{row.predicted_ms:.3f}",
            f"{row.measured_ms:.3f}" + " >" * row.is_over,
            *([sustained(row)] if any(row.sustained for row in rows) else []),
            "-" if row.error is None else f"{100 * row.error:+.1f} %",
            "-" if row.max_difference is None else f"{row.max_difference:.0e}",
            f"{row.file_bytes / 1024:.0f}",
            validation(row),
            percent(row.torch_accuracy),
            scored(row.exported),
        ]
        for row in rows
    ]
    columns = [
        "<budget",
        "<runtime",
        "<subnet",
        "predicted ms",
        "measured ms",
        *(["median, p99 without a pause"] if any(row.sustained for row in rows) else []),
        "error",
        "max diff",
        "KiB",
        "validation",
        "torch accuracy",
        "exported",
    ]
    metrics = ", ".join(dict.fromkeys(row.validation.label for row in rows))
    title = f"{metrics}, with 95 % intervals, on validation images and, exported, on test images; latency of one where verified"
    tabulate(title[0].upper() + title[1:], columns, lines, keys=2)
    if any(row.is_over for row in rows):
        answer("> Slower than its budget.")
    if not all(row.on_device for row in rows):
        answer("* Verified elsewhere than on that device: the latencies beside say nothing of the budget.")
    for id_, architecture in dict.fromkeys((row.id, row.architecture) for row in rows):
        answer(f"{id_}  {architecture}")


def show_comparison(files: Sequence[Contestant]) -> None:
    """Winners and baselines, a table for every machine and number of threads: a file in a line, its runtimes side by side."""
    if not any(file.is_baseline for file in files):
        return
    for compared in side_by_side(files):
        rows = [
            [
                line.of.title,
                "by hand" if line.of.is_baseline else "search",
                str(line.of.resolution),
                line.of.begins_with,
                "-" if line.of.training_seconds is None else f"{line.of.training_seconds / 60:.1f}",
                scored(line.of.score),
                *(f"{line.ms[runtime]:.3f}" if runtime in line.ms else "-" for runtime in compared.runtimes),
                f"{line.of.file_bytes / 1024:.0f}",
                ", ".join(line.beaten_by) or "-",
            ]
            for line in compared.lines
        ]
        test = f"test {files[0].score.label}"
        columns = ["<network", "<by", "px", "<begins with", "minutes", test, *(f"{r} ms" for r in compared.runtimes), "KiB",
                   "<no slower and no worse"]  # fmt: skip
        images = compared.lines[0].of.images
        title = f"Beside networks that people pick by hand: {images} test images, latency of one on {compared.where}"
        tabulate(title, columns, rows)


def sustained(row: Row) -> str:
    found = row.sustained
    return "-" if found is None else f"{found.median_ms:.3f}, {found.p99_ms:.3f}"


def validation(row: Row) -> str:
    """On the validation images, before and after where the subnet is fine-tuned."""
    before = "" if row.inherited is None else f"{percent(row.inherited.value)} -> "
    return before + scored(row.validation)


def show_classes(rows: Sequence[ClassRow]) -> None:
    """The worst classes. Runtimes agree on a verified subnet, so that each is shown once."""
    once = list({(row.id, row.label): row for row in rows if row.images}.values())
    lines = [
        [
            row.label,
            row.id,
            str(row.images),
            percent(row.recall),
            percent(row.precision),
            row.taken_for or "-",
        ]
        for row in once[:WORST]
    ]
    columns = ["<class", "<subnet", "test images", "recall", "precision", "<most often taken for"]
    tabulate(f"Worst {len(lines)} of {len(once)} classes of the subnets; all are in classes.csv", columns, lines)
