"""A run as pictures: how it was trained, and its accuracy/latency front."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.baseline import OWN, SCRATCH
from edgenas.device import Execution
from edgenas.extras import require
from edgenas.files import replacing
from edgenas.metric import label_of
from edgenas.report.comparison import Contestant
from edgenas.report.summary import Row
from edgenas.search import SearchRecord, Sought, pareto_front
from edgenas.training import score_in

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_training(path: Path, metrics: list[dict[str, Any]]) -> None:
    """Draw the validation accuracies of the largest and the smallest subnet over the training, and save them as PNG.

    metrics: as `Run.metrics` gives them, at least one with accuracies in it. Raises EdgeNASError without matplotlib.
    """
    save(path, training_figure(metrics))


def training_figure(metrics: list[dict[str, Any]], *, has_ended: bool = True) -> Figure:
    when = "in the end" if has_ended else "so far"
    figure, (axes,) = new_figure()
    measured = [row for row in metrics if "largest_validation_accuracy" in row]
    minutes = [row["seconds"] / 60 for row in measured]
    for name, marker in (("largest", "o-"), ("smallest", "s-")):
        value = [100 * score_in(row, name).value for row in measured]
        axes.plot(minutes, value, marker, ms=4, label=f"{name} subnet: {value[-1]:.1f} % {when}")
    begins = [(before["seconds"] / 60, row["phase"]) for before, row in pairwise(metrics) if row["phase"] != before["phase"]]
    for minute, phase in [(0.0, metrics[0]["phase"]), *begins]:
        mark(axes, minute, phase)
    axes.set_xlabel("training in minutes, without evaluations")
    axes.set_ylabel(f"{score_in(measured[-1], 'largest').label} on validation images in %")
    axes.grid(alpha=0.3)
    axes.legend(loc="best", fontsize=9)
    return figure


def plot_front(
    path: Path, records: list[SearchRecord], evaluated: np.ndarray, rows: Sequence[Row], files: Sequence[Contestant] = ()
) -> None:
    """Draw the searches of one device and runtime, and save them as PNG.

    evaluated: `(n, 2)`: of every subnet that was evaluated the predicted latency in ms and, in 0..1, how well it does on
    validation images by the searches' metric. rows: verified exports, whose measured latency is drawn beside the prediction.
    files: winners and baselines; those that were timed on that device have a panel of their own, where all is measured alike.
    Raises EdgeNASError without matplotlib.
    """
    save(path, front_figure(records, evaluated, rows, files))


def front_figure(
    records: list[SearchRecord], evaluated: np.ndarray, rows: Sequence[Row], files: Sequence[Contestant] = ()
) -> Figure:
    first = records[0]
    timed = _timed(files, first)
    figure, axes = new_figure(panels=1 + any(file.is_baseline for file in timed))
    _draw_search(axes[0], records, evaluated, rows)
    for panel in axes[1:]:
        _draw_files(panel, timed, first)
    return figure


def front_figures(
    records: list[SearchRecord], evaluated: np.ndarray, rows: Sequence[Row], files: Sequence[Contestant] = ()
) -> Iterator[tuple[str, Figure]]:
    """The panels of `front_figure`, each by itself, with what it shows."""
    first = records[0]
    where = f"on {first.device} ({first.execution})"
    figure, (axes,) = new_figure()
    _draw_search(axes, records, evaluated, rows)
    yield f"What was evaluated: validation {label_of(first.metric)} and predicted latency {where}", figure
    timed = _timed(files, first)
    if any(file.is_baseline for file in timed):
        figure, (axes,) = new_figure()
        _draw_files(axes, timed, first)
        yield (
            f"The exported files and what people pick by hand: test {timed[0].score.label} and measured latency {where}",
            figure,
        )


def evaluated_figure(sought: Sought, execution: Execution, kind: str, evaluated: np.ndarray) -> Figure:
    """Of a search that has not ended: what is evaluated, `(n, 2)` as for `plot_front`, by a table of this kind."""
    figure, (axes,) = new_figure()
    _draw_evaluated(axes, evaluated)
    _finish_search(axes, sought.device, execution, kind, sought.metric, sought.budgets_ms)
    return figure


def _timed(files: Sequence[Contestant], first: SearchRecord) -> list[Contestant]:
    """Those that were timed on the device and in the way that was searched for, in whatever precision."""
    return [f for f in files if f.is_at(first.latency_provenance.fingerprint, first.execution) and not f.emulated]


def _draw_search(axes: Axes, records: list[SearchRecord], evaluated: np.ndarray, rows: Sequence[Row]) -> None:
    first = records[0]
    _draw_evaluated(axes, evaluated)
    axes.plot(*_front(records), "o-", ms=4, color="C0", label="front, as expected on other images")
    if others := [record.other for record in records if record.other is not None]:
        axes.plot(*_front(others), "o--", ms=4, color="C1", mfc="white", label=f"front in {others[0].execution.precision}")

    best = np.array([(record.best.latency_ms, record.best.expected_accuracy) for record in records])
    axes.plot(best[:, 0], 100 * best[:, 1], "*", ms=14, color="C3", label=f"chosen: latency by the {first.latency_kind} table")
    about = first.device, first.execution.runtime, first.execution.precision
    timed = [r for r in rows if r.on_device and (r.device, r.runtime, r.precision) == about]
    measured = [(r.measured_ms, r.validation.value) for r in timed]
    if measured:
        axes.plot(*(np.array(measured).T * [[1], [100]]), "x", ms=9, mew=2, color="k", label="chosen: exported file, timed")

    budgets = [record.budget_ms for record in records]
    _finish_search(axes, first.device, first.execution, first.latency_kind, first.metric, budgets)


def _draw_evaluated(axes: Axes, evaluated: np.ndarray) -> None:
    axes.scatter(evaluated[:, 0], 100 * evaluated[:, 1], s=14, color="0.75", label="evaluated subnets")


def _finish_search(
    axes: Axes, device: str, execution: Execution, kind: str, metric: str, budgets_ms: Sequence[float]
) -> None:  # fmt: skip
    """kind: of the table that the latencies are by."""
    for number, budget_ms in enumerate(budgets_ms):
        mark(axes, budget_ms, f"{budget_ms:g} ms", "latency budgets" if number == 0 else None)
    latency = "latency" if kind == "measured" else f"{kind.upper()} latency"
    axes.set_xlabel(f"{latency} on {device} in ms, 1 image ({execution})")
    _finish(axes, label_of(metric), "validation")


def _front(records: Sequence[SearchRecord]) -> tuple[np.ndarray, np.ndarray]:
    """Latencies in ms and expected scores in percent of what is on the front of all of them."""
    members = {c.architecture: (c.latency_ms, c.expected_accuracy) for record in records for c in record.front}
    latency, accuracy = np.array(list(members.values())).T
    front = pareto_front(accuracy, latency)
    return latency[front], 100 * accuracy[front]


def _draw_files(axes: Axes, files: Sequence[Contestant], first: SearchRecord) -> None:
    """The score on test images with its 95 % interval, and latency as timed: of winners, and of what people pick by hand."""
    precisions = dict.fromkeys(file.precision for file in files)
    for (kind, (label, style)), precision in product(_KINDS.items(), sorted(precisions, key="fp32".__ne__)):
        group = [file for file in files if (_kind(file), file.precision) == (kind, precision)]
        if not group:
            continue
        if precision != "fp32":
            label, style = f"{label}, {precision}", style | _REDUCED[precision]
        group.sort(key=lambda file: file.latency_ms)
        scores = [file.score for file in group]
        value, low, high = np.array([(score.value, score.low, score.high) for score in scores], dtype=float).T
        away = 100 * np.maximum([value - low, high - value], 0)
        axes.errorbar(
            [file.latency_ms for file in group], 100 * value, yerr=away, elinewidth=0.8, capsize=2, label=label, **style
        )
        for file in group:  # winners' to the left: what they are compared with lies below and beyond them
            text = file.name if file.is_baseline else f"for {file.name.replace(f'{first.device} ', '')}"
            point, beside = (file.latency_ms, 100 * file.score.value), (6, -9) if file.is_baseline else (-8, 7)
            align = "left" if file.is_baseline else "right"
            axes.annotate(text, point, xytext=beside, textcoords="offset points", ha=align, fontsize=8)
    execution = replace(first.execution, precision="fp32")
    axes.set_xlabel(f"measured latency on {first.device} in ms, 1 image ({execution})")
    axes.margins(x=0.15)
    _finish(axes, files[0].score.label, "test", ", with its 95 % interval")


_BY_HAND = {"ls": "none", "color": "C0", "ms": 7, "marker": "o"}
_KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "winner": ("found by the search", {"fmt": "*-", "ms": 14, "color": "C3", "zorder": 3}),
    "scratch": ("picked by hand, trained from scratch", _BY_HAND | {"mfc": "white"}),
    "pretrained": ("picked by hand, from pretrained weights", _BY_HAND),
    "own": ("your own file", _BY_HAND | {"marker": "D", "color": "C2"}),
}
"""What is drawn alike: its label and its style."""
_REDUCED: dict[str, dict[str, Any]] = {"int8": {"color": "C1"}, "fp16": {"color": "C4"}}
"""How that is changed for files of less precision."""


def _kind(file: Contestant) -> str:
    if not file.is_baseline:
        return "winner"
    return {SCRATCH: "scratch", OWN: "own"}.get(file.begins_with, "pretrained")


def _finish(axes: Axes, what: str, part: str, more: str = "") -> None:
    milliseconds_axis(axes)
    axes.set_ylabel(f"{what} on {part} images in %{more}")
    axes.grid(alpha=0.3)
    axes.legend(loc="best", fontsize=9)


def milliseconds_axis(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "235" else "")


def new_figure(panels: int = 1, size: tuple[float, float] = (8, 5), *, share_y: bool = False) -> tuple[Figure, list[Axes]]:
    """size: of a panel, in inches."""
    require("report", "A picture")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(size[0] * panels, size[1]), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(1, panels, squeeze=False, sharey=share_y)[0])


def mark(axes: Axes, x: float, text: str, label: str | None = None) -> None:
    """A dotted line from bottom to top that says what it stands for."""
    axes.axvline(x, ls=":", lw=1, color="0.4", label=label)
    axes.annotate(f" {text}", (x, 0.01), xycoords=("data", "axes fraction"), fontsize=8, color="0.3")


def save(path: Path, figure: Figure) -> None:
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
