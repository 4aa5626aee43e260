"""`Proxyless`: path probabilities learned by gradient, two paths at a time (Cai et al., 2019, arXiv:1812.00332)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgenas.predictor import LinkRidge
from edgenas.search.problem import SearchProblem
from edgenas.search.strategies.base import History, Proposal, distinct_unknown, target_cost

COST_SAMPLES = 16
"""Networks over which the expected cost of every path is averaged in a step; the table makes them cheap."""


@dataclass
class Proxyless:
    """The search of ProxylessNAS over genes in place of paths.

    From the paper. Section 3.2: in every step two paths of each choice are sampled by their probabilities, the loss is
    differentiated with respect to the binary gates of these two alone, and after the update both architecture parameters are
    shifted so that together they are as probable as before. Section 3.3: the loss has the expected latency of the table,
    whose derivative by the probability of a path is the expected latency with that path chosen.

    Different here. Weights are trained already and stay as they are, so only architecture parameters learn. The derivative of
    the loss by a gate is the difference of the losses with either path, the network being otherwise as sampled; the paper's
    comes from one backward pass. The loss is not measured but predicted: every `batch` architectures drawn from the policy
    are evaluated, link-ridge is fitted again to all that were, and the parameters take `steps` steps on its predictions.
    Latency counts beyond its target alone, the tightest limit on it or else a random network's median, since a limit is to be
    met, not traded.

    first: evaluations before the first step. weight: of the relative excess of latency, against accuracy in standard
    deviations of those measured.
    """

    first: int = 15
    batch: int = 10
    steps: int = 40
    learning_rate: float = 0.2
    weight: float = 10.0

    def start(self, problem: SearchProblem, rng: np.random.Generator) -> None:
        self._problem, self._rng, self._history = problem, rng, History(problem)
        self._parameters = [np.zeros(size) for size in problem.space.gene_sizes]
        self._target = target_cost(problem, rng)

    def tell(self, genomes: np.ndarray, accuracies: np.ndarray, share: float = 1.0) -> None:
        self._history.add(genomes, accuracies)

    def ask(self, count: int) -> Proposal:
        if len(self._history) >= self.first:
            predictor = LinkRidge(self._problem.space)
            predictor.fit(self._history.genomes, self._history.accuracy, self._problem.alike())
            unit = max(float(self._history.accuracy.std()), 1e-9)
            for _ in range(self.steps):
                self._step(lambda genomes: -predictor.predict(genomes) / unit)
        drawn = self._problem.space.canonical(self._paths(4 * self.batch))
        drawn = drawn[np.argsort(self._problem.violation(drawn), kind="stable")]
        unknown = distinct_unknown(self._history, drawn, min(count, self.batch))
        return Proposal(unknown if len(unknown) else drawn[:1])

    def _step(self, loss: Callable[[np.ndarray], np.ndarray]) -> None:
        probabilities = [_softmax(parameters) for parameters in self._parameters]
        slopes = self._expected_cost_slopes(probabilities)
        pairs = [self._two_paths(parameters) for parameters in self._parameters]
        first = np.array([pair[0] for pair in pairs])
        switched = np.tile(first, (len(first), 1))
        np.fill_diagonal(switched, [pair[1] for pair in pairs])
        losses = loss(self._problem.space.canonical(np.concatenate([first[None], switched])))
        for column, (pair, p) in enumerate(zip(pairs, probabilities, strict=True)):
            parameters = self._parameters[column]
            together = np.logaddexp(*parameters[pair])
            of_two = p[pair] / p[pair].sum()
            step = self.learning_rate * of_two.prod() * (losses[0] - losses[1 + column])
            parameters[pair] -= [step, -step]
            parameters[pair] += together - np.logaddexp(*parameters[pair])
            parameters -= self.learning_rate * self.weight * slopes[column]

    def _two_paths(self, parameters: np.ndarray) -> np.ndarray:
        """Two paths drawn without replacement, by the Gumbel-max trick; the only one twice."""
        return np.argsort(-(parameters + self._rng.gumbel(size=len(parameters))))[[0, min(1, len(parameters) - 1)]]

    def _expected_cost_slopes(self, probabilities: list[np.ndarray]) -> list[np.ndarray]:
        """d E[excess] / d parameters of every gene: p * (E[excess | path] - E[excess])."""
        sizes = self._problem.space.gene_sizes
        drawn = np.tile(self._paths(COST_SAMPLES), (int(sizes.sum()), 1, 1))
        for row, (column, value) in enumerate((c, v) for c, size in enumerate(sizes) for v in range(size)):
            drawn[row, :, column] = value
        genomes = self._problem.space.canonical(drawn.reshape(-1, len(sizes)))
        excess = np.maximum(self._problem.cost(genomes) / self._target - 1, 0.0) + self._problem.violation(genomes)
        with_path = np.split(excess.reshape(-1, COST_SAMPLES).mean(axis=1), np.cumsum(sizes)[:-1])
        return [p * (own - p @ own) for p, own in zip(probabilities, with_path, strict=True)]

    def _paths(self, n: int) -> np.ndarray:
        drawn = [self._rng.choice(len(p), n, p=_softmax(p)) for p in self._parameters]
        return np.stack(drawn, axis=1)


def _softmax(parameters: np.ndarray) -> np.ndarray:
    exponentials = np.exp(parameters - parameters.max())
    return exponentials / exponentials.sum()
