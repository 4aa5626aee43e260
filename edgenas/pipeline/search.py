"""Search: the most accurate subnets of a run within latency budgets and other limits."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Annotated

from edgenas.data import Dataset
from edgenas.errors import UsageError
from edgenas.latency import CONFIDENCE, LatencyTable
from edgenas.metric import Metric
from edgenas.pipeline.evaluations import Evaluations, evaluations_key
from edgenas.pipeline.limits import Limits, Task, whatever_keeps
from edgenas.predictor import LEAST_SAMPLES
from edgenas.progress import Track, quiet
from edgenas.report import judge_search
from edgenas.run import Run
from edgenas.search import Ledger, Outcome, SearchRecord, SearchResult, Sought, attempt, get_strategy, search
from edgenas.training import Evaluator, load_images, load_supernet
from edgenas.values import Length, Within, checked
from edgenas.values.kinds import ANY, ArithmeticOrAny, GivenText, Limit, Milliseconds, Seconds, Seed, ShareBelowOne, Text

EVALUATIONS = 75

log = logging.getLogger("edgenas")


@dataclass(frozen=True)
class Searched:
    """What was found, a record for every budget. evaluations: all that are known of the run, with those of earlier searches.

    judgement: sentences on the outcome.
    """

    records: tuple[SearchRecord, ...]
    outcome: Outcome
    evaluations: int
    judgement: tuple[str, ...]


@checked
def search_run(
    run: Run, budgets_ms: Annotated[tuple[Milliseconds, ...], Length(1, 1000)], device: str | LatencyTable = "cpu", *,
    precision: ArithmeticOrAny | None = None,
    elsewhere_ms: dict[str, Milliseconds] | None = None, confidence: ShareBelowOne = CONFIDENCE, memory: Limit | None = None,
    flash: Limit | None = None, macs: Limit | None = None, parameters: Limit | None = None, runtime: str | None = None,
    strategy: str = "bayesian", evaluations: Annotated[int, Within(0, 1_000_000)] = EVALUATIONS, seconds: Seconds | None = None,
    storage: GivenText | None = None, metric: Text | None = None, seed: Seed = 0, allow_emulated: bool = False,
    data: GivenText | Dataset | None = None, track: Track = quiet,
) -> Searched:  # fmt: skip
    """Search for every budget on a device, and keep the results in the run.

    device: by name, or the table of one. precision: `fp32`, `int8`, or `any`, which takes for every budget what is better;
    latencies and accuracies are those of files in that precision. The table's, or `fp32`, unless told otherwise.
    elsewhere_ms: budgets that must hold as well, by where: another device, such as `pi4`, another runtime on the same one, such
    as `litert`, or both, `pi4:litert`.
    confidence: in [0, 1): the upper end of this interval of the latency has to be within the budget; 0: the prediction itself.
    memory, flash, macs, parameters: the most that the subnets may have, in bytes of activations and of the file, and counts.
    runtime: whose latencies, in place of the device's usual one's. evaluations, seconds: the most that are spent on new
    evaluations.
    storage: the URL of a database of evaluations that several searches share. metric: to maximise, see `edgenas.metric`; the
    run's unless told otherwise. data: where the run's images are now, or they.

    Raises InfeasibleError naming the closest value where nothing is within the limits. Every evaluation is kept: interrupted,
    the next call goes on.
    """
    get_strategy(strategy)  # an unknown one is refused before anything is read
    space, precision = run.space, precision or (device.execution.precision if isinstance(device, LatencyTable) else "fp32")
    maximised = Metric.named(run.metric if metric is None else metric, run.classes)
    sizes = {"memory": memory, "flash": flash, "macs": macs, "parameters": parameters}
    limits = Limits(budgets_ms, elsewhere_ms or {}, sizes, confidence, runtime, allow_emulated)
    tasks = [limits.task(space, device, one) for one in (("int8", "fp32") if precision == ANY else (precision,))]
    if precision == ANY:
        tasks = whatever_keeps(space, tasks)
    dataset = load_images(run, data, track)
    maximised.require_images(dataset.validation.labels)
    evaluator = Evaluator(load_supernet(run), dataset)
    asked = (budgets_ms, tasks[0].table.device, [str(task.table.execution) for task in tasks], elsewhere_ms, confidence, sizes,
             runtime, strategy, evaluations, seconds, storage, seed, evaluations_key(run), maximised.name)  # fmt: skip
    if storage is not None:
        Ledger(storage, evaluations_key(run), space)  # one that cannot be opened is refused before anything is written
    sought = Sought(tasks[0].table.device, tuple(task.table.execution for task in tasks), budgets_ms, maximised.name)
    with attempt(run.path / "search", asked, sought=sought) as (search_id, goes_on):
        known = Evaluations(run, evaluator, [task.precision for task in tasks], maximised, search_id, storage)
        first = known.ledgers[tasks[0].precision]
        if len(first) + evaluations < LEAST_SAMPLES:
            few = f"{len(first)} subnets are evaluated, a search needs {LEAST_SAMPLES}"
            raise UsageError(few, "allow more `evaluations`.")
        _tell_beginning(first, evaluations, goes_on)

        def search_in(task: Task, evaluations: int, seconds: float) -> list[SearchResult]:
            return search(
                space, task.table, known.measuring(task.precision), known.ledgers[task.precision], task.budgets_ms,
                confidence=confidence, constraints=tuple(task.limits.values()), beside=known.floats_beside(task.precision),
                images=len(dataset.validation), evaluations=evaluations, seconds=seconds, strategy=get_strategy(strategy),
                seed=seed, track=track,
            )  # fmt: skip

        found, outcome = _found(tasks, known, search_in, evaluations, math.inf if seconds is None else seconds)
        known.keep_in_run()
        records = tuple(_chosen(precision, tasks, found, budget) for budget in budgets_ms)
        for record in records:
            record.save(run.path / "search")
    if first.others:
        log.info(f"Another search has added {first.others} evaluations meanwhile: by itself, this one may find something else.")
    return Searched(records, outcome, len(first), tuple(judge_search(run)))


def _found(
    tasks: Sequence[Task], known: Evaluations, search_in: Callable[[Task, int, float], list[SearchResult]], evaluations: int,
    seconds: float,
) -> tuple[list[list[SearchResult]], Outcome]:  # fmt: skip
    """The results of every task, and what they took together.

    What is evaluated for one precision is known in both. So of two tasks each proposes half of the evaluations, and the first
    is asked again when the second is done.
    """
    if len(tasks) == 1:
        results = search_in(tasks[0], evaluations, seconds)
        return [results], results[0].outcome
    begin, (one, other) = time.monotonic(), tasks
    least = LEAST_SAMPLES - len(known.ledgers[one.precision])
    before = search_in(one, min(evaluations, max(least, math.ceil(evaluations / 2))), seconds / 2)[0].outcome
    known.share(one.precision)
    results = search_in(other, evaluations - math.ceil(before.spent), seconds - (time.monotonic() - begin))
    known.share(other.precision)
    again = search_in(one, 0, 0)
    return [again, results], before + results[0].outcome + again[0].outcome


def _chosen(asked: str, tasks: Sequence[Task], found: Sequence[Sequence[SearchResult]], budget_ms: float) -> SearchRecord:
    """What is found for a budget in the precision that is better, with what is found in the other."""
    pairs = [(task, result) for task, results in zip(tasks, found, strict=True)
             for budget, result in zip(task.budgets_ms, results, strict=True) if budget == budget_ms]  # fmt: skip
    best = reduce(lambda one, other: one if one[1].is_better(other[1]) else other, pairs)
    other = None
    for task, result in sorted(pairs, key=lambda pair: pair is best):
        limits = {name: constraint.limit for name, constraint in task.limits.items()}
        other = SearchRecord.of(result, task.table, budget_ms, limits, task.confidence, asked if asked == ANY else None, other)
    assert other is not None
    return other


def _tell_beginning(ledger: Ledger, evaluations: int, goes_on: bool) -> None:
    if goes_on:
        log.info(
            f"The same search was interrupted: it goes on, with {ledger.recalled} of its {evaluations} evaluations made, and "
            "ends as it would have."
        )
    elif len(ledger) and evaluations:
        log.info(f"{len(ledger)} evaluations are known already: `evaluations` {evaluations} begins anew, and counts new ones.")
