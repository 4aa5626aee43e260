"""`run_strategy`: the one loop that truly evaluates, whatever strategy proposes."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np

from edgenas.progress import Track, quiet
from edgenas.search.ledger import Ledger
from edgenas.search.problem import SearchProblem
from edgenas.search.strategies import Strategy

Evaluate = Callable[[Hashable], float]

MOST_IDLE = 50
"""Proposals in turn without anything new after which a search ends: the strategy has settled, or the space is exhausted."""


@dataclass(frozen=True)
class Outcome:
    """evaluated: architectures that were new. stopped: why the search ended, in words."""

    evaluated: int
    stopped: str


def run_strategy(
    problem: SearchProblem,
    strategy: Strategy,
    evaluate: Evaluate,
    ledger: Ledger,
    *,
    evaluations: int,
    seconds: float = np.inf,
    seed: int = 0,
    track: Track = quiet,
) -> Outcome:
    """Evaluate what a strategy proposes until it ends, `evaluations` new ones are made or `seconds` have passed.

    What the ledger knows already is told first and costs nothing. Other workers may share its storage: what they are
    evaluating is left to them.
    """
    deadline, space = time.monotonic() + seconds, problem.space
    strategy.start(problem, np.random.default_rng(seed))
    told, evaluated, idle = 0, 0, 0
    bar = track(range(evaluations), "Evaluating subnets", evaluations)
    next(bar, None)

    def counted(architecture: Hashable) -> float:
        nonlocal evaluated
        accuracy = evaluate(architecture)
        evaluated += 1
        next(bar, None)
        return accuracy

    try:
        while evaluated < evaluations:
            ledger.refresh()
            genomes, accuracies = ledger.arrays()
            if len(genomes) > told:
                strategy.tell(genomes[told:], accuracies[told:])
                told = len(genomes)
            asked = strategy.ask(evaluations - evaluated)
            if not len(asked):
                return Outcome(evaluated, "nothing better is predicted")
            before = evaluated
            known: list[tuple[np.ndarray, float]] = []
            for genome in asked[: evaluations - evaluated]:
                if time.monotonic() > deadline:
                    return Outcome(evaluated, "the time is up")
                architecture = space.decode(genome)
                if architecture in ledger:
                    known.append((genome, ledger[architecture]))
                else:
                    ledger.evaluate(architecture, counted)
            if known:
                repeated, values = zip(*known, strict=True)
                strategy.tell(np.stack(repeated), np.array(values))
            idle = 0 if evaluated > before else idle + 1
            if idle == MOST_IDLE:
                return Outcome(evaluated, "nothing new is proposed")
        return Outcome(evaluated, "all evaluations are made")
    finally:
        bar.close()
