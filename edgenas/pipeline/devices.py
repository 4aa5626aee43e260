"""Search for several devices: a search for each, all of which share what was evaluated, and their networks side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from edgenas.data import Dataset
from edgenas.device import Execution, load_device
from edgenas.errors import UsageError
from edgenas.extras import is_installed
from edgenas.latency import CONFIDENCE, LatencyTable, load_table, peek_table
from edgenas.metric import Metric
from edgenas.pipeline.evaluations import evaluations_key, known_evaluations
from edgenas.pipeline.limits import parse_place
from edgenas.pipeline.search import Searched, search_run
from edgenas.predictor import LEAST_SAMPLES
from edgenas.progress import Track, quiet
from edgenas.report import DeviceComparison, compare_devices, plot_devices
from edgenas.run import Run
from edgenas.search import Ledger, SearchRecord, attempt, load_records
from edgenas.search.search import fastest_within
from edgenas.space import Architecture
from edgenas.training import load_images
from edgenas.values import Length, checked, plain
from edgenas.values.kinds import Arithmetic, GivenText, Milliseconds

PICTURE = "devices.png"
_UNFINISHED = "unfinished-devices.json"

Budgets = Annotated[tuple[Milliseconds, ...], Length(1, 1000)]


@dataclass(frozen=True)
class SearchedDevices:
    """searched: for every device, by its name as it was asked for. picture: None without the extra `report`."""

    searched: dict[str, Searched]
    comparison: DeviceComparison
    picture: Path | None

    @property
    def records(self) -> tuple[SearchRecord, ...]:
        return tuple(record for searched in self.searched.values() for record in searched.records)

    def to_json(self) -> dict[str, Any]:
        return {"searched": plain(self.searched), "devices": plain(self.comparison), "picture": self.picture}


@checked
def search_devices(
    run: Run, budgets_ms: dict[str, Budgets], *, runtime: str | None = None,
    precision: Arithmetic = "fp32", confidence: float = CONFIDENCE,
    metric: str | None = None, allow_emulated: bool = False, data: GivenText | Dataset | None = None, track: Track = quiet,
    **options: Any,
) -> SearchedDevices:  # fmt: skip
    """The best networks of a run for each of several devices, and what each of them loses on the others.

    budgets_ms: by device, such as `{"cpu": (2.0,), "pi4": (30.0,)}`, or by device and runtime, `pi4:litert`; on each device all
    of its own, a network for each. precision: of all of them, so that their accuracies can be compared. The others are those of
    `search_run`, for every device alike.

    Raises InfeasibleError before anything is evaluated where a device has a budget that nothing keeps. Every evaluation counts
    for all devices: when all searches are done, each chooses once more among all. Interrupted, the next call goes on.
    """
    places = {place: _parsed(place, runtime) for place in budgets_ms}
    tables = {}
    for place, (device, in_runtime) in places.items():
        profile = load_device(device)
        execution = profile.execution(runtime=in_runtime, precision=precision)
        tables[place] = load_table(profile, run.space, execution, allow_emulated=allow_emulated)
        fastest_within(run.space, tables[place], min(budgets_ms[place]), confidence, ())  # raises where there is none
    options |= {"precision": precision, "confidence": confidence, "metric": metric, "allow_emulated": allow_emulated}
    folder, dataset = run.path / "search", load_images(run, data, track)
    asked = [{place: [*where, *budgets_ms[place]] for place, where in places.items()}, options, evaluations_key(run)]
    with attempt(folder, asked, _UNFINISHED) as (_, goes_on):
        since, outcomes = (folder / _UNFINISHED).stat().st_mtime, {}
        for place, budgets in track(budgets_ms.items(), "Searching for devices", len(budgets_ms)):
            if not (goes_on and _is_done(run, tables[place], budgets, since)):
                device, in_runtime = places[place]
                found = search_run(run, budgets, device, runtime=in_runtime, data=dataset, track=track, **options)
                outcomes[place] = found.outcome
        # What was evaluated for one device may be the better network for another.
        again = options | {"evaluations": 0, "data": dataset, "track": track}
        searched = {}
        for place, budgets in track(budgets_ms.items(), "Choosing among all", len(budgets_ms)):
            found = search_run(run, budgets, tables[place], **again)
            searched[place] = replace(found, outcome=outcomes.get(place, found.outcome))
    records = [record for each in searched.values() for record in each.records]
    comparison = compare(run, records)
    return SearchedDevices(searched, comparison, draw_devices(run, records, comparison))


def compare(run: Run, records: Sequence[SearchRecord]) -> DeviceComparison:
    """The networks that were chosen for several budgets, on devices or in runtimes, under each other's budgets."""
    ledger = _ledger(run, records[0])
    return compare_devices(run.space, records, ledger, lambda device, execution: _table(run, device, execution))


