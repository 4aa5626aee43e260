"""What every strategy for expensive evaluations is, and what it knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np

from edgenas.search.problem import Population, SearchProblem


class Strategy(Protocol):
    """Chooses architectures to evaluate. The problem's cost and constraints are cheap to call, its accuracy is not called.

    `start` is called once, then `tell` with what is known already, then `ask` and `tell` in turn. All randomness comes from
    `rng`.
    """

    def start(self, problem: SearchProblem, rng: np.random.Generator) -> None: ...

    def ask(self, count: int) -> np.ndarray:
        """Between 1 and `count` canonical genomes, `(n, d)`; none when the search has ended. Known ones cost nothing."""
        ...

    def tell(self, genomes: np.ndarray, accuracies: np.ndarray) -> None:
        """The `(n,)` accuracies of `(n, d)` genomes, those that were asked for or others."""
        ...


Preview = Callable[[np.ndarray, float], np.ndarray]
"""`(n, d)` genomes, a share of the validation images -> `(n,)` accuracies measured on that share. Each counts as that share of
an evaluation. NaN: another worker has it in hand."""


@runtime_checkable
class Screening(Protocol):
    """What a strategy is besides, that looks at cheap evaluations before it asks for full ones."""

    def screen_with(self, preview: Preview) -> None:
        """Called before `start`."""
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


def distinct_unknown(history: History, genomes: np.ndarray, count: int) -> np.ndarray:
    """The first `count` genomes that were not told yet, each once, in their order."""
    _, first = np.unique(genomes, axis=0, return_index=True)
    genomes = genomes[np.sort(first)]
    return genomes[~history.is_known(genomes)][:count]
