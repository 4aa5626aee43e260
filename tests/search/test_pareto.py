import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgenas.search.pareto import pareto_front, spread

points = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=30)


@given(points)
def test_the_front_is_what_nothing_dominates(pairs):
    accuracy, latency = np.array(pairs, dtype=float).T
    front = pareto_front(accuracy, latency)
    kept = set()
    for i in range(len(pairs)):
        better = (accuracy >= accuracy[i]) & (latency <= latency[i]) & ((accuracy > accuracy[i]) | (latency < latency[i]))
        if not better.any():
            kept.add((accuracy[i], latency[i]))
    assert {(accuracy[i], latency[i]) for i in front} == kept
    assert len(front) == len(kept)
    assert (np.diff(latency[front]) > 0).all()
    assert (np.diff(accuracy[front]) > 0).all()


@given(st.integers(1, 40), st.integers(2, 12))
def test_spread_keeps_both_ends(n, count):
    chosen = spread(np.geomspace(0.1, 10, n), count)
    assert len(chosen) == len(set(chosen)) == min(n, count)
    assert {0, n - 1} <= set(chosen)


def test_spread_is_even_in_log_latency():
    latency = np.geomspace(1, 100, 101)
    assert spread(latency, 5).tolist() == [0, 25, 50, 75, 100]
