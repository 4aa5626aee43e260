"""What a run has shown, gathered as values for its page. Nothing is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from edgenas.data import DataReport, Dataset
from edgenas.device import Execution
from edgenas.errors import EdgeNASError
from edgenas.export import ExportedModel, Verification, load_exports, load_verifications
from edgenas.latency import LatencyTable
from edgenas.metric import Metric
from edgenas.pipeline.devices import compare, evaluated
from edgenas.pipeline.evaluations import known_evaluations
from edgenas.progress import Track, quiet
from edgenas.report import contestants, judge, judged_by, summarise
from edgenas.report.page import Content, Front, draw_network, worst_mistakes
from edgenas.run import Run
from edgenas.search import Ledger, SearchRecord
from edgenas.space import Architecture
from edgenas.training import load_images

Place = tuple[str, Execution]
"""A device, and how it computes."""


def place_of(record: SearchRecord) -> Place:
    return record.device, record.execution


def gather(run: Run, records: Sequence[SearchRecord], compared: Sequence[SearchRecord]) -> Content:
    """All but what is drawn and what is in the images, which `with_drawings` and `with_images` add.

    records: what the run's searches found. compared: those for several devices (`edgenas.pipeline.devices.comparable`).
    """
    files = contestants(run)
    devices = compare(run, compared) if compared else None
    return Content(records, summarise(run), files, judge(run, files), devices=devices, best=_best(run))


def with_drawings(
    content: Content, run: Run, compared: Sequence[SearchRecord], tables: Mapping[Place, LatencyTable]
) -> Content:
    """With all that was evaluated, and the networks block by block, where there are tables of the places searched for."""
    drawn = [record for record in content.records if place_of(record) in tables]
    groups = groupby(drawn, key=lambda record: (*place_of(record), record.metric))

    def front(records: list[SearchRecord], metric: str) -> Front:
        table = tables[place_of(records[0])]
        ledger = known_evaluations(run, Metric.named(metric, run.classes), table.execution.precision)
        return Front(records, points(run, table, ledger))

    return replace(
        content,
        fronts=[front(list(group), metric) for (_, _, metric), group in groups],
        networks={r.label: draw_network(run.space, r.best.architecture, tables[place_of(r)]) for r in drawn},
        evaluated_for_devices=evaluated(run, compared) if compared else (),
    )


def points(run: Run, table: LatencyTable, ledger: Ledger[Architecture]) -> np.ndarray:
    """`(n, 2)`: of all that was evaluated the predicted latency in ms, and how well it does by the ledger's metric."""
    genomes, value = ledger.arrays()
    return np.stack([table.predict(run.space, genomes), value], axis=1)


@dataclass(frozen=True)
class Images:
    """A run's images, and what is to be said of them. why: they are not to be had."""

    dataset: Dataset | None = None
    report: DataReport | None = None
    why: str = ""


def images_of(run: Run, data: str | Dataset | None = None, track: Track = quiet) -> Images:
    """data: where they are now, or they."""
    try:
        dataset = load_images(run, data, track)
    except EdgeNASError as error:
        return Images(why=str(error))
    return Images(dataset, DataReport.of(dataset))


def with_images(content: Content, images: Images, track: Track = quiet) -> Content:
    """With what they show: facts of their own, and the worst mistakes of the best network."""
    best, dataset = content.best, images.dataset
    mistakes = worst_mistakes(best[0], dataset, track) if best and dataset else ()
    return replace(content, mistakes=mistakes, data=images.report, without_images=images.why)


def _best(run: Run) -> tuple[ExportedModel, Verification] | None:
    """The best of the verified models, and the verification that says so; of equal ones the fastest."""
    metric = judged_by(run)
    verified = [(model, v) for model in load_exports(run.path / "export") for v in load_verifications(model.folder) if v.passed]
    return max(verified, key=lambda pair: (pair[1].score(metric).value, -pair[1].latency_ms), default=None)
