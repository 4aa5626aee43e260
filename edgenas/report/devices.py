"""What was found for several devices beside each other: how each network would do where another was chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgenas.device import Execution
from edgenas.latency import LatencyTable
from edgenas.metric import Score
from edgenas.predictor import LinkRidge
from edgenas.search import Ledger, SearchRecord
from edgenas.search.evidence import Evidence
from edgenas.space import Architecture, SearchSpace
from edgenas.statistics import Z
from edgenas.values import Inlined

TableOf = Callable[[str, Execution], LatencyTable]
"""The latency table of a device, by its name, and of how networks are computed there."""


@dataclass(frozen=True)
class DeviceBudget:
    """A budget on a device. label: as people call it, such as `pi4 30 ms`. kind: of the latencies there, such as `measured`."""

    label: str
    device: str
    execution: Inlined[Execution]
    budget_ms: float
    confidence: float
    kind: str


@dataclass(frozen=True)
class Under:
    """How a network does under a budget. Latencies in ms, as predicted, with the interval of the search's confidence.

    over: by what share of the budget the upper end of that interval is above it; below zero where it keeps it.
    lost: by how much it is less accurate than what was chosen for that budget, on the same validation images, in 0..1.
    lost_within: half the 95 % interval of that; None where the answers to single images were not kept.
    is_choice: whether it is what was chosen.
    """

    budget: str
    latency_ms: float
    latency_low_ms: float
    latency_high_ms: float
    over: float
    lost: float
    lost_within: float | None
    is_choice: bool

    @property
    def keeps(self) -> bool:
        return self.over <= 0


@dataclass(frozen=True)
class DeviceNetwork:
    """A network, the labels of the budgets that it was chosen for, and how it does under all of them, in their order."""

    id: str
    architecture: Architecture
    chosen_for: tuple[str, ...]
    score: Score
    under: tuple[Under, ...]

    @property
    def keeps_all(self) -> bool:
        return all(under.keeps for under in self.under)


@dataclass(frozen=True)
class DeviceComparison:
    """networks: what was chosen for the budgets; after them, where it is none of these, what of all that was evaluated is best
    within all budgets at once. for_all: the id of that; None where nothing keeps all."""

    metric: str
    budgets: tuple[DeviceBudget, ...]
    networks: tuple[DeviceNetwork, ...]
    for_all: str | None


def compare_devices(
    space: SearchSpace, records: Sequence[SearchRecord], ledger: Ledger[Architecture], table_of: TableOf
) -> DeviceComparison:
    """records: of one metric, which is the ledger's."""
    labels = _labels(records)
    tables = [table_of(record.device, record.execution) for record in records]
    budgets = tuple(
        DeviceBudget(label, r.device, r.execution, r.budget_ms, r.confidence, r.latency_kind)
        for label, r in zip(labels, records, strict=True)
    )

    def network(architecture: Architecture, score: Score) -> DeviceNetwork:
        under = tuple(
            _under(space, architecture, score, record, label, table, ledger)
            for record, label, table in zip(records, labels, tables, strict=True)
        )
        return DeviceNetwork(architecture.id, architecture, tuple(u.budget for u in under if u.is_choice), score, under)

    chosen = {record.best.architecture: record.best_score for record in records}
    common = _best_within_all(space, records, tables, ledger)
    scores = chosen | ({} if common is None or common[0] in chosen else dict([common]))
    return DeviceComparison(
        ledger.metric.name, budgets, tuple(network(a, score) for a, score in scores.items()), common and common[0].id
    )


def in_words(comparison: DeviceComparison) -> list[str]:
    """What one network for all devices would cost, for whoever would rather keep a single one."""
    common = next((network for network in comparison.networks if network.id == comparison.for_all), None)
    if common is None:
        return ["No network that was evaluated keeps all of these budgets: each device needs its own."]
    if len(common.chosen_for) == len(comparison.budgets):
        return [f"{common.id} is the best for all of these budgets: one network is enough."]
    worst = max(common.under, key=lambda under: under.lost)
    may_be_chance = worst.lost_within is not None and worst.lost <= worst.lost_within
    doubt = ", which is no more than chance explains" if may_be_chance else ""
    return [
        f"One network for all of them: {common.id} keeps every budget, and loses at most {_points(worst)} points, where "
        f"{worst.budget} is the budget{doubt}."
    ]


def lost_in_words(under: Under) -> str:
    """What a network loses under a budget, for a table: points with their 95 % interval, and how far it breaks the budget."""
    if not under.keeps:
        return f"{100 * under.over:.0f} % over"
    return "best" if under.is_choice else f"{round(-100 * under.lost, 1) + 0.0:+.1f}{_within(under)}"


def _points(under: Under) -> str:
    return f"{100 * max(under.lost, 0.0):.1f}{_within(under)}"


def _within(under: Under) -> str:
    return "" if under.lost_within is None else f" ±{100 * under.lost_within:.1f}"


def _labels(records: Sequence[SearchRecord]) -> list[str]:
    """Of each, with the execution or the limits where a device and a budget alone are not enough."""
    plain = [record.label for record in records]
    return [label if plain.count(label) == 1 else record.name for label, record in zip(plain, records, strict=True)]


def _under(
    space: SearchSpace, architecture: Architecture, score: Score, record: SearchRecord, label: str, table: LatencyTable,
    ledger: Ledger[Architecture],
) -> Under:  # fmt: skip
    latency_ms = table.predict_one(space, architecture)
    low, high = map(float, table.interval(space, latency_ms, record.confidence))
    best, is_choice = record.best.architecture, record.best.architecture == architecture
    lost, within = record.best_score.value - score.value, None
    ours, theirs = ledger.answers(architecture), ledger.answers(best)
    if ours is not None and theirs is not None and ours.are_of_the_same_images(theirs):
        lost, error = ledger.metric.difference(theirs, ours)
        within = Z * error
    return Under(label, latency_ms, low, high, high / record.budget_ms - 1, lost, within, is_choice)


def _best_within_all(
    space: SearchSpace, records: Sequence[SearchRecord], tables: Sequence[LatencyTable], ledger: Ledger[Architecture]
) -> tuple[Architecture, Score] | None:
    """Of all that was evaluated, by what is to be expected on other images; None where nothing keeps all budgets."""
    genomes, measured = ledger.arrays()
    allowed = np.ones(len(genomes), dtype=bool)
    for record, table in zip(records, tables, strict=True):
        allowed &= table.interval(space, table.predict(space, genomes), record.confidence).high <= record.budget_ms
    if not allowed.any():
        return None
    predictor = LinkRidge(space)
    quality = predictor.fit(genomes, measured)
    images = records[0].validation_images or np.inf
    evidence = Evidence.of(ledger, predictor.predict(genomes), quality, images)
    within = np.flatnonzero(allowed)
    best = int(within[evidence.expected[within].argmax()])
    # What was chosen for a budget is as good, where it keeps all: then there is one network the fewer.
    architectures = [architecture for architecture, _ in ledger.items()]
    chosen = {record.best.architecture for record in records}
    alike = [int(i) for i in within if architectures[i] in chosen and evidence.is_as_good(int(i), best)]
    best = max(alike, key=lambda i: float(evidence.expected[i]), default=best)
    return architectures[best], evidence.score(best)
