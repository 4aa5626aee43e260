"""`Gradient`: a policy whose cost has an exact gradient, as in ProxylessNAS (Cai et al., 2019, arXiv:1812.00332)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgenas.search.strategies.reinforce import Reinforce

SAMPLES = 256
"""Cheap draws of the cost for its expected gradient."""


@dataclass
class Gradient(Reinforce):
    """Paths are drawn from the policy and evaluated; accuracy's gradient is their score function, as in ProxylessNAS's variant
    by REINFORCE (section 3.3). `Proxyless` is the one with binary gates.

    Different here: the cost's gradient is that of its expectation under the policy, for which the table is asked about many
    more paths than are evaluated, where that variant puts the cost into the reward; and weights are trained already.

    weight: of the expected cost's excess over the target, relative to the target.
    """

    weight: float = 1.0

    def tell(self, genomes: np.ndarray, accuracies: np.ndarray, share: float = 1.0) -> None:
        super().tell(genomes, accuracies)
        probabilities = self.probabilities
        drawn = np.stack([self._rng.choice(len(p), SAMPLES, p=p) for p in probabilities], axis=1)
        cost = self._problem.cost(self._problem.space.canonical(drawn))
        excess = np.maximum(float(cost.mean()) / self._target - 1, 0.0)
        centred = (cost - cost.mean()) / max(float(cost.std()), 1e-12)
        for column, p in enumerate(probabilities):
            slope = (centred[:, None] * (np.eye(len(p))[drawn[:, column]] - p)).mean(axis=0)
            self._logits[column] -= self.learning_rate * self.weight * excess * slope * len(p)

    def _reward(self, genomes: np.ndarray, accuracies: np.ndarray) -> np.ndarray:
        return accuracies / (1 + self._problem.violation(genomes))