def comparable(run: Run, records: Sequence[SearchRecord]) -> list[SearchRecord]:
    """The last search for each of several devices or runtimes, as far as they can be compared: by one metric and in one
    precision; none where there is one alone."""

    def what(record: SearchRecord) -> tuple[str, str]:
        return record.metric, record.execution.precision

    same = [record for record in records if what(record) == what(records[0]) and not record.limits]
    last = {(r.device, r.execution): r for r in sorted(same, key=lambda r: (r.date, r.budget_ms))}
    chosen = [record for record in records if record in last.values()]
    return chosen if len(chosen) > 1 and len(_ledger(run, chosen[0])) >= LEAST_SAMPLES else []


def draw_devices(run: Run, records: Sequence[SearchRecord], comparison: DeviceComparison) -> Path | None:
    """The picture of a comparison, where it can be drawn."""
    if not is_installed("report", "The picture of the devices"):
        return None
    plot_devices(run.path / PICTURE, comparison, evaluated(run, records))
    return run.path / PICTURE


def evaluated(run: Run, records: Sequence[SearchRecord]) -> list[np.ndarray]:
    """For every search `(n, 2)`: of all that was evaluated the predicted latency in ms, and how well it does."""
    genomes, value = _ledger(run, records[0]).arrays()
    tables = [_table(run, record.device, record.execution) for record in records]
    return [np.stack([table.predict(run.space, genomes), value], axis=1) for table in tables]


def split_devices(devices: Sequence[str], budgets: Sequence[tuple[str | None, float]]) -> dict[str, tuple[float, ...]]:
    """The budgets of each device, in ms, by the device or by the device and the runtime that they name.

    Raises UsageError for one that names none of the devices, and for a device without one.
    """
    found: dict[str, tuple[float, ...]] = {}
    for where, budget in budgets:
        device = None if where is None else parse_place(where)[0]
        if where is None or device not in devices:
            named = "names no device" if device is None else f"is for {device}, which is not among them"
            raise UsageError(
                f"Several devices have a budget each, and {budget:g} ms {named}", f"write `budgets` {devices[0]}={budget:g}ms."
            )
        found[where] = (*found.get(where, ()), budget)
    for device in devices:
        if device not in {parse_place(where)[0] for where in found}:
            raise UsageError(f"`device` {device} has no budget", f"add `budgets` {device}=2ms.")
    return found


def _parsed(place: str, runtime: str | None) -> tuple[str, str | None]:
    """The device, and the runtime where it is not the device's usual one."""
    device, in_runtime = parse_place(place)
    return device or place, in_runtime if device and in_runtime else runtime


def _ledger(run: Run, record: SearchRecord) -> Ledger[Architecture]:
    """Of the accuracies among which a search has chosen."""
    return known_evaluations(run, Metric.named(record.metric, run.classes), precision=record.execution.precision)


def _table(run: Run, device: str, execution: Execution) -> LatencyTable:
    return peek_table(load_device(device), run.space, execution, allow_emulated=True)


def _is_done(run: Run, table: LatencyTable, budgets_ms: Sequence[float], since: float) -> bool:
    """Whether a device's search has ended since these searches began."""
    done = {
        record.budget_ms
        for record in load_records(run.path / "search")
        if (record.device, record.execution) == (table.device, table.execution)
        and datetime.fromisoformat(record.date).timestamp() >= int(since)
    }
    return done.issuperset(budgets_ms)
