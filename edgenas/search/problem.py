"""`SearchProblem`: what is searched, and what for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

import numpy as np

from edgenas.errors import InfeasibleError
from edgenas.predictor import Samples
from edgenas.search.additive import Objective
from edgenas.search.pareto import pareto_front
from edgenas.space import Space
from edgenas.space.genome import A

M = TypeVar("M", bound=Objective, covariant=True)


@dataclass(frozen=True)
class Constraint(Generic[M]):
    """`measure(genomes) <= limit`, of a kind `M` of measure. name and unit are for messages: "latency on cpu" in "ms"."""

    name: str
    measure: M
    limit: float
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.name} within {self._with_unit(f'{self.limit:g}')}"

    def infeasible(self, space: Space, closest: float, member: str = "", others: str = "") -> InfeasibleError:
        """The error that this limit cannot be met. member: who has the closest value; others: the limits met so far."""
        lowest, enough = self._with_unit(f"{closest:.6g}"), self._with_unit(f"{_round_up(closest):g}")
        return InfeasibleError(
            f"No architecture of {space.name} has {self}{others}: the lowest is {lowest}{member}. Allow at least {enough}, "
            "or search a smaller space.",
            closest,
        )

    def _with_unit(self, number: str) -> str:
        return f"{number} {self.unit}" if self.unit else number


def nothing_alike() -> None:
    """Accuracies that resemble nothing that is known."""


@dataclass(frozen=True)
class SearchProblem(Generic[A]):
    """Find the architectures of best accuracy at every cost, within constraints.

    objectives: accuracy, to be high, and cost, such as latency, to be low; an exact search needs both to be `Additive`.
    constraints: any number, on whatever can be computed of a genome. All must hold.
    budgets: costs within each of which the best is wanted above all. What no budget allows is forbidden by a constraint alone.
    alike: what is known, whenever it is asked, of something that the accuracies resemble; see `LinkRidge.fit`.
    """

    space: Space[A]
    objectives: tuple[Objective, Objective]
    constraints: tuple[Constraint, ...] = ()
    budgets: tuple[float, ...] = ()
    alike: Callable[[], Samples | None] = field(default=nothing_alike, repr=False)

    @property
    def accuracy(self) -> Objective:
        return self.objectives[0]

    @property
    def cost(self) -> Objective:
        return self.objectives[1]

    @property
    def cost_limit(self) -> float:
        """The tightest limit on the cost itself; infinite where it has none."""
        return min((c.limit for c in self.constraints if c.measure == self.cost), default=np.inf)

    def violation(self, genomes: np.ndarray) -> np.ndarray:
        """`(n, d)` genomes -> `(n,)` sums of how far each constraint is exceeded, relative to its limit. 0: feasible."""
        total = np.zeros(len(genomes))
        for constraint in self.constraints:
            excess = np.maximum(constraint.measure(genomes) - constraint.limit, 0.0)
            total += excess / max(abs(constraint.limit), 1e-12)
        return total

    def with_accuracy(self, accuracy: Objective) -> SearchProblem[A]:
        return replace(self, objectives=(accuracy, self.cost))

    def evaluate(self, genomes: np.ndarray) -> Population:
        """Distinct genomes with their objectives."""
        genomes = self.space.canonical(genomes)
        genomes = genomes[distinct(genomes)]
        return Population(genomes, self.accuracy(genomes), self.cost(genomes), self.violation(genomes))


@dataclass(frozen=True)
class Population:
    """`(n, d)` distinct genomes with their `(n,)` accuracies, costs and constraint violations.

    optimal: whether this is proved to be the best that there is: no architecture of the space dominates a member.
    """

    genomes: np.ndarray
    accuracy: np.ndarray
    cost: np.ndarray
    violation: np.ndarray
    optimal: bool = False

    def __len__(self) -> int:
        return len(self.genomes)

    def take(self, indices: np.ndarray) -> Population:
        return Population(
            self.genomes[indices], self.accuracy[indices], self.cost[indices], self.violation[indices], self.optimal
        )

    def union(self, other: Population) -> Population:
        genomes = np.concatenate([self.genomes, other.genomes])
        first = distinct(genomes)
        columns = [(self.accuracy, other.accuracy), (self.cost, other.cost), (self.violation, other.violation)]
        return Population(genomes[first], *(np.concatenate(pair)[first] for pair in columns))

    @property
    def front(self) -> Population:
        """The feasible members that no other dominates, by rising cost."""
        feasible = np.flatnonzero(self.violation <= 0)
        return self.take(feasible[pareto_front(self.accuracy[feasible], self.cost[feasible])])


def distinct(genomes: np.ndarray) -> np.ndarray:
    """Indices of the first of each `(d,)` genome among `(n, d)`.

    By a random 64-bit linear hash, ten times as fast as sorting rows; two different genomes of a million share one, and the
    later is lost, with a probability of 1e-7.
    """
    weights = np.random.default_rng(0).integers(-(2**63), 2**63 - 1, genomes.shape[1])
    return np.unique(genomes.astype(np.int64) @ weights, return_index=True)[1]


def skewed_sample(space: Space, rng: np.random.Generator, n: int) -> np.ndarray:
    """`(n, d)` canonical genomes whose sizes cover the whole range.

    Genes drawn uniformly give networks of middling size almost always. Here each network draws its own tendency first,
    then every gene from a binomial with it. Choices must be sorted by size, as those of all spaces are.
    """
    tendency = rng.beta(0.7, 0.7, size=(n, 1))
    return space.canonical(rng.binomial(space.gene_sizes - 1, np.broadcast_to(tendency, (n, len(space.gene_sizes)))))


def extremes(space: Space) -> np.ndarray:
    """`(2, d)` genomes: every choice the first, and every choice the last."""
    last = space.gene_sizes - 1
    return space.canonical(np.stack([np.zeros_like(last), last]))


def _round_up(value: float) -> float:
    """To four significant digits."""
    if value == 0:
        return 0.0
    step = 10.0 ** (np.floor(np.log10(abs(value))) - 3)
    return float(f"{np.ceil(value / step - 1e-9) * step:.12g}")
