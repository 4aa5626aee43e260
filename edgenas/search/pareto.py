"""Pareto fronts of two objectives: accuracy to be high, cost, such as latency, to be low."""

from __future__ import annotations

import numpy as np


def pareto_front(accuracy: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Indices of the `(n,)` points that no other dominates, by rising cost. Of equal points the first is kept.

    A point dominates another when it is at least as accurate and as cheap, and better in one. NaN is not allowed.
    """
    order = np.argsort(cost, kind="stable")  # which is fast where the costs are a few sorted runs
    best_before = np.concatenate([[-np.inf], np.maximum.accumulate(accuracy[order])[:-1]])
    front = order[accuracy[order] > best_before]
    last_at_its_cost = np.append(cost[front][1:] > cost[front][:-1], True)[: len(front)]
    return front[last_at_its_cost]


def spread(front_cost: np.ndarray, count: int) -> np.ndarray:
    """At most `count` indices into a front sorted by cost: both ends, and even steps of log cost between them."""
    n = len(front_cost)
    if n <= count:
        return np.arange(n)
    position = np.log(front_cost) if front_cost[0] > 0 else front_cost
    chosen = {0, n - 1}
    for target in np.linspace(position[0], position[-1], count)[1:-1]:
        free = [i for i in range(n) if i not in chosen]
        chosen.add(min(free, key=lambda i: abs(position[i] - target)))
    return np.array(sorted(chosen))


def hypervolume(accuracy: np.ndarray, cost: np.ndarray, lowest_accuracy: float, highest_cost: float) -> float:
    """The area that `(n,)` points dominate, up to a reference point of low accuracy and high cost."""
    inside = (accuracy >= lowest_accuracy) & (cost <= highest_cost)
    accuracy, cost = accuracy[inside], cost[inside]
    front = pareto_front(accuracy, cost)
    right = np.append(cost[front][1:], highest_cost)
    return float(((right - cost[front]) * (accuracy[front] - lowest_accuracy)).sum())
