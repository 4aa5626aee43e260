"""`GaussianProcess`: expected improvement of a Gaussian process, for the one best architecture within the constraints."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edgenas.predictor import features
from edgenas.search.problem import SearchProblem, extremes, skewed_sample
from edgenas.search.strategies.base import History, Proposal, distinct_unknown

LENGTHS = (0.5, 1.0, 2.0, 4.0, 8.0)
NOISES = (1e-4, 1e-2, 1e-1)


@dataclass
class GaussianProcess:
    """Efficient global optimisation (Jones, Schonlau and Welch, 1998) with a squared-exponential kernel over `features`.

    Where they have one length scale for each dimension, here all features share one. It and the noise have the highest marginal
    likelihood of a grid. Candidates are random architectures and mutations of the best so far, all within the constraints; of
    them the `batch` with the highest expected improvement are evaluated.
    """

    first: int = 15
    batch: int = 4
    candidates: int = 2000

    def start(self, problem: SearchProblem, rng: np.random.Generator) -> None:
        self._problem, self._rng, self._history = problem, rng, History(problem)

    def tell(self, genomes: np.ndarray, accuracies: np.ndarray, share: float = 1.0) -> None:
        self._history.add(genomes, accuracies)

    def ask(self, count: int) -> Proposal:
        genomes = self._candidates()
        genomes = distinct_unknown(self._history, genomes[self._problem.violation(genomes) <= 0], len(genomes))
        if len(self._history) < self.first or not len(genomes):
            return Proposal(genomes[: min(count, max(1, self.first - len(self._history)))])
        improvement = self._expected_improvement(genomes)
        return Proposal(genomes[np.argsort(-improvement, kind="stable")[: min(count, self.batch)]])

    def _candidates(self) -> np.ndarray:
        space, rng = self._problem.space, self._rng
        drawn = [extremes(space), skewed_sample(space, rng, self.candidates)]
        alive = self._history.population
        best = np.lexsort((-alive.accuracy, alive.violation))[:10]
        if len(best):
            parents = alive.genomes[rng.choice(best, self.candidates)]
            moved = rng.random(parents.shape) < 2 / parents.shape[1]
            drawn.append(space.canonical(np.where(moved, rng.integers(0, space.gene_sizes, parents.shape), parents)))
        return np.concatenate(drawn)

    def _expected_improvement(self, genomes: np.ndarray) -> np.ndarray:
        """`(n, d)` genomes -> `(n,)`, in standard deviations of the accuracies."""
        space, known = self._problem.space, self._history.accuracy
        raw = features(space, self._history.genomes)
        mean, scale = raw.mean(axis=0), np.where(raw.std(axis=0) > 0, raw.std(axis=0), 1.0)
        x, new = (raw - mean) / scale, (features(space, genomes) - mean) / scale
        z = (known - known.mean()) / max(float(known.std()), 1e-9)
        own, cross = _squared_distances(x, x), _squared_distances(new, x)
        unit = max(float(np.median(own)), 1e-9)
        _, length, noise = max((_log_likelihood(own / unit, z, length, noise), length, noise)
                               for length in LENGTHS for noise in NOISES)  # fmt: skip
        kernel = np.exp(-own / unit / (2 * length**2)) + noise * np.eye(len(z))
        k = np.exp(-cross / unit / (2 * length**2))
        expected = k @ np.linalg.solve(kernel, z)
        deviation = np.sqrt(np.maximum(1 - (k * np.linalg.solve(kernel, k.T).T).sum(axis=1), 1e-12))
        feasible = self._history.population.violation <= 0
        gain = expected - (z[feasible].max() if feasible.any() else z.min())
        u = gain / deviation
        below = 0.5 * (1 + np.array([math.erf(value / math.sqrt(2)) for value in u]))
        return gain * below + deviation * np.exp(-(u**2) / 2) / math.sqrt(2 * math.pi)


def _squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T, 0.0)


def _log_likelihood(distances: np.ndarray, z: np.ndarray, length: float, noise: float) -> float:
    kernel = np.exp(-distances / (2 * length**2)) + noise * np.eye(len(z))
    factor = np.linalg.cholesky(kernel)
    half = np.linalg.solve(factor, z)
    return float(-0.5 * half @ half - np.log(np.diag(factor)).sum())
