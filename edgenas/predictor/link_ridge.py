"""`LinkRidge`: accuracy as a saturating function of an additive score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from edgenas.predictor.features import features
from edgenas.space import Space
from edgenas.statistics import kendall_is_chance
from edgenas.values import Within
from edgenas.values.kinds import Correlation, Count

LEAST_SAMPLES = 10

Samples = tuple[np.ndarray, np.ndarray]
"""`(n, d)` genomes and their `(n,)` accuracies."""

_PENALTIES = np.geomspace(1e-2, 1e4, 25)
_USUAL = 0.95
_HEADROOMS = np.geomspace(0.05, 20.0, 13)


def kendall_tau(a: np.ndarray, b: np.ndarray) -> float:
    """Kendall's tau-b of two `(n,)` arrays; ties count in neither direction. NaN when one is constant."""
    i, j = np.triu_indices(len(a), k=1)
    x, y = np.sign(a[i] - a[j]), np.sign(b[i] - b[j])
    pairs = np.sqrt(float((x != 0).sum()) * float((y != 0).sum()))
    return float((x * y).sum() / pairs) if pairs else float("nan")


@dataclass(frozen=True)
class PredictorQuality:
    """How well a predictor predicts what it was not fitted on, by ten-fold cross-validation.

    error: root mean square, in accuracy (0..1). interval: half the width of the 90 % prediction interval.
    """

    samples: Count
    tau: Correlation
    error: Annotated[float, Within(0, 10)]
    interval: Annotated[float, Within(0, 10)]

    @property
    def ranks(self) -> bool:
        """Whether it tells better architectures from worse: its rank correlation is more than chance."""
        return not kendall_is_chance(self.tau, self.samples)


