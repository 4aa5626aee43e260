"""`Exact`: the best architectures of a separable problem, proved, without looking at each of them.

Segment by segment and slot by slot, dynamic programming extends all partial networks that no other dominates: what is
added later is the same for all of them (Bellman's principle on a Pareto front; Warburton, 1987).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from edgenas.errors import InfeasibleError, UsageError
from edgenas.progress import Track, quiet
from edgenas.search.additive import Additive, Bottleneck, Objective, Table, usable
from edgenas.search.constrained import Separated, best_within
from edgenas.search.layout import Layout, layout_of
from edgenas.search.pareto import pareto_front
from edgenas.search.problem import Constraint, Population, SearchProblem


@dataclass(frozen=True)
class Exact:
    """Proves its answer; needs `Additive` objectives, and constraints that are `Additive` or a `Bottleneck`.

    Where all constraints are limits of the cost itself or bottlenecks, one pass gives the front at every budget. With further
    sums to be limited (a second device, MACs, parameters) it gives the best architecture for each of `budgets` costs
    between the lowest and the highest allowed, every one by branch and bound with Lagrangian bounds.
    """

    budgets: int = 25

    def search(self, problem: SearchProblem, rng: np.random.Generator | None = None, track: Track = quiet) -> Population:
        """The front by rising cost. `optimal` is False only where branch and bound had to stop early.

        Raises InfeasibleError naming the closest value when the constraints cannot be met, UsageError where the problem
        is not separable.
        """
        parts = Parts.of(problem)
        genomes, optimal = (front_genomes(parts, track), True) if parts.is_planar else self._by_budget(parts, track)
        front = problem.evaluate(genomes).front
        if not len(front):
            raise _infeasible(parts)
        return replace(front, optimal=optimal)

    def _by_budget(self, parts: Parts, track: Track) -> tuple[np.ndarray, bool]:
        problem = parts.problem
        limits = [c for c in problem.constraints if isinstance(c.measure, Additive)]
        score, cheapness = parts.score.breaking_ties(parts.cost.negative), parts.cost.negative.breaking_ties(parts.score)
        ends = [best_within(parts.separated(objective, limits)) for objective in (cheapness, score)]
        proved = all(end.proved for end in ends)
        if any(end.genome is None for end in ends):
            return np.empty((0, len(parts.layout.gene_sizes)), dtype=int), proved
        found = [end.genome for end in ends]
        steps = np.linspace(*problem.cost(np.stack(found)), self.budgets)[1:-1]
        for budget in track(steps, "Solving for every budget", len(steps)):
            within = [*limits, Constraint("cost", problem.cost, float(budget))]
            solution = best_within(parts.separated(score, within))
            proved &= solution.proved
            if solution.genome is not None:
                found.append(solution.genome)
        return np.stack(found), proved


@dataclass(frozen=True)
class Parts:
    """A separable problem taken apart. allowed: `(r, s, u, c)` choices that no bottleneck forbids; open: `(r,)` branches."""

    problem: SearchProblem
    layout: Layout
    score: Table
    cost: Table
    allowed: np.ndarray
    open: np.ndarray

    @classmethod
    def of(cls, problem: SearchProblem) -> Parts:
        """Raises UsageError where it cannot be."""
        if not separable(problem):
            raise UsageError("Exact search needs Additive objectives and Additive or Bottleneck constraints: use Evolution.")
        layout = layout_of(problem.space)
        accuracy, cost = problem.objectives
        bottlenecks = [c for c in problem.constraints if isinstance(c.measure, Bottleneck)]
        return cls(problem, layout, Table.of(accuracy, layout), Table.of(cost, layout), *_allowed(layout, bottlenecks))

    @property
    def cost_limit(self) -> float:
        return min((c.limit for c in self.problem.constraints if c.measure == self.problem.cost), default=np.inf)

    @property
    def is_planar(self) -> bool:
        """Whether nothing is limited but the cost and what single blocks take."""
        return all(c.measure == self.problem.cost or isinstance(c.measure, Bottleneck) for c in self.problem.constraints)

    def separated(self, score: Table, limits: list[Constraint]) -> Separated:
        """The tightest limit of every measure is the one that counts."""
        tightest: dict[Objective, Constraint] = {}
        for constraint in sorted(limits, key=lambda c: c.limit):
            tightest.setdefault(constraint.measure, constraint)
        limits = list(tightest.values())
        tables = [self.cost if c.measure == self.problem.cost else Table.of(c.measure, self.layout) for c in limits]
        return Separated(self.layout, score, limits, tables, self.allowed, self.open)


def separable(problem: SearchProblem) -> bool:
    """Whether `Exact` can search it."""
    measures = [constraint.measure for constraint in problem.constraints]
    return all(isinstance(o, Additive) for o in problem.objectives) and all(
        isinstance(measure, Additive | Bottleneck) for measure in measures
    )


def front_genomes(parts: Parts, track: Track = quiet) -> np.ndarray:
    """`(n, d)` genomes, the front of score and cost among them, from all branches."""
    branches = np.flatnonzero(parts.open)
    found = [_branch_front(parts, int(branch)) for branch in track(branches, "Exact search", len(branches))]
    return np.concatenate([np.empty((0, len(parts.layout.gene_sizes)), dtype=int), *found])


@dataclass(frozen=True)
class _Partial:
    """Partial networks: `(n,)` scores and costs, `(n, d)` genes."""

    score: np.ndarray
    cost: np.ndarray
    genes: np.ndarray

    def take(self, indices: np.ndarray) -> _Partial:
        return _Partial(self.score[indices], self.cost[indices], self.genes[indices])

    def undominated(self) -> _Partial:
        return self.take(pareto_front(self.score, self.cost))


def _branch_front(parts: Parts, branch: int) -> np.ndarray:
    layout, score, cost = parts.layout, parts.score, parts.cost
    cheapest_rest = _cheapest_rest(parts, branch)
    slack = 1e-9 * max(1.0, abs(parts.cost_limit)) if np.isfinite(parts.cost_limit) else 0.0
    whole = _Partial(score.base[branch, None], cost.base[branch, None], layout.empty(1, branch).astype(np.int16))
    for s, segment in enumerate(layout.segments):
        prefix, ended = whole, []
        for used in range(max(segment.depths) + 1):
            if used:
                prefix = _extended(parts, prefix, branch, s, used - 1)
            for j in np.flatnonzero(np.array(segment.depths) == used):
                genes = prefix.genes.copy()
                if segment.depth_column is not None:
                    genes[:, segment.depth_column] = j
                ended.append(_Partial(prefix.score + score.depth[branch, s, j], prefix.cost + cost.depth[branch, s, j], genes))
        whole = _Partial(*(np.concatenate([getattr(e, name) for e in ended]) for name in ("score", "cost", "genes")))
        whole = whole.take(np.flatnonzero(whole.cost + cheapest_rest[s + 1] <= parts.cost_limit + slack)).undominated()
    return whole.genes.astype(int)


def _extended(parts: Parts, prefix: _Partial, branch: int, s: int, u: int) -> _Partial:
    slot = parts.layout.segments[s].slots[u]
    options = np.flatnonzero(parts.allowed[branch, s, u])
    gained, paid = parts.score.choice[branch, s, u, options], parts.cost.choice[branch, s, u, options]
    options = options[best := pareto_front(gained, paid)]
    total, spent = (prefix.score[:, None] + gained[best]).ravel(), (prefix.cost[:, None] + paid[best]).ravel()
    keep = pareto_front(total, spent)
    before, chosen = np.divmod(keep, max(len(options), 1))
    genes = prefix.genes[before]
    genes[:, list(slot)] = parts.layout.choices(slot)[options[chosen]]
    return _Partial(total[keep], spent[keep], genes)


def _cheapest_rest(parts: Parts, branch: int) -> np.ndarray:
    """`(s + 1,)`: the least that the segments from each one on can add to the cost."""
    rest = [0.0]
    for s, segment in reversed(list(enumerate(parts.layout.segments))):
        least = np.where(parts.allowed[branch, s], parts.cost.choice[branch, s], np.inf).min(axis=-1)
        sums = np.concatenate([[0.0], np.cumsum(least[: len(segment.slots)])])
        rest.append(rest[-1] + min(sums[d] + parts.cost.depth[branch, s, j] for j, d in enumerate(segment.depths)))
    return np.array(rest[::-1])


def _allowed(layout: Layout, bottlenecks: list[Constraint]) -> tuple[np.ndarray, np.ndarray]:
    """`(r, s, u, c)` choices and `(r,)` branches that all bottlenecks let pass."""
    mask = usable(layout)
    allowed, is_open = np.broadcast_to(mask, (layout.branches, *mask.shape)).copy(), np.ones(layout.branches, dtype=bool)
    for constraint in bottlenecks:
        fixed, choices = constraint.measure.parts(layout)
        is_open &= fixed <= constraint.limit
        allowed &= choices <= constraint.limit
    for s, segment in enumerate(layout.segments):
        is_open &= allowed[:, s, : min(segment.depths)].any(axis=-1).all(axis=-1)
    return allowed, is_open


def _infeasible(parts: Parts) -> InfeasibleError:
    """The error of a problem without a solution: the first limit that cannot be met together with those before it.

    Bottlenecks come first: what they let pass is known choice by choice.
    """
    problem, layout = parts.problem, parts.layout
    met: list[Constraint] = []
    member = ""
    for constraint in sorted(problem.constraints, key=lambda c: isinstance(c.measure, Additive)):
        if isinstance(constraint.measure, Bottleneck):
            fixed, choices = constraint.measure.parts(layout)
            levels = np.unique([*fixed, *choices.ravel()])
            passing = [_allowed(layout, [*met, replace(constraint, limit=float(level))])[1].any() for level in levels]
            closest = float(levels[passing.index(True)])
        else:
            limits = [c for c in met if isinstance(c.measure, Additive)]
            lowest = best_within(parts.separated(Table.of(constraint.measure, layout).negative, limits))
            closest = float(constraint.measure(lowest.genome[None])[0])
            member = f", of {problem.space.decode(lowest.genome)}"
        if closest > constraint.limit:
            break
        met.append(constraint)
    others = " and ".join(map(str, met))
    return constraint.infeasible(problem.space, closest, member, f" with {others}" if others else "")
