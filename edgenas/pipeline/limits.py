"""What a search must keep: budgets in one or several places, and sizes; in every precision by the tables of that precision."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgenas.device import RUNTIMES, load_device, require_precision
from edgenas.errors import InfeasibleError, UsageError
from edgenas.latency import LatencyTable, load_table
from edgenas.latency.table import EMULATED
from edgenas.names import pasted
from edgenas.search import Constraint
from edgenas.search.search import (
    fastest_within,
    flash_constraint,
    latency_constraint,
    macs_constraint,
    memory_constraint,
    parameters_constraint,
)
from edgenas.space import SearchSpace

SIZES = {
    "memory": memory_constraint, "flash": flash_constraint, "macs": macs_constraint, "parameters": parameters_constraint
}  # fmt: skip

log = logging.getLogger("edgenas")


@dataclass(frozen=True)
class Task:
    """What is searched for in one precision. table: of the device, by which its budgets hold. limits: the others, by name."""

    table: LatencyTable
    budgets_ms: tuple[float, ...]
    confidence: float
    limits: dict[str, Constraint]

    @property
    def precision(self) -> str:
        return self.table.execution.precision

    def within_reach(self, space: SearchSpace) -> tuple[Task, InfeasibleError | None]:
        """With the budgets alone that something keeps, and why nothing keeps another."""
        kept, error = [], None
        for budget in self.budgets_ms:
            try:
                fastest_within(space, self.table, budget, self.confidence, tuple(self.limits.values()))
                kept.append(budget)
            except InfeasibleError as reason:
                error = reason
        return replace(self, budgets_ms=tuple(kept)), error


@dataclass(frozen=True)
class Limits:
    """What is asked for, whatever the precision; see `edgenas.pipeline.search.search_run`."""

    budgets_ms: tuple[float, ...]
    elsewhere_ms: dict[str, float]
    sizes: dict[str, float | None]
    confidence: float
    runtime: str | None
    allow_emulated: bool

    def task(self, space: SearchSpace, device: str | LatencyTable, precision: str) -> Task:
        """Raises EdgeNASError, saying how to measure, where there is no table of a place in this precision."""
        if isinstance(device, LatencyTable):
            table = device
            if table.execution.precision != precision:
                raise UsageError(f"This is a table of {table.execution}: give the device's name for `precision` {precision}.")
        else:
            table = self._table(space, device, self.runtime, precision)
        table.require_plausible(space)
        limits = {}
        for where, budget in self.elsewhere_ms.items():
            other, in_runtime = parse_place(where)
            there = self._table(space, other or table.device, in_runtime or self.runtime, precision)
            parts = (None if there.device == table.device else there.device), in_runtime
            name = "-".join(filter(None, parts)) or there.device
            limits[name] = latency_constraint(space, there, budget, self.confidence)
        limits |= {name: SIZES[name](space, limit, precision) for name, limit in self.sizes.items() if limit is not None}
        return Task(table, self.budgets_ms, self.confidence, limits)

    def _table(self, space: SearchSpace, name: str, runtime: str | None, precision: str) -> LatencyTable:
        profile = load_device(name)
        execution = profile.execution(runtime=runtime, precision=precision)
        require_precision(execution.runtime, precision)
        table = load_table(profile, space, execution, allow_emulated=self.allow_emulated)
        _warn_unless_measured(table, space)
        return table


def whatever_keeps(space: SearchSpace, tasks: Sequence[Task]) -> list[Task]:
    """Tasks with the budgets alone that each can keep, without those that keep none.

    Raises InfeasibleError, of what comes closest, where nothing keeps one of them.
    """
    tried = [task.within_reach(space) for task in tasks]
    kept = {budget for task, _ in tried for budget in task.budgets_ms}
    if kept < set(tasks[0].budgets_ms):
        raise min((error for _, error in tried if error is not None), key=lambda error: error.closest)
    return [task for task, _ in tried if task.budgets_ms]


@dataclass(frozen=True)
class Budgets:
    """device, runtime: what is searched for; None is the device's usual runtime. own_ms: its budgets, of a search each.

    elsewhere_ms: the others, by where: see `search_run`.
    """

    device: str
    runtime: str | None
    own_ms: tuple[float, ...]
    elsewhere_ms: dict[str, float]


def parse_place(text: str) -> tuple[str | None, str | None]:
    """The device and the runtime of `pi4`, `litert` or `pi4:litert`; None is what the text does not name."""
    device, _, runtime = text.rpartition(":")
    return (device, runtime) if device else (None, text) if text in RUNTIMES else (text, None)


def split_budgets(device: str | None, runtime: str | None, budgets: Sequence[tuple[str | None, float]]) -> Budgets:
    """What is searched for, and where else budgets must hold.

    budgets: in ms, each where it says, or on the device that is searched for. Raises UsageError where that cannot be told.
    """
    places = [(None, None) if where is None else parse_place(where) for where, _ in budgets]
    first_device, first_runtime = places[0]
    if (None, None) not in places and (device is None or first_device in (None, device)):
        # Then the first says what is searched for, as far as nothing else does.
        device, runtime = device or first_device, runtime or first_runtime
    device = "cpu" if device is None else device
    usual = runtime or load_device(device).execution().runtime
    resolved = [(other or device, in_runtime or usual) for other, in_runtime in places]
    own = tuple(budget for place, (_, budget) in zip(resolved, budgets, strict=True) if place == (device, usual))
    if not own:
        raise UsageError(f"`device` {device} has no budget", f"add `budgets` {device}=2ms, or leave `device` out.")
    elsewhere = [place for place in resolved if place != (device, usual)]
    if len(set(elsewhere)) < len(elsewhere):
        raise UsageError("Several budgets are possible on one device in one runtime alone; give every other one.")
    others = {str(where): budget for place, (where, budget) in zip(resolved, budgets, strict=True) if place in elsewhere}
    return Budgets(device, runtime, own, others)


def _warn_unless_measured(latencies: LatencyTable, space: SearchSpace) -> None:
    if latencies.measured:
        return
    name, relative = latencies.device, latencies.calibration(space).relative_interval()
    if latencies.kind == EMULATED:
        log.warning(f"{name} was timed in an EMULATOR: its latencies are a trial, and say nothing about a real {name}.")
        return
    how = f"source and method: devices/{name}.toml" if latencies.provenance.source else latencies.provenance.method
    log.warning(
        f"{name} has not been measured: latencies are ESTIMATED, within a factor of {1 + relative:.2f} in 9 of 10 cases "
        f"({how}). To measure: `profile(device={pasted(name)})`"
    )
