"""`search`: from a supernet's accuracies and devices' latencies to the architectures to ship."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from edgenas import cost
from edgenas.errors import EdgeNASError
from edgenas.latency import CONFIDENCE, LatencyTable
from edgenas.metric import Score
from edgenas.predictor import LEAST_SAMPLES, LinkRidge, PredictorQuality, Samples, Shift, measure_shift
from edgenas.progress import Track, quiet
from edgenas.search.additive import Additive, Bottleneck, Objective
from edgenas.search.evidence import Evidence
from edgenas.search.exact import Exact
from edgenas.search.ledger import Ledger
from edgenas.search.pareto import pareto_front
from edgenas.search.problem import Constraint, SearchProblem
from edgenas.search.run import Evaluate, Outcome, run_strategy
from edgenas.search.strategies import Bayesian, Strategy
from edgenas.space import Architecture, BlockSpec, SearchSpace
from edgenas.values import plain_fields
from edgenas.values.kinds import Count, Milliseconds, Predicted, Share

DIGITS = 6
"""Of accuracies that are compared: no set of images tells more."""


@dataclass(frozen=True)
class Candidate:
    """An architecture whose accuracy was measured: whatever the search's metric calls so.

    latency_ms: the table's prediction; latency_low_ms, latency_high_ms: its interval, of the search's confidence.
    validation_accuracy: measured with recalibrated batch norm. predicted_accuracy: the predictor's. expected_accuracy: what is
    to be expected on other images, see `Evidence`. validation_low, validation_high: the 95 % interval of what was measured, on
    so few images; unknown before version 5 of the record. All in 0..1.
    """

    architecture: Architecture
    latency_ms: Milliseconds
    latency_low_ms: Milliseconds
    latency_high_ms: Milliseconds
    validation_accuracy: Share
    predicted_accuracy: Predicted
    macs: Count
    parameters: Count
    peak_memory_bytes: Count
    expected_accuracy: Predicted
    validation_low: Share | None = None
    validation_high: Share | None = None

    def score(self, metric: str, images: int | None = None) -> Score:
        """What was measured, by the search's metric, on so many images; less than `SearchRecord.score` knows of the best."""
        return Score(metric, self.validation_accuracy, self.validation_low, self.validation_high, None, None, images)

    def to_json(self) -> dict[str, Any]:
        """With the architecture's id, by which people name it."""
        return plain_fields(self) | {"id": self.architecture.id}


@dataclass(frozen=True)
class Claim:
    """The best accuracy that the predictor expects of any architecture within the limits.

    optimal: whether it is proved that none is predicted to be better. evaluated: whether that architecture was, so that its
    accuracy is measured as well. outside: whether it lies outside the evaluated ones, so that the predictor extrapolates.
    """

    accuracy: Predicted
    optimal: bool
    evaluated: bool
    outside: bool


@dataclass(frozen=True)
class SearchResult:
    """front: within the budget, by rising latency and expected accuracy. best: the fastest that is as good as its last, of
    which most is expected (`Evidence.is_as_good`). alike: the others within one standard error of that.

    predictor: how well it predicts what is like the evaluated architectures; shift: and what is like the front, of which it
    was fitted without (None where too few others were evaluated). claim: None where the predictor ranks no better than chance,
    so that it claims nothing.
    evidence: on everything that was evaluated; index: of the best in it.
    """

    best: Candidate
    front: tuple[Candidate, ...]
    alike: tuple[Candidate, ...]
    predictor: PredictorQuality
    shift: Shift | None
    claim: Claim | None
    outcome: Outcome
    evidence: Evidence = field(repr=False, compare=False)
    index: int

    @property
    def score(self) -> Score:
        """Of the best, by the metric that was maximised."""
        return self.evidence.score(self.index)

    def is_better(self, other: SearchResult) -> bool:
        """Whether its best is to be preferred to another search's on the same images: the faster one, if it is as good."""
        both, own, its = self.evidence.joined(other.evidence), self.index, len(self.evidence.measured) + other.index
        if self.best.latency_ms <= other.best.latency_ms:
            return both.is_as_good(own, its)
        return not both.is_as_good(its, own)


def latency_constraint(space: SearchSpace, table: LatencyTable, budget_ms: float, confidence: float = CONFIDENCE) -> Constraint:
    """Latency on a table's device, at the upper end of its interval of a confidence in [0, 1), within a budget."""
    which = f"upper end of the {100 * confidence:g} % interval" if confidence else "as predicted, without an interval"
    high = Additive(lambda genomes: table.interval(space, table.predict(space, genomes), confidence).high)
    return Constraint(f"latency on {table.device} ({table.execution.runtime}, {table.kind}, {which})", high, budget_ms, "ms")


