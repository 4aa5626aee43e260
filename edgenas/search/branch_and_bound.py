"""The best architecture within several limits at once: branch and bound with Lagrangian bounds.

Relaxing the limits with multipliers leaves a problem where every slot is chosen by itself, so its optimum, an upper bound,
is a few array operations (Fisher, 1981). Partial networks are extended slot by slot like labels of a resource-constrained
shortest path; those whose bound shows that they cannot win, or that cannot be completed within the limits, are dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from edgenas.search.additive import Terms
from edgenas.search.partial_networks import Separated, grow, least_ahead
from edgenas.space import Layout

ITERATIONS = 80
"""Of the subgradient ascent on the multipliers, at most."""
PATIENCE = 12
"""Iterations without a markedly lower bound after which the ascent ends."""
MOST_LABELS = 20_000
"""Partial networks alive at once. Beyond it the search goes on with the most promising, and its answer is not proved."""
BEAM = 300
COMPARED = 200
"""Partial networks that all the others are compared with; dropping what they dominate is optional, so a few suffice."""


class Solution(NamedTuple):
    """genome: `(d,)`, or None where nothing is within the limits. proved: that nothing is better."""

    genome: np.ndarray | None
    proved: bool


def best_within(problem: Separated) -> Solution:
    """The genome of highest score within the limits."""
    incumbent = _Incumbent(problem)
    bounds, multipliers = _multipliers(problem, incumbent)
    proved = True
    for branch in np.argsort(-bounds, kind="stable"):
        if not problem.open[branch] or bounds[branch] <= incumbent.to_beat:
            continue
        # A narrow beam first: the better the incumbent, the more the search that proves can drop.
        if not _labels(problem, int(branch), multipliers[branch], incumbent, BEAM):
            proved &= _labels(problem, int(branch), multipliers[branch], incumbent, MOST_LABELS)
    return Solution(incumbent.genome, proved)


class _Incumbent:
    """The best feasible genome so far."""

    def __init__(self, problem: Separated):
        self.problem = problem
        self.genome: np.ndarray | None = None
        self.score = -np.inf
        self._rounding = 1e-12 * problem.score.range

    @property
    def to_beat(self) -> float:
        """A score that differs from the best by rounding alone is no better."""
        return self.score + self._rounding

    def offer(self, genomes: np.ndarray) -> None:
        feasible = np.ones(len(genomes), dtype=bool)
        for constraint in self.problem.limits:
            feasible &= constraint.measure(genomes) <= constraint.limit
        if feasible.any():
            genomes = genomes[feasible]
            scores = self.problem.score(genomes, self.problem.layout)
            if scores.max() > self.score:
                self.genome, self.score = genomes[scores.argmax()], float(scores.max())


# ---- bounds ----


@dataclass(frozen=True)
class _Relaxed:
    """The optimum without limits. choice: `(r, s, u)`, depth: `(r, s)` indices; value: `(r,)`."""

    choice: np.ndarray
    depth: np.ndarray
    value: np.ndarray


def _multipliers(problem: Separated, incumbent: _Incumbent) -> tuple[np.ndarray, np.ndarray]:
    """`(r,)` least upper bounds of every branch found, `(r, k)` multipliers they come from."""
    layout, k = problem.layout, len(problem.limits)
    branches = np.arange(layout.branches)
    limit = np.array([constraint.limit for constraint in problem.limits])
    scale = np.array([each.range for each in problem.terms])
    current = np.zeros((layout.branches, k))
    bounds, best = np.full(layout.branches, np.inf), current.copy()
    spread = problem.score.range
    improved = 0
    for iteration in range(ITERATIONS):
        relaxed = _relax(problem, current)
        value = np.where(problem.open, relaxed.value + current @ limit, -np.inf)
        if (value < bounds - 1e-4 * spread).any():
            improved = iteration
        better = value < bounds
        bounds[better], best[better] = value[better], current[better]
        alive = np.isfinite(value) & (bounds > incumbent.to_beat)
        if not alive.any() or iteration > improved + PATIENCE:
            break
        incumbent.offer(_genomes(layout, relaxed, branches[alive]))
        slope = (np.stack([_value(layout, each, relaxed) for each in problem.terms], axis=1) - limit) / scale if k else current
        length = (slope**2).sum(axis=1).clip(1e-12)
        gap = value - incumbent.score if incumbent.genome is not None else spread / (1 + iteration)
        step = np.where(alive, gap, 0.0) / length / (1 + iteration / 20)
        current = np.maximum(current + step[:, None] * slope / scale, 0.0)
    return bounds, best


def _combined(problem: Separated, multipliers: np.ndarray) -> Terms:
    """The score minus what the limits' sums cost, at `(r, k)` multipliers."""
    base, depth, choice = (getattr(problem.score, name).copy() for name in ("base", "depth", "choice"))
    for i, summed in enumerate(problem.terms):
        price = multipliers[:, i]
        base -= price * summed.base
        depth -= price[:, None, None] * summed.depth
        choice -= price[:, None, None, None] * summed.choice
    return Terms(base, depth, choice)


