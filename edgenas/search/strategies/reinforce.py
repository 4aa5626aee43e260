"""`Reinforce`: a policy over genes learned from rewards, as in MnasNet (Tan et al., 2019, arXiv:1807.11626)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgenas.search.problem import SearchProblem
from edgenas.search.strategies.base import History, Proposal, target_cost

SHRINK = 0.9
"""How fast the baseline, a running mean of rewards, forgets."""


@dataclass
class Reinforce:
    """Independent categorical distributions of all genes, moved along the reward's gradient (Williams, 1992).

    The paper's policy is a recurrent network trained by PPO; here every gene has a distribution of its own, moved by the plain
    gradient with a running mean as baseline. The reward is the paper's: accuracy * (cost / target) ** w. Hard: w is 0 within
    the target and -1 beyond it; soft: w is -0.07 on both sides. The target is the tightest limit on the cost, and the median of
    random costs where there is none.
    """

    soft: bool = False
    batch: int = 10
    learning_rate: float = 0.3

    def start(self, problem: SearchProblem, rng: np.random.Generator) -> None:
        self._problem, self._rng, self._history = problem, rng, History(problem)
        self._logits = [np.zeros(size) for size in problem.space.gene_sizes]
        self._baseline: float | None = None
        self._target = target_cost(problem, rng)

    def ask(self, count: int) -> Proposal:
        drawn = [self._rng.choice(len(p), min(count, self.batch), p=p) for p in self.probabilities]
        return Proposal(self._problem.space.canonical(np.stack(drawn, axis=1)))

    @property
    def probabilities(self) -> list[np.ndarray]:
        return [np.exp(logit - logit.max()) / np.exp(logit - logit.max()).sum() for logit in self._logits]

    def tell(self, genomes: np.ndarray, accuracies: np.ndarray, share: float = 1.0) -> None:
        self._history.add(genomes, accuracies)
        rewards = self._reward(genomes, accuracies)
        if self._baseline is None:
            self._baseline = float(rewards.mean())
        advantage = rewards - self._baseline
        advantage /= max(float(np.abs(advantage).mean()), 1e-9)
        self._baseline = SHRINK * self._baseline + (1 - SHRINK) * float(rewards.mean())
        for column, p in enumerate(self.probabilities):
            taken = np.eye(len(p))[genomes[:, column]]
            self._logits[column] += self.learning_rate * (advantage[:, None] * (taken - p)).mean(axis=0)

    def _reward(self, genomes: np.ndarray, accuracies: np.ndarray) -> np.ndarray:
        ratio = np.maximum(self._problem.cost(genomes), 1e-12) / self._target
        exponent = -0.07 if self.soft else np.where(ratio <= 1, 0.0, -1.0)
        return accuracies * ratio**exponent / (1 + self._problem.violation(genomes))