def fastest(space: SearchSpace, table: LatencyTable) -> tuple[Architecture, float]:
    """The architecture of least predicted latency, and that latency in ms. Exact."""
    latency = Additive(lambda genomes: table.predict(space, genomes))
    alike = Additive(lambda genomes: np.zeros(len(genomes)))  # with nothing else to want, the front is the fastest alone
    (genome,) = Exact().search(SearchProblem(space, (alike, latency))).genomes
    return space.decode(genome), float(table.predict(space, genome[None])[0])


def fastest_within(
    space: SearchSpace, table: LatencyTable, budget_ms: float, confidence: float, constraints: Sequence[Constraint]
) -> np.ndarray:
    """The `(d,)` genome of least latency that keeps a budget and the constraints. Raises InfeasibleError where none does."""
    latency = latency_constraint(space, table, budget_ms, confidence)
    speed = Additive(lambda genomes: -latency.measure(genomes))
    genomes = Exact(steps=2).search(SearchProblem(space, (speed, latency.measure), (latency, *constraints))).genomes
    return np.asarray(genomes[0])


def macs_constraint(space: SearchSpace, limit: float, precision: str = "fp32") -> Constraint:
    """The same in every precision."""
    return Constraint("multiply-accumulates", _sum(space, cost.block_macs), limit)


def parameters_constraint(space: SearchSpace, limit: float, precision: str = "fp32") -> Constraint:
    """The same in every precision."""
    return Constraint("parameters", _sum(space, cost.block_parameters), limit)


def flash_constraint(space: SearchSpace, limit_bytes: float, precision: str = "fp32") -> Constraint:
    """On the size of the file."""
    return Constraint("file size", _sum(space, partial(cost.block_file_bytes, precision=precision)), limit_bytes, "bytes")


def memory_constraint(space: SearchSpace, limit_bytes: float, precision: str = "fp32") -> Constraint:
    costs = np.array([cost.block_peak_memory_bytes(spec, precision) for spec in space.distinct_blocks], dtype=float)
    return Constraint("peak memory", Bottleneck(space, costs), limit_bytes, "bytes")


def search(
    space: SearchSpace,
    table: LatencyTable,
    evaluate: Evaluate[Architecture],
    ledger: Ledger[Architecture],
    budgets_ms: Sequence[float],
    *,
    confidence: float = CONFIDENCE,
    constraints: Sequence[Constraint] = (),
    beside: Ledger[Architecture] | None = None,
    images: float = np.inf,
    evaluations: int = 75,
    seconds: float = np.inf,
    strategy: Strategy | None = None,
    seed: int = 0,
    track: Track = quiet,
) -> list[SearchResult]:
    """For every budget the most accurate architectures whose latency is within it, by the ledger's metric.

    `strategy` proposes what is evaluated, `Bayesian` unless told otherwise; what is returned was all evaluated. `ledger`
    keeps every evaluation, so the next search of the same supernet begins where this one ended.

    confidence: in [0, 1): the upper end of this interval of the latency has to be within the budget; 0: the prediction itself.
    constraints: further limits, of another device, MACs, parameters or memory, that hold for every budget.
    beside: what is known of the same subnets in another precision, from which the predictor learns as well.
    images: on how many an accuracy is measured, where `evaluate` gives no answers; infinitely many: it is exact.
    evaluations, seconds: the most that are spent on new evaluations.
    Raises InfeasibleError, naming the closest value, when nothing is within the smallest budget and the constraints, and
    EdgeNASError when too few were evaluated to fit a predictor.
    """
    if space.count() < LEAST_SAMPLES:
        raise EdgeNASError(
            f"{space.name} has {space.count()} architectures: there is nothing to search. Train in a space that has more, "
            "such as the one that follows from `pretrained` without `family`, or compare networks with `baseline()`."
        )
    begin = time.process_time()
    latency = latency_constraint(space, table, max(budgets_ms), confidence)

    def within(accuracy: Objective, budget_ms: float) -> SearchProblem[Architecture]:
        return SearchProblem(space, (accuracy, latency.measure), (replace(latency, limit=budget_ms), *constraints))

    def alike() -> Samples | None:
        if beside is not None:
            beside.recall_with(ledger)
        return None if beside is None or len(beside) < LEAST_SAMPLES else beside.arrays()

    cheapest = fastest_within(space, table, min(budgets_ms), confidence, constraints)[None]
    problem = replace(within(lambda g: np.zeros(len(g)), max(budgets_ms)), budgets=tuple(budgets_ms), alike=alike)
    outcome = run_strategy(
        problem, strategy or Bayesian(), evaluate, ledger, first=cheapest,
        evaluations=evaluations, seconds=seconds, seed=seed, track=track,
    )  # fmt: skip
    ledger.wait_for(space.decode(cheapest[0]), evaluate)  # should another worker have had it in hand
    if len(ledger) < LEAST_SAMPLES:
        raise EdgeNASError(
            f"{len(ledger)} subnets are evaluated, and a predictor needs {LEAST_SAMPLES}: search again with more `evaluations` "
            "or `seconds`. What was evaluated is kept."
        )
    predictor = LinkRidge(space)
    genomes, measured = ledger.arrays()
    quality = predictor.fit(genomes, measured, alike())
    evidence = Evidence.of(ledger, predictor.predict(genomes), quality, images)
    accuracy = Additive(predictor.score, predictor.link)
    found = [
        _measured_front(space, table, confidence, ledger, predictor, evidence, budget, constraints) for budget in budgets_ms
    ]
    shifts = [_shift(ledger, front, alike()) for front, *_ in found]
    claims = [_claim(within(accuracy, budget), predictor, ledger) if quality.ranks else None for budget in budgets_ms]
    outcome = replace(outcome, own_cpu_s=time.process_time() - begin - outcome.evaluation_cpu_s)
    order = {architecture: i for i, (architecture, _) in enumerate(ledger.items())}
    return [
        SearchResult(best, front, alike, quality, shift, claim, outcome, evidence, i)
        for (front, best, alike), shift, claim in zip(found, shifts, claims, strict=True)
        for i in [order[best.architecture]]
    ]


