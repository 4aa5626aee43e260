"""Report: a run's results as values, and in its folder as a page, report.json, classes.csv, confusion.csv and pictures."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from edgenas.data import Dataset
from edgenas.device import load_device
from edgenas.device.execution import precision_suffix
from edgenas.extras import is_installed
from edgenas.files import write_json
from edgenas.latency import load_table
from edgenas.pipeline.devices import PICTURE as DEVICES_PICTURE
from edgenas.pipeline.devices import comparable
from edgenas.pipeline.gathering import gather, images_of, place_of, with_drawings, with_images
from edgenas.pipeline.winners import require_records
from edgenas.progress import Track, quiet
from edgenas.report import (
    ClassRow,
    Contestant,
    DeviceComparison,
    Row,
    class_rows,
    plot_devices,
    plot_front,
    write_classes,
)
from edgenas.report.page import Content, write_page
from edgenas.run import Run
from edgenas.search import SearchRecord
from edgenas.search.record import metric_suffix
from edgenas.values import checked, plain
from edgenas.values.kinds import GivenText

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
    compared = comparable(run, records)
    content, classes = gather(run, records, compared), class_rows(run)
    report = Report(
        tuple(content.rows), tuple(content.files), tuple(classes), tuple(records), (), tuple(content.judgement), None,
        content.devices,
    )  # fmt: skip
    write_json(run.path / "report.json", report.kept())
    write_classes(run.path, run, classes)
    if not is_installed("report", "The page, with its pictures,"):
        return report
    tables = {place_of(r): load_table(load_device(r.device), run.space, r.execution, allow_emulated=True) for r in records}
    content = with_drawings(content, run, compared, tables)
    pictures, page = draw(run, content, track), run.path / PAGE
    write_page(page, run, with_images(content, images_of(run, data, track), track))
    return replace(report, pictures=tuple(pictures), page=page)


def draw(run: Run, content: Content, track: Track = quiet) -> list[Path]:
    """Write a picture for every device, execution and metric that was searched for, and one of several devices."""
    pictures: list[Path] = []
    for front in track(content.fronts, "Drawing", len(content.fronts)):
        first = front.records[0]
        about = precision_suffix(first.execution.precision) + metric_suffix(first.metric)
        name = f"front-{first.device}-{first.execution.runtime}{about}.png" if pictures else "front.png"
        plot_front(run.path / name, front.records, front.evaluated, content.rows, content.files)
        pictures.append(run.path / name)
    if content.devices:
        plot_devices(run.path / DEVICES_PICTURE, content.devices, content.evaluated_for_devices)
        pictures.append(run.path / DEVICES_PICTURE)
    return pictures
