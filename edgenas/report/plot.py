"""A run as pictures: how it was trained, and its accuracy/latency front."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from edgenas.files import replacing
from edgenas.report.summary import Row
from edgenas.search import SearchRecord, pareto_front


def plot_training(path: Path, metrics: list[dict[str, Any]]) -> None:
    """Draw the validation accuracies of the largest and the smallest subnet over the training, and save them as PNG.

    metrics: as `Run.metrics` gives them, at least one with accuracies in it.
    """
    _save(path, training_figure(metrics))


def training_figure(metrics: list[dict[str, Any]]) -> Figure:
    figure, axes = _figure()
    measured = [row for row in metrics if "largest_validation_accuracy" in row]
    minutes = [row["seconds"] / 60 for row in measured]
    for name, marker in (("largest", "o-"), ("smallest", "s-")):
        accuracy = [100 * row[f"{name}_validation_accuracy"] for row in measured]
        axes.plot(minutes, accuracy, marker, ms=4, label=f"{name} subnet: {accuracy[-1]:.1f} % in the end")
    begins = [(before["seconds"] / 60, row["phase"]) for before, row in pairwise(metrics) if row["phase"] != before["phase"]]
    for minute, phase in [(0.0, metrics[0]["phase"]), *begins]:
        _mark(axes, minute, phase)
    axes.set_xlabel("training in minutes, without evaluations")
    axes.set_ylabel("top-1 accuracy on validation images in %")
    axes.grid(alpha=0.3)
    axes.legend(loc="best", fontsize=9)
    return figure


def plot_front(path: Path, records: list[SearchRecord], evaluated: np.ndarray, rows: list[Row]) -> None:
    """Draw the searches of one device and runtime, and save them as PNG.

    evaluated: `(n, 2)`: predicted latency in ms and validation accuracy in 0..1 of every subnet whose accuracy was
    measured. rows: verified exports, whose measured latency is drawn beside the prediction.
    """
    first = records[0]
    figure, axes = _figure()
    axes.scatter(evaluated[:, 0], 100 * evaluated[:, 1], s=14, color="0.75", label="evaluated subnets")

    members = {c.architecture: (c.latency_ms, c.validation_accuracy) for record in records for c in record.front}
    latency, accuracy = np.array(list(members.values())).T
    front = pareto_front(accuracy, latency)
    axes.plot(latency[front], 100 * accuracy[front], "o-", ms=4, color="C0", label="front")

    best = np.array([(record.best.latency_ms, record.best.validation_accuracy) for record in records])
    axes.plot(best[:, 0], 100 * best[:, 1], "*", ms=14, color="C3", label=f"chosen: latency by the {first.latency_kind} table")
    timed = [r for r in rows if r.on_device and (r.device, r.runtime) == (first.device, first.runtime)]
    measured = [(r.measured_ms, r.validation_accuracy) for r in timed]
    if measured:
        axes.plot(*(np.array(measured).T * [[1], [100]]), "x", ms=9, mew=2, color="k", label="chosen: exported file, timed")

    for number, record in enumerate(records):
        _mark(axes, record.budget_ms, f"{record.budget_ms:g} ms", "latency budgets" if number == 0 else None)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "235" else ""))
    kind = "latency" if first.latency_kind == "measured" else f"{first.latency_kind.upper()} latency"
    axes.set_xlabel(f"{kind} on {first.device} in ms, 1 image ({first.runtime}, {first.precision}, {first.threads} thread)")
    axes.set_ylabel("top-1 accuracy on validation images in %")
    axes.grid(alpha=0.3)
    axes.legend(loc="best", fontsize=9)
    _save(path, figure)


def _figure() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8, 5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _mark(axes: Axes, x: float, text: str, label: str | None = None) -> None:
    """A dotted line from bottom to top that says what it stands for."""
    axes.axvline(x, ls=":", lw=1, color="0.4", label=label)
    axes.annotate(f" {text}", (x, 0.01), xycoords=("data", "axes fraction"), fontsize=8, color="0.3")


def _save(path: Path, figure: Figure) -> None:
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
