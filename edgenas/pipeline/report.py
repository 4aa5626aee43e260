"""Report: a run's results as values, and as report.json, classes.csv, confusion.csv and pictures in its folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from edgenas.device import load_device
from edgenas.device.execution import precision_suffix
from edgenas.extras import is_installed
from edgenas.files import write_json
from edgenas.latency import load_table
from edgenas.metric import Metric
from edgenas.pipeline.search import run_ledger
from edgenas.pipeline.winners import require_records
from edgenas.report import ClassRow, Contestant, Row, class_rows, contestants, judge, plot_front, summarise, write_classes
from edgenas.run import Run
from edgenas.search import SearchRecord


@dataclass(frozen=True)
class Report:
    """rows: the verified winners, one for every budget and runtime. files: winners and baselines. judgement: sentences on all.

    classes: how well each is told from the others, the worst first. records: what the searches found. pictures: as PNG; none
    without the extra `report`.
    """

    rows: tuple[Row, ...]
    files: tuple[Contestant, ...]
    classes: tuple[ClassRow, ...]
    records: tuple[SearchRecord, ...]
    pictures: tuple[Path, ...]
    judgement: tuple[str, ...]


def report_run(run: Run) -> Report:
    """Gather, write and draw a run's results. Raises UsageError where nothing was searched for yet."""
    records = require_records(run, "report on")
    rows, files, classes = summarise(run), contestants(run), class_rows(run)
    judgement = judge(run, files)
    write_json(
        run.path / "report.json",
        {
            "winners": [asdict(row) for row in rows],
            "baselines": [asdict(file) for file in files if file.is_baseline],
            "judgement": judgement,
        },
    )
    write_classes(run.path, run, classes)
    pictures = _drawn(run, records, rows, files)
    return Report(tuple(rows), tuple(files), tuple(classes), tuple(records), tuple(pictures), tuple(judgement))


def _drawn(run: Run, records: list[SearchRecord], rows: list[Row], files: list[Contestant]) -> list[Path]:
    """A picture for every device and runtime that was searched for."""
    if not is_installed("report", "The picture of the front"):
        return []
    pictures: list[Path] = []
    for (device, execution), group in groupby(records, key=lambda r: (r.device, r.execution)):
        those = list(group)
        genomes, value = run_ledger(run, Metric.named(those[0].metric, run.classes)).arrays()
        latencies = load_table(load_device(device), run.space, execution, allow_emulated=True)
        evaluated = np.stack([latencies.predict(run.space, genomes), value], axis=1)
        path = run.path / (
            f"front-{device}-{execution.runtime}{precision_suffix(execution.precision)}.png" if pictures else "front.png"
        )
        plot_front(path, those, evaluated, rows, files)
        pictures.append(path)
    return pictures
