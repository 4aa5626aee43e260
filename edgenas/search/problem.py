"""`SearchProblem`: what is searched, and what for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgenas.space import SearchSpace

Objective = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class SearchProblem:
    """Find the most accurate architectures of a space within a latency budget.

    accuracy, latency_ms: `(n, d)` genomes -> `(n,)`, of a whole population at once.
    budget_ms: the constraint `latency_ms <= budget_ms`.
    """

    space: SearchSpace
    accuracy: Objective
    latency_ms: Objective
    budget_ms: float


def skewed_sample(space: SearchSpace, rng: np.random.Generator, n: int) -> np.ndarray:
    """`(n, d)` canonical genomes whose sizes cover the whole range.

    Genes drawn uniformly give networks of middling size almost always. Here each network draws its own tendency first,
    then every gene from a binomial with it. Choices must be sorted by size, as those of all spaces are.
    """
    tendency = rng.beta(0.7, 0.7, size=(n, 1))
    return space.canonical(rng.binomial(space.gene_sizes - 1, np.broadcast_to(tendency, (n, len(space.gene_sizes)))))
