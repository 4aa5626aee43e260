"""`Exact`: the best architectures of a separable problem, proved, without looking at each of them.

Segment by segment and slot by slot, dynamic programming extends all partial networks that no other dominates: what is
added later is the same for all of them (Bellman's principle on a Pareto front; Warburton, 1987).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from edgenas.errors import EdgeNASError, InfeasibleError, UsageError
from edgenas.progress import Track, quiet
from edgenas.search.additive import Additive, Bottleneck, Terms, usable
from edgenas.search.branch_and_bound import best_within
from edgenas.search.pareto import pareto_front
from edgenas.search.partial_networks import Separated, grow, least_ahead
from edgenas.search.problem import Constraint, Population, SearchProblem
from edgenas.space import Layout


@dataclass(frozen=True)
class Exact:
    """Proves its answer; needs `Additive` objectives, and constraints that are `Additive` or a `Bottleneck`.

    Where all constraints are limits of the cost itself or bottlenecks, one pass gives the front at every budget. With further
    sums to be limited (a second device, MACs, parameters) it gives the best architecture for each of the problem's budgets and
    of `steps` costs between the lowest and the highest allowed, every one by branch and bound with Lagrangian bounds.
    """

    steps: int = 25

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
        found = [end.genome for end in ends if end.genome is not None]
        if len(found) < len(ends):
            return np.empty((0, len(parts.layout.gene_sizes)), dtype=int), proved
        lowest, highest = problem.cost(np.stack(found))
        budgets = {*np.linspace(lowest, highest, self.steps)[1:-1], *(b for b in problem.budgets if lowest < b < highest)}
        for budget in track(sorted(budgets), "Solving for every budget", len(budgets)):
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
    score: Terms
    cost: Terms
    allowed: np.ndarray
    open: np.ndarray

    @classmethod
    def of(cls, problem: SearchProblem) -> Parts:
        """Raises UsageError where it cannot be."""
        accuracy, cost = problem.objectives
        if not (isinstance(accuracy, Additive) and isinstance(cost, Additive) and separable(problem)):
            raise UsageError("Exact search needs Additive objectives and Additive or Bottleneck constraints: use Evolution.")
        layout = problem.space.layout
        bottlenecks = [c for c in problem.constraints if isinstance(c.measure, Bottleneck)]
        return cls(problem, layout, Terms.of(accuracy, layout), Terms.of(cost, layout), *_allowed(layout, bottlenecks))

    @property
    def is_planar(self) -> bool:
        """Whether nothing is limited but the cost and what single blocks take."""
        return all(c.measure == self.problem.cost or isinstance(c.measure, Bottleneck) for c in self.problem.constraints)

    def separated(self, score: Terms, limits: list[Constraint[Additive]]) -> Separated:
        """The tightest limit of every measure is the one that counts."""
        tightest: dict[Additive, Constraint[Additive]] = {}
        for constraint in sorted(limits, key=lambda c: c.limit):
            tightest.setdefault(constraint.measure, constraint)
        limits = list(tightest.values())
        terms = [self.cost if c.measure == self.problem.cost else Terms.of(c.measure, self.layout) for c in limits]
        return Separated(self.layout, score, limits, terms, self.allowed, self.open)


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


def _branch_front(parts: Parts, branch: int) -> np.ndarray:
    layout, score, cost, limit = parts.layout, parts.score, parts.cost, parts.problem.cost_limit
    allowed = _worthwhile(parts, branch)
    ahead = least_ahead(layout, allowed[branch], cost.choice[branch], cost.depth[branch])
    most = limit + (1e-9 * max(1.0, abs(limit)) if np.isfinite(limit) else 0.0)

    def undominated(scores: np.ndarray, sums: np.ndarray, s: int, u: int) -> np.ndarray:
        within = np.flatnonzero(sums[:, 0] + ahead[s, u] <= most)
        return within[pareto_front(scores[within], sums[within, 0])]

    return grow(Separated(layout, score, [], [cost], allowed, parts.open), branch, undominated).genes.astype(int)


def _worthwhile(parts: Parts, branch: int) -> np.ndarray:
    """`allowed` without the choices that another of the same slot dominates."""
    allowed = np.zeros_like(parts.allowed)
    for s, u in np.ndindex(*allowed.shape[1:3]):
        options = np.flatnonzero(parts.allowed[branch, s, u])
        place = branch, s, u
        allowed[(*place, options[pareto_front(parts.score.choice[place][options], parts.cost.choice[place][options])])] = True
    return allowed


def _allowed(layout: Layout, bottlenecks: list[Constraint[Bottleneck]]) -> tuple[np.ndarray, np.ndarray]:
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
            passing = (level for level in levels if _allowed(layout, [*met, replace(constraint, limit=float(level))])[1].any())
            closest = float(next(passing))
        else:
            limits = [c for c in met if isinstance(c.measure, Additive)]
            lowest = best_within(parts.separated(Terms.of(constraint.measure, layout).negative, limits)).genome
            if lowest is None:
                raise EdgeNASError(
                    f"The search for an architecture of {problem.space.name} with {' and '.join(map(str, met))} had to stop "
                    "before it found one: allow more of one of them, or search a smaller space."
                )
            closest = float(constraint.measure(lowest[None])[0])
            member = f", of {problem.space.decode(lowest)}"
        if closest > constraint.limit:
            break
        met.append(constraint)
    others = " and ".join(map(str, met))
    return constraint.infeasible(problem.space, closest, member, f" with {others}" if others else "")