class LinkRidge:
    """Ridge regression on z = -log(c - accuracy) over `features`.

    `c`, the accuracy that no network of the space reaches, and the penalty are chosen by leave-one-out error, which
    ridge regression has in closed form. Needs at least LEAST_SAMPLES evaluated architectures.
    `ceiling` is c, once fitted.
    """

    ceiling: float

    def __init__(self, space: Space):
        self.space = space
        self._base: LinkRidge | None = None

    def fit(self, genomes: np.ndarray, accuracies: np.ndarray, alike: Samples | None = None) -> PredictorQuality:
        """`(n, d)` genomes and their `(n,)` accuracies.

        alike: of something that these resemble, such as accuracies in float32 for those in int8. Then a regression of those
        comes first, and of these what its scores leave, so that few samples tell what is different; the sum is additive.

        Raises ValueError for fewer than LEAST_SAMPLES, and for accuracies outside 0..1.
        """
        if not ((accuracies >= 0) & (accuracies <= 1)).all():
            raise ValueError("accuracies are in 0..1")
        if len(genomes) < LEAST_SAMPLES:
            raise ValueError(f"a predictor needs at least {LEAST_SAMPLES} evaluated architectures, not {len(genomes)}")
        self._base, self._alike = None, alike
        if alike is not None and len(alike[0]) >= LEAST_SAMPLES:
            self._base = LinkRidge(self.space)
            self._base._fit(*alike, np.zeros(len(alike[0])))
        self._fit(genomes, accuracies, self._known(genomes))
        return self._cross_validate(genomes, accuracies)

    def _fit(self, genomes: np.ndarray, accuracies: np.ndarray, known: np.ndarray) -> None:
        """known: `(n,)` parts of the scores that need no regression."""
        raw, self._samples = features(self.space, genomes), len(genomes)
        self._mean, self._scale = raw.mean(0), raw.std(0)
        self._scale[self._scale == 0] = 1.0  # a choice that no sample varies tells nothing
        x = (raw - self._mean) / self._scale
        ceilings = [] if self._base is None else [self._base.ceiling]
        self.ceiling, self._penalty = _best_by_leave_one_out(x, accuracies, known, ceilings)
        z, penalty = self.unlink(accuracies) - known, self._penalty
        self._intercept, self._weights = _ridge(x, z, penalty)
        self._root = _inverse_root(x, penalty)
        own = np.minimum(self._leverage(x), 1 - 1e-6)
        residual = z - self._intercept - x @ self._weights
        self._noise = float(np.sqrt((residual**2).sum() / max(len(x) - own.sum(), 1.0)))
        # What each sample's leverage would be without itself, so that strangers can be compared with it.
        left_out = np.sort(own / (1 - own))
        self._usual = left_out[min(int(np.ceil(_USUAL * (len(x) + 1))), len(x)) - 1]

    def score(self, genomes: np.ndarray) -> np.ndarray:
        """`(n, d)` genomes -> `(n,)` scores: sums over blocks, depths and resolution, which an exact search can take apart."""
        return self._known(genomes) + self._intercept + self._standardised(genomes) @ self._weights

    def sampled_score(self, rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
        """`score` with weights drawn from their posterior, for Thompson sampling: additive as well."""
        weights = self._weights + self._noise * self._root @ rng.standard_normal(self._root.shape[1])
        known = self._known if self._base is None else self._base.sampled_score(rng)
        return lambda genomes: known(genomes) + self._intercept + self._standardised(genomes) @ weights

    def deviation(self, genomes: np.ndarray) -> np.ndarray:
        """`(n, d)` genomes -> `(n,)` posterior standard deviations of `score`."""
        own = self._noise * np.sqrt(self._leverage(self._standardised(genomes)))
        return own if self._base is None else np.hypot(own, self._base.deviation(genomes))

    def is_outside(self, genomes: np.ndarray) -> np.ndarray:
        """`(n, d)` -> `(n,)`: which lie outside the data that this was fitted on, so that it extrapolates.

        Told by leverage, the predictive variance in units of the noise: outside is more than 95 of 100 of the samples would
        have, were they not among the samples. Of architectures drawn as the samples were, one in twenty is called outside
        (a conformal test; Vovk et al., 2005).
        """
        return self._leverage(self._standardised(genomes)) > self._usual

    def link(self, score: np.ndarray) -> np.ndarray:
        """The accuracy that a score stands for; it never falls where the score rises."""
        return _accuracy(score, self.ceiling)

    def unlink(self, accuracy: np.ndarray) -> np.ndarray:
        """The score that stands for an accuracy below `ceiling`."""
        return -np.log(self.ceiling - accuracy)

    def predict(self, genomes: np.ndarray) -> np.ndarray:
        """`(n, d)` genomes -> `(n,)` accuracies in 0..1."""
        return self.link(self.score(genomes))

    def _known(self, genomes: np.ndarray) -> np.ndarray:
        """`(n,)` scores by the regression that came first."""
        return np.zeros(len(genomes)) if self._base is None else self._base.score(genomes)

    def _standardised(self, genomes: np.ndarray) -> np.ndarray:
        return (features(self.space, genomes) - self._mean) / self._scale

    def _leverage(self, x: np.ndarray) -> np.ndarray:
        return 1 / self._samples + ((x @ self._root) ** 2).sum(axis=1)

    def _cross_validate(self, genomes: np.ndarray, accuracies: np.ndarray) -> PredictorQuality:
        # Not by leaving one out: where nothing can be learned, that correlates negatively with the truth by construction.
        x, left_out = self._standardised(genomes), np.empty(len(genomes))
        for fold in np.array_split(np.random.default_rng(0).permutation(len(x)), 10):
            others = np.setdiff1d(np.arange(len(x)), fold)
            known = self._known_without(genomes[fold], genomes)
            intercept, weights = _ridge(x[others], self.unlink(accuracies[others]) - known[others], self._penalty)
            left_out[fold] = _accuracy(known[fold] + intercept + x[fold] @ weights, self.ceiling)
        off = np.abs(left_out - accuracies)
        error = float(np.sqrt(np.mean(off**2)))
        return PredictorQuality(len(x), kendall_tau(left_out, accuracies), error, float(np.quantile(off, 0.9)))

    def _known_without(self, left_out: np.ndarray, genomes: np.ndarray) -> np.ndarray:
        """`_known` by a regression that has not seen some genomes either: on the same images they had the same luck."""
        if self._base is None or self._alike is None:
            return np.zeros(len(genomes))
        base, (alike, accuracies) = self._base, without(self._alike, left_out)
        intercept, weights = _ridge(base._standardised(alike), base.unlink(accuracies), base._penalty)
        return np.asarray(intercept + base._standardised(genomes) @ weights)


def without(samples: Samples, left_out: np.ndarray) -> Samples:
    """Samples of other genomes than these `(m, d)`."""
    genomes, accuracies = samples
    kept = ~(genomes[:, None] == left_out[None]).all(axis=2).any(axis=1)
    return genomes[kept], accuracies[kept]


def _accuracy(score: np.ndarray, ceiling: float) -> np.ndarray:
    return ceiling - np.exp(np.minimum(-score, 0.0))  # never more than 1 below the ceiling


def _ridge(x: np.ndarray, z: np.ndarray, penalty: float) -> tuple[float, np.ndarray]:
    """Intercept and weights."""
    mean, centre = z.mean(), x.mean(0)
    u, s, vt = np.linalg.svd(x - centre, full_matrices=False)
    weights = vt.T @ (s / (s**2 + penalty) * (u.T @ (z - mean)))
    return mean - centre @ weights, weights


def _inverse_root(x: np.ndarray, penalty: float) -> np.ndarray:
    """`(f, f)` r with r @ r.T = inverse of (x.T @ x + penalty): in units of the noise, a root of the weights' posterior
    covariance, their prior being what the penalty stands for."""
    values, vectors = np.linalg.eigh(x.T @ x + penalty * np.eye(x.shape[1]))
    return vectors / np.sqrt(values)


def _best_by_leave_one_out(
    x: np.ndarray, accuracies: np.ndarray, known: np.ndarray, ceilings: Sequence[float]
) -> tuple[float, float]:
    """The ceiling and the penalty of least leave-one-out error in accuracy. Columns of `x` have mean 0.

    known: `(n,)` parts of the scores that need no regression. ceilings: to be tried besides the usual ones.
    """
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    spread = max(float(np.ptp(accuracies)), 1e-6)
    errors = {}
    usual, most = accuracies.max() + _HEADROOMS * spread, accuracies.max()
    for ceiling in (*usual, *(ceiling for ceiling in ceilings if ceiling > most)):
        z = -np.log(ceiling - accuracies) - known
        target = u.T @ (z - z.mean())
        for penalty in _PENALTIES:
            shrink = s**2 / (s**2 + penalty)
            leverage = (u**2 * shrink).sum(1) + 1 / len(z)
            residual = (z - z.mean() - u @ (shrink * target)) / np.maximum(1 - leverage, 1e-6)
            errors[ceiling, penalty] = np.mean((_accuracy(known + z - residual, ceiling) - accuracies) ** 2)
    return min(errors, key=errors.__getitem__)
