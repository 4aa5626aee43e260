"""What every strategy for expensive evaluations is, and what it knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from edgenas.search.problem import Population, SearchProblem


@dataclass(frozen=True)
class Proposal:
    """`(n, d)` canonical genomes to evaluate next; none: the search has ended.

    share: of the validation images to look at, in (0, 1]. Below 1 it is a preview, which costs that share of an evaluation;
    its accuracies are told to the strategy that asked and are no results.
    """

    genomes: np.ndarray
    share: float = 1.0

    def __len__(self) -> int:
        return len(self.genomes)


class Strategy(Protocol):
    """Chooses architectures to evaluate. The problem's cost and constraints are cheap to call, its accuracy is not called.

    `start` is called once, then `tell` with what is known already, then `ask` and `tell` in turn. All randomness comes from
    `rng`. `edgenas.search.testing.StrategyContract` tests all that is said here of a strategy, one's own as well.
    """

    def start(self, problem: SearchProblem, rng: np.random.Generator) -> None:
        """Begin, or begin anew. The best within each of the problem's budgets is wanted above all."""
        ...

    def ask(self, count: int) -> Proposal:
        """What is worth at most `count` full evaluations, `count` being at least 1. Known architectures cost nothing."""
        ...

    def tell(self, genomes: np.ndarray, accuracies: np.ndarray, share: float = 1.0) -> None:
        """The `(n,)` accuracies of `(n, d)` genomes on a share of the validation images.

        In full: those that were asked for or others, such as other workers'. Of previews none but those that were asked for, as
        far as no other worker has them in hand; a strategy that asks for none is told none.
        """
        ...


class History:
    """All that was told, each genome once."""

    def __init__(self, problem: SearchProblem):
        self.problem = problem
        self._rows: dict[bytes, int] = {}
        self.genomes = np.empty((0, len(problem.space.gene_sizes)), dtype=int)
        self.accuracy = np.empty(0)

    def __len__(self) -> int:
        return len(self.accuracy)

    def add(self, genomes: np.ndarray, accuracies: np.ndarray) -> None:
        new = []
        for i, genome in enumerate(genomes):
            key = genome.astype(np.int64).tobytes()
            if key not in self._rows:
                self._rows[key] = len(self._rows)
                new.append(i)
        self.genomes = np.concatenate([self.genomes, np.asarray(genomes)[new]])
        self.accuracy = np.concatenate([self.accuracy, np.asarray(accuracies)[new]])

    def is_known(self, genomes: np.ndarray) -> np.ndarray:
        """`(n, d)` -> `(n,)` booleans."""
        return np.array([genome.astype(np.int64).tobytes() in self._rows for genome in genomes], dtype=bool)

    @property
    def population(self) -> Population:
        problem = self.problem
        return Population(self.genomes, self.accuracy, problem.cost(self.genomes), problem.violation(self.genomes))


def target_cost(problem: SearchProblem, rng: np.random.Generator) -> float:
    """What a policy aims at: the limit on the cost, and the median of random costs where there is none."""
    limit = problem.cost_limit
    return limit if np.isfinite(limit) else float(np.median(problem.cost(problem.space.sample(rng, 200))))


def distinct_unknown(history: History, genomes: np.ndarray, count: int) -> np.ndarray:
    """The first `count` genomes that were not told yet, each once, in their order."""
    _, first = np.unique(genomes, axis=0, return_index=True)
    genomes = genomes[np.sort(first)]
    return genomes[~history.is_known(genomes)][:count]