def _relax(problem: Separated, multipliers: np.ndarray) -> _Relaxed:
    combined = _combined(problem, multipliers)
    options = np.where(problem.allowed, combined.choice, -np.inf)
    choice = options.argmax(axis=-1)
    by_depth = _by_depth(problem.layout, options.max(axis=-1), combined.depth, -np.inf)
    return _Relaxed(choice, by_depth.argmax(axis=-1), combined.base + by_depth.max(axis=-1).sum(axis=-1))


def _by_depth(layout: Layout, slots: np.ndarray, depth: np.ndarray, padding: float) -> np.ndarray:
    """`(r, s, u)` values of slots, `(r, s, j)` terms of depths -> `(r, s, j)` sums of segments."""
    sums = np.concatenate([np.zeros((*slots.shape[:2], 1)), np.cumsum(slots, axis=-1)], axis=-1)
    total = np.full(depth.shape, padding)
    for s, segment in enumerate(layout.segments):
        depths = list(segment.depths)
        total[:, s, : len(depths)] = sums[:, s, depths] + depth[:, s, : len(depths)]
    return total


def _value(layout: Layout, terms: Terms, relaxed: _Relaxed) -> np.ndarray:
    """`(r,)` sums of the relaxed optimum of every branch."""
    slots = np.take_along_axis(terms.choice, relaxed.choice[..., None], axis=-1)[..., 0]
    by_depth = _by_depth(layout, slots, terms.depth, 0.0)
    return terms.base + np.take_along_axis(by_depth, relaxed.depth[..., None], axis=-1)[..., 0].sum(axis=-1)


def _genomes(layout: Layout, relaxed: _Relaxed, branches: np.ndarray) -> np.ndarray:
    genomes = layout.empty(len(branches), branches)
    for s, segment in enumerate(layout.segments):
        depth = relaxed.depth[branches, s]
        if segment.depth_column is not None:
            genomes[:, segment.depth_column] = depth
        for u, slot in enumerate(segment.slots):
            counts = (u < np.array(segment.depths)[depth])[:, None]
            genomes[:, list(slot)] = np.where(counts, layout.choices(slot)[relaxed.choice[branches, s, u]], 0)
    return genomes


# ---- labels ----


def _labels(problem: Separated, branch: int, multipliers: np.ndarray, incumbent: _Incumbent, most: int) -> bool:
    """Search one branch, improving the incumbent. Returns whether nothing was left out."""
    allowed, complete = problem.allowed[branch], True
    combined = _combined(problem, np.broadcast_to(multipliers, (problem.layout.branches, len(multipliers))))
    bound = -least_ahead(problem.layout, allowed, -combined.choice[branch], -combined.depth[branch])
    ahead = [least_ahead(problem.layout, allowed, t.choice[branch], t.depth[branch]) for t in problem.terms]
    least = np.array(ahead).reshape(-1, *bound.shape)
    limit = np.array([constraint.limit for constraint in problem.limits])
    tolerance = 1e-9 * np.maximum(1e-12, np.abs(limit))

    def promising(score: np.ndarray, sums: np.ndarray, s: int, u: int) -> np.ndarray:
        nonlocal complete
        highest = score + (limit - sums) @ multipliers + bound[s, u]
        can = (highest > incumbent.to_beat) & (sums + least[:, s, u] <= limit + tolerance).all(axis=1)
        order = np.flatnonzero(can)[np.argsort(-highest[can], kind="stable")]
        kept = order[_undominated(score[order], sums[order])]
        complete &= len(kept) <= most
        return kept[:most]

    whole = grow(problem, branch, promising)
    if len(whole):
        incumbent.offer(whole.genes.astype(int))
    return complete


def _undominated(score: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Indices without those that one of the first few dominates, equal ones among them."""
    left, place = np.arange(len(score)), 0
    while place < min(COMPARED, len(left)):
        one = left[place]
        worse = (score[left] <= score[one]) & (sums[left] >= sums[one]).all(axis=1)
        worse[place] = False
        left = left[~worse]
        place = place + 1 - int(worse[:place].sum())
    return left
