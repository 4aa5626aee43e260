"""Search: the most accurate subnets of a run within latency budgets and other limits."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from edgenas.data import Dataset
from edgenas.device import RUNTIMES, load_device
from edgenas.errors import UsageError
from edgenas.latency import CONFIDENCE, LatencyTable, load_table
from edgenas.latency.table import EMULATED
from edgenas.metric import ACCURACY, Metric
from edgenas.names import pasted
from edgenas.predictor import LEAST_SAMPLES, PredictorQuality
from edgenas.progress import Track, quiet
from edgenas.report import judge_search
from edgenas.run import Run
from edgenas.search import Constraint, Ledger, Outcome, SearchRecord, attempt, get_strategy, search
from edgenas.search.ledger import weights_key
from edgenas.search.search import latency_constraint, macs_constraint, memory_constraint, parameters_constraint
from edgenas.space import SearchSpace
from edgenas.training import Evaluator, load_images, load_supernet
from edgenas.values import Length, Within, checked
from edgenas.values.kinds import GivenText, Limit, Milliseconds, Seconds, Seed, ShareBelowOne, Text

EVALUATIONS = 75
SIZES = {"memory": memory_constraint, "macs": macs_constraint, "parameters": parameters_constraint}

log = logging.getLogger("edgenas")


@dataclass(frozen=True)
class Searched:
    """What was found, a record for every budget. evaluations: all that are known of the run, with those of earlier searches.

    judgement: sentences on the outcome.
    """

    records: tuple[SearchRecord, ...]
    outcome: Outcome
    predictor: PredictorQuality
    evaluations: int
    judgement: tuple[str, ...]


@checked
def search_run(
    run: Run, budgets_ms: Annotated[tuple[Milliseconds, ...], Length(1, 1000)], device: str | LatencyTable = "cpu", *,
    elsewhere_ms: dict[str, Milliseconds] | None = None, confidence: ShareBelowOne = CONFIDENCE, memory: Limit | None = None,
    macs: Limit | None = None, parameters: Limit | None = None, runtime: str | None = None, strategy: str = "bayesian",
    evaluations: Annotated[int, Within(0, 1_000_000)] = EVALUATIONS, seconds: Seconds | None = None,
    storage: GivenText | None = None, metric: Text | None = None, seed: Seed = 0, allow_emulated: bool = False,
    data: GivenText | Dataset | None = None, track: Track = quiet,
) -> Searched:  # fmt: skip
    """Search for every budget on a device, and keep the results in the run.

    device: by name, or the table of one. elsewhere_ms: budgets that must hold as well, by where: another device, such as `pi4`,
    another runtime on the same one, such as `litert`, or both, `pi4:litert`.
    confidence: in [0, 1): the upper end of this interval of the latency has to be within the budget; 0: the prediction itself.
    memory, macs, parameters: the most that the subnets may have, in bytes and counts. runtime: whose latencies, in place of the
    device's usual one's. evaluations, seconds: the most that are spent on new evaluations.
    storage: the URL of a database of evaluations that several searches share. metric: to maximise, see `edgenas.metric`; the
    run's unless told otherwise. data: where the run's images are now, or they.

    Raises InfeasibleError naming the closest value where nothing is within the limits. Every evaluation is kept: interrupted,
    the next call goes on.
    """
    chosen, space = get_strategy(strategy), run.space
    maximised = Metric.named(run.metric if metric is None else metric, run.classes)

    def table_of(name: str, runtime: str | None = runtime) -> LatencyTable:
        profile = load_device(name)
        table = load_table(profile, space, profile.execution(runtime=runtime), allow_emulated=allow_emulated)
        _warn_unless_measured(table, space)
        return table

    latencies = table_of(device) if isinstance(device, str) else device
    latencies.require_plausible(space)
    limits = {}
    for where, budget in (elsewhere_ms or {}).items():
        other, in_runtime = parse_place(where)
        table = table_of(other or latencies.device, in_runtime or runtime)
        parts = (None if table.device == latencies.device else table.device), in_runtime
        limits["-".join(filter(None, parts)) or table.device] = latency_constraint(space, table, budget, confidence)
    sizes = {"memory": memory, "macs": macs, "parameters": parameters}
    limits |= {name: SIZES[name](space, limit) for name, limit in sizes.items() if limit is not None}
    dataset = load_images(run, data, track)
    maximised.require_images(dataset.validation.labels)
    evaluator = Evaluator(load_supernet(run), dataset)
    asked = (budgets_ms, latencies.device, str(latencies.execution), elsewhere_ms, confidence, sizes, runtime, strategy,
             evaluations, seconds, storage, seed, weights_key(run.weights), maximised.name)  # fmt: skip
    if storage is not None:
        Ledger(storage, weights_key(run.weights), space)  # one that cannot be opened is refused before anything is written
    with attempt(run.path / "search", asked) as (search_id, goes_on):
        own = run_ledger(run, maximised, search_id)
        ledger = own if storage is None else _shared_ledger(run, storage, own, search_id)
        if len(ledger) + evaluations < LEAST_SAMPLES:
            known = f"{len(ledger)} subnets are evaluated, a search needs {LEAST_SAMPLES}"
            raise UsageError(known, "allow more `evaluations`.")
        _tell_beginning(ledger, evaluations, goes_on)
        results = search(
            space, latencies, evaluator.evaluate, ledger, budgets_ms, confidence=confidence, constraints=tuple(limits.values()),
            images=len(dataset.validation), evaluations=evaluations, seconds=np.inf if seconds is None else seconds,
            strategy=chosen, seed=seed, track=track,
        )  # fmt: skip
        if ledger is not own:  # the run stays complete in itself: its report shows them all
            own.absorb(ledger)
        records = _kept(run, results, latencies, budgets_ms, limits, confidence)
    if ledger.others:
        log.info(
            f"Another search has added {ledger.others} evaluations meanwhile: by itself, this one may find something else."
        )
    return Searched(records, results[0].outcome, results[0].predictor, len(ledger), tuple(judge_search(run)))


def run_ledger(run: Run, metric: Metric = ACCURACY, search_id: str | None = None) -> Ledger:
    """Where a run keeps its own evaluations. search_id: of the search that makes new ones."""
    return Ledger(run.path / "search" / "evaluations.log", weights_key(run.weights), run.space, metric, search_id)


def _tell_beginning(ledger: Ledger, evaluations: int, goes_on: bool) -> None:
    if goes_on:
        log.info(
            f"The same search was interrupted: it goes on, with {ledger.recalled} of its {evaluations} evaluations made, and "
            "ends as it would have."
        )
    elif len(ledger) and evaluations:
        log.info(f"{len(ledger)} evaluations are known already: `evaluations` {evaluations} begins anew, and counts new ones.")


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


def _shared_ledger(run: Run, storage: str, own: Ledger, search_id: str) -> Ledger:
    ledger = Ledger(storage, weights_key(run.weights), run.space, own.metric, search_id)
    ledger.absorb(own)
    return ledger


def _kept(
    run: Run, results: Sequence, latencies: LatencyTable, budgets_ms: Sequence[float], limits: Mapping[str, Constraint],
    confidence: float,
) -> tuple[SearchRecord, ...]:  # fmt: skip
    values = {name: constraint.limit for name, constraint in limits.items()}
    records = tuple(
        SearchRecord.of(result, latencies, budget, values, confidence)
        for result, budget in zip(results, budgets_ms, strict=True)
    )
    for record in records:
        record.save(run.path / "search")
    return records


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
