"""Report: a run's results as values, and in its folder as a page, report.json, classes.csv, confusion.csv and pictures."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.data import DataReport, Dataset
from edgenas.device import load_device
from edgenas.device.execution import precision_suffix
from edgenas.errors import EdgeNASError
from edgenas.export import ExportedModel, Verification, load_exports, load_verifications
from edgenas.extras import is_installed
from edgenas.files import write_json
from edgenas.latency import load_table
from edgenas.metric import Metric
from edgenas.pipeline.devices import PICTURE as DEVICES_PICTURE
from edgenas.pipeline.devices import comparable, compare
from edgenas.pipeline.devices import evaluated as evaluated_for
from edgenas.pipeline.evaluations import run_ledger
from edgenas.pipeline.winners import require_records
from edgenas.progress import Track, quiet
from edgenas.report import (
    ClassRow,
    Contestant,
    DeviceComparison,
    Row,
    class_rows,
    contestants,
    judge,
    judged_by,
    plot_devices,
    plot_front,
    summarise,
    write_classes,
)
from edgenas.report.page import Content, DrawnNetwork, draw_network, worst_mistakes, write_page
from edgenas.report.plot import front_figures, training_figure
from edgenas.report.plot_devices import devices_figure
from edgenas.run import Run
from edgenas.search import SearchRecord
from edgenas.search.record import metric_suffix
from edgenas.training import load_images
from edgenas.values import checked, plain
from edgenas.values.kinds import GivenText

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE = "report.html"


@dataclass(frozen=True)
class Report:
    """rows: the verified winners, one for every budget and runtime. files: winners and baselines. judgement: sentences on all.

    classes: how well each is told from the others, the worst first. records: what the searches found. pictures: as PNG.
    page: all of it as one page. There are neither pictures nor a page without the extra `report`.
    devices: what was found for several devices or runtimes, side by side; None where there is one alone.
    """

    rows: tuple[Row, ...]
    files: tuple[Contestant, ...]
    classes: tuple[ClassRow, ...]
    records: tuple[SearchRecord, ...]
    pictures: tuple[Path, ...]
    judgement: tuple[str, ...]
    page: Path | None
    devices: DeviceComparison | None = None

    def kept(self) -> dict[str, Any]:
        """The content of report.json."""
        return {
            "winners": [asdict(row) for row in self.rows],
            "baselines": [asdict(file) for file in self.files if file.is_baseline],
            "judgement": list(self.judgement),
        } | ({"devices": plain(self.devices)} if self.devices else {})

    def to_json(self) -> dict[str, Any]:
        """With what was written."""
        return self.kept() | {"pictures": list(self.pictures), "page": self.page}


@checked
def report_run(run: Run, *, data: GivenText | Dataset | None = None, track: Track = quiet) -> Report:
    """Gather, write and draw a run's results.

    data: where the run's images are now, or they: for the page, which goes without where they cannot be had.
    Raises UsageError where nothing was searched for yet.
    """
    records = require_records(run, "report on")
    rows, files, classes = summarise(run), contestants(run), class_rows(run)
    judgement = judge(run, files)
    compared = comparable(run, records)
    devices = compare(run, compared) if compared else None
    report = Report(tuple(rows), tuple(files), tuple(classes), tuple(records), (), tuple(judgement), None, devices)
    write_json(run.path / "report.json", report.kept())
    write_classes(run.path, run, classes)
    content = Content(records, rows, files, judgement, devices=devices)
    if not is_installed("report", "The page, with its pictures,"):
        return report
    pictures, page = _drawn(run, content, compared, data, track)
    return replace(report, pictures=tuple(pictures), page=page)


def _drawn(
    run: Run, content: Content, compared: list[SearchRecord], data: str | Dataset | None, track: Track
) -> tuple[list[Path], Path]:
    """A picture for every device, execution and metric that was searched for, and the page. compared: on several devices."""
    pictures: list[Path] = []
    figures: dict[str, Figure] = {}
    networks: dict[str, DrawnNetwork] = {}
    by = groupby(content.records, key=lambda r: (r.device, r.execution, r.metric))
    groups = [(what, list(group)) for what, group in by]
    for (device, execution, metric), records in track(groups, "Drawing", len(groups)):
        table = load_table(load_device(device), run.space, execution, allow_emulated=True)
        ledger = run_ledger(run, Metric.named(metric, run.classes), precision=execution.precision)
        genomes, value = ledger.arrays()
        evaluated = np.stack([table.predict(run.space, genomes), value], axis=1)
        name = f"front-{device}-{execution.runtime}{precision_suffix(execution.precision)}{metric_suffix(metric)}.png"
        name = name if pictures else "front.png"
        drawn = records, evaluated, content.rows, content.files
        plot_front(run.path / name, *drawn)
        pictures.append(run.path / name)
        figures |= dict(front_figures(*drawn))
        networks |= {r.label: draw_network(run.space, r.best.architecture, table) for r in records}
    if content.devices:
        points = evaluated_for(run, compared)
        plot_devices(run.path / DEVICES_PICTURE, content.devices, points)
        pictures.append(run.path / DEVICES_PICTURE)
        figures["devices"] = devices_figure(content.devices, points)
    if any("largest_validation_accuracy" in row for row in run.metrics()):
        figures["training"] = training_figure(run.metrics())
    best, (dataset, why) = _best(run), _images(run, data, track)
    page = run.path / PAGE
    content = replace(
        content,
        figures=figures,
        networks=networks,
        best=best,
        mistakes=worst_mistakes(best[0], dataset, track) if best and dataset else (),
        data=DataReport.of(dataset) if dataset else None,
        without_images=why,
    )
    write_page(page, run, content)
    return pictures, page


def _best(run: Run) -> tuple[ExportedModel, Verification] | None:
    """The best of the verified models, and the verification that says so; of equal ones the fastest."""
    metric = judged_by(run)
    verified = [(model, v) for model in load_exports(run.path / "export") for v in load_verifications(model.folder) if v.passed]
    return max(verified, key=lambda pair: (pair[1].score(metric).value, -pair[1].latency_ms), default=None)


def _images(run: Run, data: str | Dataset | None, track: Track) -> tuple[Dataset | None, str]:
    """The run's images, or why they are not to be had."""
    try:
        return load_images(run, data, track), ""
    except EdgeNASError as error:
        return None, str(error)
