"""Partial networks, grown slot by slot. The two exact searches differ in which of them they keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from edgenas.search.additive import Additive, Terms
from edgenas.search.problem import Constraint
from edgenas.space import Layout


class Separated(NamedTuple):
    """A problem taken apart. score: to be high; terms: `k` sums, in parallel to their `limits` where these have any.

    Arrays as in `Terms`. allowed: `(r, s, u, c)` choices that no bottleneck forbids; open: `(r,)` branches likewise.
    """

    layout: Layout
    score: Terms
    limits: list[Constraint[Additive]]
    terms: list[Terms]
    allowed: np.ndarray
    open: np.ndarray


@dataclass(frozen=True)
class Partial:
    """Partial networks: `(n,)` scores, `(n, k)` sums, `(n, d)` genes."""

    score: np.ndarray
    sums: np.ndarray
    genes: np.ndarray

    def __len__(self) -> int:
        return len(self.score)


Keep = Callable[[np.ndarray, np.ndarray, int, int], np.ndarray]
"""`(n,)` scores, `(n, k)` sums, s, u -> indices of those to go on with once `u` slots of segment `s` are chosen."""


def grow(problem: Separated, branch: int, keep: Keep) -> Partial:
    """All networks of a branch that are left when only what `keep` keeps is extended, after every slot and segment."""
    layout, terms = problem.layout, problem.terms
    base = np.array([[each.base[branch] for each in terms]])
    whole = Partial(problem.score.base[branch, None], base, layout.empty(1, branch).astype(np.int16))
    for s, segment in enumerate(layout.segments):
        prefix, ended = whole, []
        for used in range(max(segment.depths) + 1):
            if used:
                prefix = _extended(problem, prefix, branch, s, used - 1, keep)
            for j in np.flatnonzero(np.array(segment.depths) == used):
                genes = prefix.genes.copy()
                if segment.depth_column is not None:
                    genes[:, segment.depth_column] = j
                added = np.array([each.depth[branch, s, j] for each in terms])
                ended.append(Partial(prefix.score + problem.score.depth[branch, s, j], prefix.sums + added, genes))
        score, sums, genes = (np.concatenate([getattr(e, name) for e in ended]) for name in ("score", "sums", "genes"))
        kept = keep(score, sums, s + 1, 0)
        whole = Partial(score[kept], sums[kept], genes[kept])
    return whole


def _extended(problem: Separated, prefix: Partial, branch: int, s: int, u: int, keep: Keep) -> Partial:
    slot = problem.layout.segments[s].slots[u]
    options = np.flatnonzero(problem.allowed[branch, s, u])
    # Option by option, so that partial networks sorted by a sum stay sorted in runs.
    score = (problem.score.choice[branch, s, u, options][:, None] + prefix.score).ravel()
    added = np.array([each.choice[branch, s, u, options] for each in problem.terms])
    added = added.reshape(len(problem.terms), len(options)).T  # either may be none
    sums = (added[:, None] + prefix.sums).reshape(len(score), len(problem.terms))
    kept = keep(score, sums, s, u + 1)
    chosen, before = np.divmod(kept, max(len(prefix), 1))
    genes = prefix.genes[before]
    genes[:, list(slot)] = problem.layout.choices(slot)[options[chosen]]
    return Partial(score[kept], sums[kept], genes)


def least_ahead(layout: Layout, allowed: np.ndarray, choice: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """`(s + 1, u + 1)`: the least that the rest can add once `u` slots of segment `s` are chosen, in one branch."""
    slots = np.where(allowed, choice, np.inf).min(axis=-1)
    ahead = np.zeros((len(layout.segments) + 1, slots.shape[1] + 1))
    for s, segment in reversed(list(enumerate(layout.segments))):
        for u in range(max(segment.depths) + 1):
            ends = [slots[s, u:d].sum() + depth[s, j] for j, d in enumerate(segment.depths) if d >= u]
            ahead[s, u] = min(ends) + ahead[s + 1, 0]
    return ahead
