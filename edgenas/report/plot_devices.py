"""The networks of several devices as one picture: a panel for every budget, with all of them in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgenas.metric import label_of
from edgenas.report.devices import DeviceComparison, DeviceNetwork
from edgenas.report.plot import mark, milliseconds_axis, new_figure, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANEL = (4.8, 4.6)
"""Inches of a panel."""


def plot_devices(path: Path, comparison: DeviceComparison, evaluated: Sequence[np.ndarray]) -> None:
    """Draw a comparison, and save it as PNG. Raises EdgeNASError without matplotlib.

    evaluated: for every budget `(n, 2)`: of all that was evaluated the predicted latency there in ms, and how well it does on
    validation images, in 0..1.
    """
    save(path, devices_figure(comparison, evaluated))


def devices_figure(comparison: DeviceComparison, evaluated: Sequence[np.ndarray]) -> Figure:
    figure, panels = new_figure(len(comparison.budgets), PANEL, share_y=True)
    for number, (axes, budget, points) in enumerate(zip(panels, comparison.budgets, evaluated, strict=True)):
        axes.scatter(points[:, 0], 100 * points[:, 1], s=10, color="0.75", label="evaluated subnets")
        for colour, network in enumerate(comparison.networks):
            under = network.under[number]
            value = 100 * network.score.value
            axes.plot(
                under.latency_ms, value, "*" if under.is_choice else "o", ms=15 if under.is_choice else 8, color=f"C{colour}",
                mfc=f"C{colour}" if under.keeps else "white", label=_name(network), zorder=3,
            )  # fmt: skip
            axes.hlines(value, under.latency_low_ms, under.latency_high_ms, color=f"C{colour}", lw=1, zorder=2)
        mark(axes, budget.budget_ms, f"{budget.budget_ms:g} ms", "budget")
        milliseconds_axis(axes)
        kind = "latency" if budget.kind == "measured" else f"{budget.kind.upper()} latency"
        axes.set_xlabel(f"{kind} on {budget.device} in ms\n({budget.execution})")
        axes.margins(x=0.12)
        axes.set_title(f"{budget.label}: star chosen, filled within the budget", fontsize=9)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel(f"{label_of(comparison.metric)} on validation images in %")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
    return figure


def _name(network: DeviceNetwork) -> str:
    return f"{network.id}, for {' and '.join(network.chosen_for) or 'all at once'}"
