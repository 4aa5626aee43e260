"""How far whole networks are from the sum of their blocks: a Gaussian process over the blocks' costs (kriging).

Every block costs `1 + d` times what it is thought to cost. The `d` are Gaussian around zero: a part that all blocks share,
parts that blocks of one kernel size, resolution, ... share, and a part of their own. Whole networks, timed, tell the `d`
(Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, chapters 2 and 5): next to nothing where the costs were
measured on the same device, and much where they come from another device and only the new one's networks are timed.

How far apart the `d` are, and how far a timed network is from what it really takes, is averaged over all pairs of the two, each
counting as the networks are likely under it (ibid., 5.2). The likeliest pair alone would do for many networks; few cannot tell
noise from structure, and to settle for one of the two is to learn noise, or nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Self

import numpy as np

SPREADS = np.array([0.0, *np.geomspace(0.01, 0.8, 13)])
NOISES = np.geomspace(0.0025, 0.64, 17)
"""Standard deviations that are thought possible: of the `d`, and of a timed network; both relative. Desktop processors repeat
to 1 %, phones to 5 to 15 %, what is throttled to worse."""

SHARED_VARIANCE = 0.36
"""Of what a group of blocks shares, where a block's own part has 1."""

LEAST_FACTOR = 0.1
LEAST_SPREAD = 0.02
"""Of the `d`, where it is asked which networks would tell more of them."""


class DeviationModel:
    """The `d` of B blocks, given networks.

    costs_ms: `(B,)`, what the blocks are thought to cost. groups: label sequences of length B; equal labels share a part.
    corrections: `(B,)`, the expected `d`; zero before `fit`. spread, noise: root mean squares over what is thought possible.
    """

    def __init__(self, costs_ms: np.ndarray, groups: Sequence[Sequence[Hashable]]):
        self._costs = np.asarray(costs_ms, dtype=float)
        blocks = len(self._costs)
        self._covariance = np.eye(blocks) + 1.0
        for labels in groups:
            _, member = np.unique([repr(label) for label in labels], return_inverse=True)
            self._covariance += SHARED_VARIANCE * (member[:, None] == member)
        self.corrections = np.zeros(blocks)
        self.spread, self.noise = LEAST_SPREAD, float(NOISES[-1])
        self._shares = np.zeros((0, blocks))

    def fit(self, counts: np.ndarray, expected_ms: np.ndarray, measured_ms: np.ndarray) -> Self:
        """Learn from n networks: `(n, B)` numbers of blocks, `(n,)` ms as the costs say, `(n,)` ms as timed."""
        self._shares = self._share(counts, expected_ms)
        # In the eigenvectors of what networks have in common, all pairs of spread and noise are diagonal: `(S, N, n)`.
        values, vectors = np.linalg.eigh(self._shares @ self._covariance @ self._shares.T)
        errors = vectors.T @ (np.asarray(measured_ms) / expected_ms - 1)
        variances = SPREADS[:, None, None] ** 2 * np.maximum(values, 0) + NOISES[:, None] ** 2
        likely = _shares_of_evidence(-0.5 * (errors**2 / variances + np.log(variances)).sum(axis=-1))
        self.spread = float(np.sqrt(likely.sum(axis=1) @ SPREADS**2))
        self.noise = float(np.sqrt(likely.sum(axis=0) @ NOISES**2))
        weights = np.einsum("s,sm,smn->n", SPREADS**2, likely, errors / variances)
        found = self._covariance @ (self._shares.T @ (vectors @ weights))
        self.corrections = np.maximum(found, LEAST_FACTOR - 1)
        return self

    def least_certain(self, counts: np.ndarray, expected_ms: np.ndarray, n: int) -> np.ndarray:
        """Indices of the n networks of `(m, B)` to time next, each the one least certain once those before it are known."""
        candidates, known = self._share(counts, expected_ms), self._shares
        chosen: list[int] = []
        spread = max(self.spread, LEAST_SPREAD)
        prior = np.einsum("ib,bc,ic->i", candidates, self._covariance, candidates) * spread**2
        for _ in range(min(n, len(candidates))):
            cross = spread**2 * candidates @ self._covariance @ known.T
            kernel = spread**2 * known @ self._covariance @ known.T + self.noise**2 * np.eye(len(known))
            variance = prior - np.einsum("ij,ij->i", cross, np.linalg.solve(kernel, cross.T).T)
            variance[chosen] = -np.inf
            chosen.append(int(variance.argmax()))
            known = np.concatenate([known, candidates[chosen[-1:]]])
        return np.array(chosen, dtype=int)

    def _share(self, counts: np.ndarray, expected_ms: np.ndarray) -> np.ndarray:
        return counts * self._costs / np.asarray(expected_ms)[:, None]


def _shares_of_evidence(evidence: np.ndarray) -> np.ndarray:
    """Logarithms of likelihoods -> probabilities of the same shape, where all were as likely beforehand."""
    likely = np.exp(evidence - evidence.max())
    return likely / likely.sum()
