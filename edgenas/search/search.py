"""`search`: from a supernet's accuracies and devices' latencies to the architectures to ship."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgenas import cost
from edgenas.latency import CONFIDENCE, LatencyTable
from edgenas.predictor import LinkRidge, PredictorQuality
from edgenas.progress import Track, quiet
from edgenas.search.additive import Additive, Bottleneck
from edgenas.search.exact import Exact
from edgenas.search.ledger import Ledger
from edgenas.search.pareto import pareto_front
from edgenas.search.problem import Constraint, SearchProblem
from edgenas.search.run import Evaluate, Outcome, run_strategy
from edgenas.search.strategies import Bayesian, Strategy
from edgenas.space import Architecture, SearchSpace


@dataclass(frozen=True)
class Candidate:
    """An architecture whose accuracy was measured.

    latency_ms: the table's prediction; latency_low_ms, latency_high_ms: its interval, of the search's confidence.
    validation_accuracy: measured with recalibrated batch norm. predicted_accuracy: the predictor's. Both in 0..1.
    """

    architecture: Architecture
    latency_ms: float
    latency_low_ms: float
    latency_high_ms: float
    validation_accuracy: float
    predicted_accuracy: float
    macs: int
    parameters: int
    peak_memory_bytes: int


@dataclass(frozen=True)
class SearchResult:
    """best: the most accurate candidate within the budget. front: by rising latency and accuracy, `best` the last.

    claimed_accuracy: what the predictor expects of the best architecture of the whole space within the budget. optimal:
    whether it is proved that no architecture is predicted to be better.
    """

    best: Candidate
    front: tuple[Candidate, ...]
    predictor: PredictorQuality
    evaluated: int
    stopped: str
    claimed_accuracy: float
    optimal: bool


def latency_constraint(space: SearchSpace, table: LatencyTable, budget_ms: float, confidence: float = CONFIDENCE) -> Constraint:
    """Latency on a table's device, at the upper end of its interval of a confidence in [0, 1), within a budget."""
    which = f"upper end of the {100 * confidence:g} % interval" if confidence else "as predicted, without an interval"
    return Constraint(
        f"latency on {table.device} ({table.kind}, {which})", latency_high(space, table, confidence), budget_ms, "ms"
    )


def latency_high(space: SearchSpace, table: LatencyTable, confidence: float) -> Additive:
    return Additive(lambda genomes: table.interval(space, table.predict(space, genomes), confidence).high)


def macs_constraint(space: SearchSpace, limit: float) -> Constraint:
    return Constraint("multiply-accumulates", _sum(space, cost.block_macs), limit)


def parameters_constraint(space: SearchSpace, limit: float) -> Constraint:
    return Constraint("parameters", _sum(space, cost.block_parameters), limit)


def memory_constraint(space: SearchSpace, limit_bytes: float) -> Constraint:
    costs = np.array([cost.block_peak_memory_bytes(spec) for spec in space.distinct_blocks], dtype=float)
    return Constraint("peak memory", Bottleneck(space, costs), limit_bytes, "bytes")


def search(
    space: SearchSpace,
    table: LatencyTable,
    evaluate: Evaluate,
    ledger: Ledger,
    budgets_ms: Sequence[float],
    *,
    confidence: float = CONFIDENCE,
    constraints: Sequence[Constraint] = (),
    evaluations: int = 75,
    seconds: float = np.inf,
    strategy: Strategy | None = None,
    seed: int = 0,
    track: Track = quiet,
) -> list[SearchResult]:
    """For every budget the most accurate architectures whose latency is within it.

    `strategy` proposes what is evaluated, `Bayesian` unless told otherwise; what is returned was all evaluated. `ledger`
    keeps every evaluation, so the next search of the same supernet begins where this one ended.

    confidence: in [0, 1): the upper end of this interval of the latency has to be within the budget; 0: the prediction itself.
    constraints: further limits, of another device, MACs, parameters or memory, that hold for every budget.
    evaluations, seconds: the most that are spent on new evaluations.
    Raises InfeasibleError, naming the closest value, when nothing is within the smallest budget and the constraints.
    """
    latency = latency_high(space, table, confidence)
    limits = [latency_constraint(space, table, budget, confidence) for budget in sorted(budgets_ms)]
    budget_limits = [replace(limit, measure=latency) for limit in limits]
    fastest = SearchProblem(space, (Additive(lambda g: -latency(g)), latency), (budget_limits[0], *constraints))
    cheapest = Exact(budgets=2).search(fastest).genomes[0]
    problem = SearchProblem(space, (lambda g: np.zeros(len(g)), latency), (budget_limits[-1], *constraints))
    strategy = strategy or Bayesian(targets=tuple(budgets_ms))

    known = len(ledger)
    architecture = space.decode(cheapest)
    if architecture not in ledger:
        ledger.evaluate(architecture, evaluate)  # so that every budget has an answer
    first = len(ledger) - known
    outcome = run_strategy(
        problem, strategy, evaluate, ledger, evaluations=evaluations - first, seconds=seconds, seed=seed, track=track
    )
    outcome = Outcome(outcome.evaluated + first, outcome.stopped)
    predictor = LinkRidge(space)
    quality = predictor.fit(*ledger.arrays())
    accuracy = Additive(predictor.score, predictor.link)
    predicted = Exact(budgets=2 + len(budgets_ms)).search(problem.with_accuracy(accuracy))
    results = []
    for budget in budgets_ms:
        front = _measured_front(space, table, confidence, ledger, predictor, budget, constraints)
        claimed = float(predicted.accuracy[max(np.searchsorted(predicted.cost, budget, side="right") - 1, 0)])
        results.append(SearchResult(front[-1], front, quality, outcome.evaluated, outcome.stopped, claimed, predicted.optimal))
    return results


def _sum(space: SearchSpace, of_block) -> Additive:
    costs = np.array([of_block(spec) for spec in space.distinct_blocks], dtype=float)
    return Additive(lambda genomes: space.gather(costs, genomes))


def _measured_front(
    space: SearchSpace,
    table: LatencyTable,
    confidence: float,
    ledger: Ledger,
    predictor: LinkRidge,
    budget_ms: float,
    constraints: Sequence[Constraint],
) -> tuple[Candidate, ...]:
    """The front of everything that was evaluated and is within the budget and the constraints."""
    genomes, accuracy = ledger.arrays()
    latency_ms = table.predict(space, genomes)
    interval = table.interval(space, latency_ms, confidence)
    predicted = predictor.predict(genomes)
    within = interval.high <= budget_ms
    for constraint in constraints:
        within &= constraint.measure(genomes) <= constraint.limit
    within = np.flatnonzero(within)
    front = []
    for i in within[pareto_front(accuracy[within], latency_ms[within])]:
        architecture = space.decode(genomes[i])
        blocks = space.blocks(architecture)
        sizes = cost.macs(blocks), cost.parameters(blocks), cost.peak_memory_bytes(blocks)
        times = float(latency_ms[i]), float(interval.low[i]), float(interval.high[i])
        front.append(Candidate(architecture, *times, float(accuracy[i]), float(predicted[i]), *sizes))
    return tuple(front)
