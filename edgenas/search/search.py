"""`search`: from a supernet's accuracies and a device's latencies to the architectures to ship."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgenas import cost
from edgenas.errors import InfeasibleError
from edgenas.latency import LatencyTable
from edgenas.predictor import LinkRidge, PredictorQuality
from edgenas.progress import Track, quiet
from edgenas.search.evolution import Evolution
from edgenas.search.ledger import Ledger
from edgenas.search.pareto import pareto_front, spread
from edgenas.search.problem import SearchProblem, skewed_sample
from edgenas.space import Architecture, SearchSpace

Evaluate = Callable[[Architecture], float]


@dataclass(frozen=True)
class Candidate:
    """An architecture whose accuracy was measured.

    latency_ms: the table's prediction; latency_low_ms, latency_high_ms: its 90 % interval.
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
    """best: the most accurate candidate within the budget. front: by rising latency and accuracy, `best` the last."""

    best: Candidate
    front: tuple[Candidate, ...]
    predictor: PredictorQuality
    evaluated: int


def search(
    space: SearchSpace,
    table: LatencyTable,
    evaluate: Evaluate,
    ledger: Ledger,
    budgets_ms: Sequence[float],
    *,
    evaluations: int = 64,
    rounds: int = 2,
    per_round: int = 8,
    strategy: Evolution | None = None,
    seed: int = 0,
    track: Track = quiet,
) -> list[SearchResult]:
    """For every budget the most accurate architectures whose latency is within it with 95 % confidence.

    Evaluates a sample of architectures that covers the space, fits a predictor, lets evolution propose the front up to
    the largest budget, truly evaluates members of it, and refits; what is returned was all evaluated. `ledger` keeps
    every evaluation, so the next search of the same supernet begins where this one ended.

    evaluations: size of the sample. rounds: of evolution. per_round: members of the front that are evaluated after each,
    besides the best for every budget.
    Raises InfeasibleError, naming the fastest architecture, when none is within the smallest budget.
    """
    fastest = _feasible(space, table, min(budgets_ms))
    rng = np.random.default_rng(seed)

    def latency_high_ms(genomes: np.ndarray) -> np.ndarray:
        return table.interval(space, table.predict(space, genomes)).high

    def evaluate_all(architectures: list[Architecture], description: str) -> None:
        new = [a for a in dict.fromkeys(architectures) if a not in ledger]
        for architecture in track(new, description, len(new)):
            ledger.add(architecture, evaluate(architecture))

    known = len(ledger)
    sample = [space.decode(genome) for genome in skewed_sample(space, rng, max(10, evaluations))]
    evaluate_all([space.smallest, space.largest, fastest, *sample], "Evaluating a sample of subnets")
    predictor = LinkRidge(space)
    for _ in range(rounds):
        predictor.fit(*_evaluated(space, ledger))
        problem = SearchProblem(space, predictor.predict, latency_high_ms, max(budgets_ms))
        found = (strategy or Evolution()).search(problem, rng, track)
        front = found.take(pareto_front(found.accuracy, found.latency_ms))
        best = np.searchsorted(front.latency_ms, budgets_ms, side="right") - 1
        chosen = front.genomes[np.union1d(spread(front.latency_ms, per_round), best[best >= 0])]
        evaluate_all([space.decode(genome) for genome in chosen], "Evaluating the proposed subnets")
    quality = predictor.fit(*_evaluated(space, ledger))
    fronts = [_measured_front(space, table, ledger, predictor, budget) for budget in budgets_ms]
    return [SearchResult(front[-1], front, quality, len(ledger) - known) for front in fronts]


def _feasible(space: SearchSpace, table: LatencyTable, budget_ms: float) -> Architecture:
    """The fastest architecture. Raises InfeasibleError when even that is not within the budget."""
    fastest, latency_ms = table.fastest(space)
    closest_ms = float(table.interval(space, latency_ms).high)
    if closest_ms > budget_ms:
        raise InfeasibleError(
            f"No architecture of {space.name} runs within {budget_ms:g} ms on {table.device}: the fastest, {fastest}, takes "
            f"{latency_ms:.3g} ms ({table.kind}; up to {closest_ms:.3g} ms in its 90 % interval). Allow at least "
            f"{_round_up(closest_ms):g} ms, or train a smaller space.",
            closest_ms,
        )
    return fastest


def _evaluated(space: SearchSpace, ledger: Ledger) -> tuple[np.ndarray, np.ndarray]:
    architectures, accuracies = zip(*ledger.items(), strict=True)
    return np.stack([space.encode(a) for a in architectures]), np.array(accuracies)


def _measured_front(
    space: SearchSpace, table: LatencyTable, ledger: Ledger, predictor: LinkRidge, budget_ms: float
) -> tuple[Candidate, ...]:
    """The front of everything that was evaluated and is within the budget."""
    genomes, accuracy = _evaluated(space, ledger)
    latency_ms = table.predict(space, genomes)
    interval = table.interval(space, latency_ms)
    predicted = predictor.predict(genomes)
    within = np.flatnonzero(interval.high <= budget_ms)
    front = []
    for i in within[pareto_front(accuracy[within], latency_ms[within])]:
        architecture = space.decode(genomes[i])
        blocks = space.blocks(architecture)
        sizes = cost.macs(blocks), cost.parameters(blocks), cost.peak_memory_bytes(blocks)
        times = float(latency_ms[i]), float(interval.low[i]), float(interval.high[i])
        front.append(Candidate(architecture, *times, float(accuracy[i]), float(predicted[i]), *sizes))
    return tuple(front)


def _round_up(value: float) -> float:
    """To two significant digits."""
    step = 10.0 ** (np.floor(np.log10(value)) - 1)
    return float(np.ceil(value / step) * step)