def _claim(predicted: SearchProblem[Architecture], predictor: LinkRidge, ledger: Ledger[Architecture]) -> Claim:
    front = Exact(steps=2).search(predicted)
    best = front.take(np.array([-1]))
    is_evaluated = predicted.space.decode(best.genomes[0]) in ledger
    return Claim(float(best.accuracy[0]), front.optimal, is_evaluated, bool(predictor.is_outside(best.genomes)[0]))


def _shift(ledger: Ledger[Architecture], front: tuple[Candidate, ...], alike: Samples | None) -> Shift | None:
    found = {candidate.architecture for candidate in front}
    genomes, accuracies = ledger.arrays()
    return measure_shift(ledger.space, genomes, accuracies, np.array([a in found for a, _ in ledger.items()]), alike)


def _sum(space: SearchSpace, of_block: Callable[[BlockSpec], int]) -> Additive:
    costs = np.array([of_block(spec) for spec in space.distinct_blocks], dtype=float)
    return Additive(lambda genomes: space.gather(costs, genomes))


def _measured_front(
    space: SearchSpace,
    table: LatencyTable,
    confidence: float,
    ledger: Ledger[Architecture],
    predictor: LinkRidge,
    evidence: Evidence,
    budget_ms: float,
    constraints: Sequence[Constraint],
) -> tuple[tuple[Candidate, ...], Candidate, tuple[Candidate, ...]]:
    """The front, by expected accuracy, of everything that was evaluated and is within the budget and the constraints; the
    fastest of it that is as good as its last; and the others that are alike.

    Of those that differ by rounding alone the fastest is on it.
    """
    expected = evidence.expected
    genomes, accuracy = ledger.arrays()
    latency_ms = table.predict(space, genomes)
    interval = table.interval(space, latency_ms, confidence)
    predicted = predictor.predict(genomes)
    allowed = interval.high <= budget_ms
    for constraint in constraints:
        allowed &= constraint.measure(genomes) <= constraint.limit
    within = np.flatnonzero(allowed)
    front, members = [], within[pareto_front(np.round(expected[within], DIGITS), latency_ms[within])]
    for i in members:
        architecture = space.decode(genomes[i])
        blocks = space.blocks(architecture)
        sizes = cost.macs(blocks), cost.parameters(blocks), cost.peak_memory_bytes(blocks, table.execution.precision)
        times = float(latency_ms[i]), float(interval.low[i]), float(interval.high[i])
        score = evidence.score(i)
        front.append(Candidate(architecture, *times, float(accuracy[i]), float(predicted[i]), *sizes,
                               float(expected[i]), score.low, score.high))  # fmt: skip
    last, those = members[-1], list(zip(members, front, strict=True))
    best = next(c for i, c in those if i == last or evidence.is_as_good(i, last))
    return tuple(front), best, tuple(c for i, c in those if c is not best and (i == last or evidence.is_alike(i, last)))
