"""`LinkRidge`: accuracy as a saturating function of an additive score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgenas.predictor.features import stage_features
from edgenas.space import SearchSpace

_PENALTIES = np.geomspace(1e-2, 1e4, 25)
_HEADROOMS = np.geomspace(0.05, 20.0, 13)


def kendall_tau(a: np.ndarray, b: np.ndarray) -> float:
    """Kendall's tau-b of two `(n,)` arrays; ties count in neither direction. NaN when one is constant."""
    i, j = np.triu_indices(len(a), k=1)
    x, y = np.sign(a[i] - a[j]), np.sign(b[i] - b[j])
    pairs = np.sqrt(float((x != 0).sum()) * float((y != 0).sum()))
    return float((x * y).sum() / pairs) if pairs else float("nan")


@dataclass(frozen=True)
class PredictorQuality:
    """How well a predictor predicts what it was not fitted on, by leave-one-out cross-validation.

    error: root mean square, in accuracy (0..1). interval: half the width of the 90 % prediction interval.
    """

    samples: int
    tau: float
    error: float
    interval: float


class LinkRidge:
    """Ridge regression on z = -log(c - accuracy) over `stage_features`.

    `c`, the accuracy that no network of the space reaches, and the penalty are chosen by leave-one-out error, which
    ridge regression has in closed form. Needs at least 10 evaluated architectures.
    """

    def __init__(self, space: SearchSpace):
        self.space = space

    def fit(self, genomes: np.ndarray, accuracies: np.ndarray) -> PredictorQuality:
        """`(n, d)` genomes and their `(n,)` accuracies in 0..1. Raises ValueError for fewer than 10."""
        if len(genomes) < 10:
            raise ValueError(f"a predictor needs at least 10 evaluated architectures, not {len(genomes)}")
        features = stage_features(self.space, genomes)
        self._mean, self._scale = features.mean(0), features.std(0)
        self._scale[self._scale == 0] = 1.0  # a choice that no sample varies tells nothing
        x = (features - self._mean) / self._scale
        u, s, vt = np.linalg.svd(x, full_matrices=False)

        spread = max(float(np.ptp(accuracies)), 1e-6)
        best = None
        for headroom in _HEADROOMS:
            ceiling = accuracies.max() + headroom * spread
            z = -np.log(ceiling - accuracies)
            target = u.T @ (z - z.mean())
            for penalty in _PENALTIES:
                shrink = s**2 / (s**2 + penalty)
                leverage = (u**2 * shrink).sum(1) + 1 / len(z)
                residual = (z - z.mean() - u @ (shrink * target)) / np.maximum(1 - leverage, 1e-6)
                left_out = ceiling - np.exp(np.minimum(residual - z, 0.0))  # an accuracy is at least ceiling - 1
                error = float(np.sqrt(np.mean((left_out - accuracies) ** 2)))
                if best is None or error < best[0]:
                    weights = vt.T @ (s / (s**2 + penalty) * target)
                    best = error, ceiling, weights, z.mean(), left_out
        error, self._ceiling, self._weights, self._intercept, left_out = best
        interval = float(np.quantile(np.abs(left_out - accuracies), 0.9))
        self.quality = PredictorQuality(len(genomes), kendall_tau(left_out, accuracies), error, interval)
        return self.quality

    def predict(self, genomes: np.ndarray) -> np.ndarray:
        """`(n, d)` genomes -> `(n,)` accuracies in 0..1."""
        x = (stage_features(self.space, genomes) - self._mean) / self._scale
        return self._ceiling - np.exp(np.minimum(-(self._intercept + x @ self._weights), 0.0))
