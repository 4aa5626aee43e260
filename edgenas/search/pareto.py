"""Pareto fronts of two objectives: accuracy to be high, latency to be low."""

from __future__ import annotations

import numpy as np


def pareto_front(accuracy: np.ndarray, latency_ms: np.ndarray) -> np.ndarray:
    """Indices of the `(n,)` points that no other dominates, by rising latency. Of equal points the first is kept.

    A point dominates another when it is at least as accurate and as fast, and better in one. NaN is not allowed.
    """
    order = np.lexsort((np.arange(len(accuracy)), -accuracy, latency_ms))
    best_before = np.concatenate([[-np.inf], np.maximum.accumulate(accuracy[order])[:-1]])
    return order[accuracy[order] > best_before]


def spread(front_latency_ms: np.ndarray, count: int) -> np.ndarray:
    """At most `count` indices into a front sorted by latency: both ends, and even steps of log latency between them."""
    n = len(front_latency_ms)
    if n <= count:
        return np.arange(n)
    position = np.log(front_latency_ms)
    chosen = {0, n - 1}
    for target in np.linspace(position[0], position[-1], count)[1:-1]:
        free = [i for i in range(n) if i not in chosen]
        chosen.add(min(free, key=lambda i: abs(position[i] - target)))
    return np.array(sorted(chosen))
