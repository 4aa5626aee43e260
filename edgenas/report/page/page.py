"""The page: what a run has shown, in one HTML file that needs nothing else, not even a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files as resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas import names
from edgenas.export import ExportedModel, Verification
from edgenas.extras import require
from edgenas.files import now, write_text
from edgenas.metric import label_of
from edgenas.report.classes import ClassRow, rows_of
from edgenas.report.comparison import judged_by, side_by_side
from edgenas.report.devices import in_words, lost_in_words
from edgenas.report.page.content import Content
from edgenas.report.page.svg import as_svg
from edgenas.report.plot import evaluated_figure, front_figures, training_figure
from edgenas.report.plot_devices import devices_figure
from edgenas.report.prediction import on_prediction
from edgenas.run import Run
from edgenas.search import SearchRecord
from edgenas.statistics import wilson

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEMPLATE = "page.html.j2"
MOST_CLASSES = 40
"""Of which a confusion matrix is drawn."""


@dataclass(frozen=True)
class Live:
    """Of a page that is served, and follows its run: the script that does that, and the version that it compares."""

    script: str
    version: str


def write_page(path: Path, run: Run, content: Content) -> None:
    """Raises EdgeNASError without the extra `report`."""
    write_text(path, render_page(run, content))


def render_page(run: Run, content: Content, live: Live | None = None) -> str:
    """As HTML; without a script unless it is live. Raises EdgeNASError without the extra `report`."""
    require("report", "The page")
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"percent": _percent, "printable": names.printable, "ms": _ms}
    template = environment.from_string(resources(__package__).joinpath(TEMPLATE).read_text(encoding="utf-8"))
    return template.render(_context(run, content) | {"live": live})


def _context(run: Run, content: Content) -> dict[str, Any]:
    about, metrics = run.config["data"], run.metrics()
    figures = _figures(run, content, metrics)
    return {
        "name": names.of_file(run.path.name),
        "source": names.of_file(about["source"]),
        "images": about["images"],
        "class_names": run.classes,
        "begins_with": run.provenance.get("pretrained", {}),
        "recipe": run.recipe.to_dict(),
        "is_trained": run.weights.exists(),
        "metrics": metrics,
        "space": run.space.name,
        "count": run.space.count(),
        "content": content,
        "figures": {what: as_svg(figure, f"figure{i}", what) for i, (what, figure) in enumerate(figures.items())},
        "compared": side_by_side(content.files),
        "metric": judged_by(run),
        "predictions": [line for record in content.records for front in record.fronts for line in on_prediction(front)],
        "provenances": _provenances(content.records),
        "classes": _classes(content.best),
        "confusion": _confusion(content.best),
        "on_devices": in_words(content.devices) if content.devices else [],
        "lost": lost_in_words,
        "kernels": sorted({kernel for network in content.networks.values() for kernel in network.kernels} & {1, 3, 5, 7}),
        "commands": run.commands(),
        "version": version("edgenas"),
        "date": now(),
    }  # fmt: skip


def _figures(run: Run, content: Content, metrics: list[dict[str, Any]]) -> dict[str, Figure]:
    """By what they show."""
    figures: dict[str, Figure] = {}
    for each in content.under_way:
        what = f"validation {label_of(each.sought.metric)} and predicted latency on {each.sought.device} ({each.execution})"
        figure = evaluated_figure(each.sought, each.execution, each.kind, each.evaluated)
        figures[f"What is evaluated for a search that has not ended: {what}"] = figure
    for front in content.fronts:
        figures |= dict(front_figures(front.records, front.evaluated, content.rows, content.files))
    if content.devices:
        figures["devices"] = devices_figure(content.devices, content.evaluated_for_devices)
    if any("largest_validation_accuracy" in row for row in metrics):
        figures["training"] = training_figure(metrics, has_ended=run.weights.exists())
    return figures


def _provenances(records: Sequence[SearchRecord]) -> list[tuple[str, dict[str, Any]]]:
    """Of the latencies that searches went by, each device and execution once."""
    found = {
        f"{r.device}, {r.execution}": {"kind": r.latency_kind} | r.latency_provenance.to_json()
        for record in records
        for r in record.fronts
    }
    return list(found.items())


def _classes(best: tuple[ExportedModel, Verification] | None) -> list[tuple[ClassRow, tuple[float, float]]]:
    """Of each class that there are test images of, with the interval of its recall; the worst first."""
    rows = [] if best is None else [(row, row.recall) for row in rows_of(*best)]
    known = sorted(((row, recall) for row, recall in rows if recall is not None), key=lambda pair: pair[1])
    return [(row, wilson(recall, row.images)) for row, recall in known]


def _confusion(best: tuple[ExportedModel, Verification] | None) -> list[list[tuple[int, float]]] | None:
    """Counts, each with its share of the row; None where there are too many classes to look at."""
    if best is None or len(best[1].confusion) > MOST_CLASSES:
        return None
    confusion = np.array(best[1].confusion)
    shares = confusion / np.maximum(1, confusion.sum(1, keepdims=True))
    return [list(zip(map(int, row), map(float, part), strict=True)) for row, part in zip(confusion, shares, strict=True)]


def _percent(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{100 * value:.{digits}f} %"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
