"""`run_strategy`: the one loop that truly evaluates, whatever strategy proposes."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, NoReturn, Protocol, TypeVar

import numpy as np

from edgenas.progress import Track, quiet
from edgenas.search.ledger import Ledger, Measured
from edgenas.search.problem import SearchProblem
from edgenas.search.strategies import Proposal, Strategy
from edgenas.space.genome import A

Evaluated = TypeVar("Evaluated", bound=Hashable, contravariant=True)

MOST_IDLE = 50
"""Proposals in turn without anything new after which a search ends: the strategy has settled, or the space is exhausted."""


ROUNDING = 1e-6
"""Of sums of shares, such as thirds."""


class Evaluate(Protocol[Evaluated]):
    """An architecture's accuracy, truly measured, or its answers to the validation images, from which any metric follows.

    share: of the images, 0..1; strategies that never look at less than all of them call without it.
    """

    def __call__(self, architecture: Evaluated, /, *, share: float = 1.0) -> Measured: ...


@dataclass(frozen=True)
class Outcome:
    """evaluated: architectures that were new. spent: what that cost in full evaluations; one on a share of the images is a
    share of one. stopped: why the search ended, in words. evaluation_cpu_s, own_cpu_s: what evaluating took, and the rest.
    """

    evaluated: int
    spent: float
    stopped: str
    evaluation_cpu_s: float
    own_cpu_s: float

    def __add__(self, other: Outcome) -> Outcome:
        """Of two searches, one after the other."""
        return Outcome(
            self.evaluated + other.evaluated,
            self.spent + other.spent,
            " and then ".join(dict.fromkeys(outcome.stopped for outcome in (self, other) if outcome.spent)) or self.stopped,
            self.evaluation_cpu_s + other.evaluation_cpu_s,
            self.own_cpu_s + other.own_cpu_s,
        )


def run_strategy(
    problem: SearchProblem[A],
    strategy: Strategy,
    evaluate: Evaluate[A],
    ledger: Ledger[A],
    *,
    evaluations: int,
    first: Iterable[np.ndarray] = (),
    seconds: float = np.inf,
    seed: int = 0,
    track: Track = quiet,
) -> Outcome:
    """Evaluate what a strategy proposes until it ends, `evaluations` new ones are spent or `seconds` have passed.

    What the ledger knows already is told first and costs nothing; what it recalls of this search, from before it was
    interrupted, is told when it is asked for again, and counts as it did. Other workers may share its storage: what they are
    evaluating is left to them. first: genomes to evaluate before the strategy is asked.
    """
    meter = _Meter(evaluate, ledger, evaluations, seconds, track)
    strategy.start(problem, np.random.default_rng(seed))
    try:
        for genome in first:
            meter.measure(problem.space.decode(genome))
        _propose_and_measure(problem, strategy, ledger, meter)
    except _Over as reason:
        return meter.outcome(str(reason))
    finally:
        meter.close()


class _Over(Exception):
    """There is nothing left to do, and why."""


def _propose_and_measure(problem: SearchProblem[A], strategy: Strategy, ledger: Ledger[A], meter: _Meter[A]) -> NoReturn:
    told, idle = 0, 0
    while True:
        meter.check(1.0)
        ledger.refresh()
        genomes, accuracies = ledger.arrays()
        if len(genomes) > told:
            strategy.tell(genomes[told:], accuracies[told:])
            told = len(genomes)
        before = meter.spent
        proposal = strategy.ask(meter.left)
        if not len(proposal):
            raise _Over("nothing better is predicted")
        answered = _measure(problem, proposal, ledger, meter)
        if answered:
            again, values = zip(*answered, strict=True)
            strategy.tell(np.stack(again), np.array(values), proposal.share)
        idle = 0 if meter.spent > before else idle + 1
        if idle == MOST_IDLE:
            raise _Over("nothing new is proposed")


def _measure(
    problem: SearchProblem[A], proposal: Proposal, ledger: Ledger[A], meter: _Meter[A]
) -> list[tuple[np.ndarray, float]]:
    """What there is to tell at once: previews, and what was known. What is new in full the ledger tells."""
    answered = []
    for genome in proposal.genomes[: meter.most(proposal.share)]:
        architecture = problem.space.decode(genome)
        is_new = proposal.share == 1 and architecture not in ledger
        accuracy = meter.measure(architecture, proposal.share)
        if accuracy is not None and not is_new:
            answered.append((genome, accuracy))
    return answered


class _Meter(Generic[A]):
    """Measures, counts what that costs, and says when it is enough."""

    def __init__(self, evaluate: Evaluate[A], ledger: Ledger[A], evaluations: int, seconds: float, track: Track):
        self.evaluated, self.spent = 0, 0.0
        self._evaluate, self._evaluations, self._deadline = evaluate, evaluations, time.monotonic() + seconds
        self._ledgers = {1.0: ledger}
        self._begin, self._evaluation_cpu_s = time.process_time(), 0.0
        self._bar = track(range(evaluations), "Evaluating subnets", evaluations)
        next(self._bar, None)

    @property
    def left(self) -> int:
        return self.most(1.0)

    def most(self, share: float) -> int:
        """How many evaluations on a share of the images are left."""
        return int((self._evaluations - self.spent) / share + ROUNDING)

    def check(self, share: float) -> None:
        if self.most(share) < 1:
            raise _Over("all evaluations are made")
        if time.monotonic() > self._deadline:
            raise _Over("the time is up")

    def measure(self, architecture: A, share: float = 1.0) -> float | None:
        """Its accuracy on a share of the validation images; None while another worker measures it."""
        if share not in self._ledgers:
            self._ledgers[share] = self._ledgers[1.0].of_share(share)
        if architecture not in self._ledgers[share]:
            self.check(share)
        if (recalled := self._ledgers[share].recall(architecture)) is not None:
            self._count(share)
            return recalled
        return self._ledgers[share].evaluate(architecture, lambda known: self._counted(known, share))

    def _counted(self, architecture: A, share: float) -> Measured:
        begin = time.process_time()
        measured = self._evaluate(architecture) if share == 1 else self._evaluate(architecture, share=share)
        self._evaluation_cpu_s += time.process_time() - begin
        self._count(share)
        return measured

    def _count(self, share: float) -> None:
        for _ in range(int(self.spent + share) - int(self.spent)):
            next(self._bar, None)
        self.spent += share
        self.evaluated += share == 1

    def outcome(self, stopped: str) -> Outcome:
        own = time.process_time() - self._begin - self._evaluation_cpu_s
        return Outcome(self.evaluated, self.spent, stopped, self._evaluation_cpu_s, own)

    def close(self) -> None:
        self._bar.close()
