"""How far whole networks are from the sum of their blocks: a Gaussian process over the blocks' costs (kriging).

Every block costs `1 + d` times what it is thought to cost. The `d` are Gaussian around zero: a part that all blocks share,
parts that blocks of one kernel size, resolution, ... share, and a part of their own. Whole networks, timed, tell the `d`
(Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, chapters 2 and 5): next to nothing where the costs were
measured on the same device, and much where they come from another device and only the new one's networks are timed.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Self

import numpy as np

SPREADS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
NOISES = (0.005, 0.01, 0.02, 0.04)
"""Standard deviations to choose from, by marginal likelihood: of the `d`, and of a timed network; both relative."""

SHARED_VARIANCE = 0.36
"""Of what a group of blocks shares, where a block's own part has 1."""

LEAST_FACTOR = 0.1


class DeviationModel:
    """The `d` of B blocks, given networks.

    costs_ms: `(B,)`, what the blocks are thought to cost. groups: label sequences of length B; equal labels share a part.
    corrections: `(B,)`, the expected `d`; zero before `fit`.
    """

    def __init__(self, costs_ms: np.ndarray, groups: Sequence[Sequence[Hashable]]):
        self._costs = np.asarray(costs_ms, dtype=float)
        blocks = len(self._costs)
        self._covariance = np.eye(blocks) + 1.0
        for labels in groups:
            _, member = np.unique([repr(label) for label in labels], return_inverse=True)
            self._covariance += SHARED_VARIANCE * (member[:, None] == member)
        self.corrections = np.zeros(blocks)
        self.spread, self.noise = SPREADS[1], NOISES[-1]
        self._shares = np.zeros((0, blocks))
        self._alikeness = np.zeros((0, 0))
        self._errors = np.zeros(0)

    def fit(self, counts: np.ndarray, expected_ms: np.ndarray, measured_ms: np.ndarray) -> Self:
        """Learn from n networks: `(n, B)` numbers of blocks, `(n,)` ms as the costs say, `(n,)` ms as timed."""
        self._shares = self._share(counts, expected_ms)
        self._errors = np.asarray(measured_ms) / expected_ms - 1
        self._alikeness = self._shares @ self._covariance @ self._shares.T
        self.spread, self.noise = max(
            ((spread, noise) for spread in SPREADS for noise in NOISES), key=lambda pair: self._evidence(*pair)
        )
        weights = np.linalg.solve(self._kernel(self.spread, self.noise), self._errors)
        found = self.spread**2 * self._covariance @ (self._shares.T @ weights)
        self.corrections = np.maximum(found, LEAST_FACTOR - 1)
        return self

    def least_certain(self, counts: np.ndarray, expected_ms: np.ndarray, n: int) -> np.ndarray:
        """Indices of the n networks of `(m, B)` to time next, each the one least certain once those before it are known."""
        candidates, known = self._share(counts, expected_ms), self._shares
        chosen: list[int] = []
        spread = max(self.spread, SPREADS[1])
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

    def _kernel(self, spread: float, noise: float) -> np.ndarray:
        return spread**2 * self._alikeness + noise**2 * np.eye(len(self._alikeness))

    def _evidence(self, spread: float, noise: float) -> float:
        kernel = self._kernel(spread, noise)
        return -0.5 * float(self._errors @ np.linalg.solve(kernel, self._errors) + np.linalg.slogdet(kernel)[1])
