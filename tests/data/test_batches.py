"""Batches: which images, and ahead of time."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenas.data import balanced_shares, epoch_batches, prefetch


def wait_for(condition, seconds=5):
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.005)
    return condition()


def workers():
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


@given(st.integers(1, 200), st.integers(1, 70), st.integers(0, 5), st.integers(0, 5))
def test_an_epoch(n, batch_size, seed, epoch):
    batches = list(epoch_batches(n, batch_size, seed, epoch))
    assert [len(batch) for batch in batches] == ([batch_size] * (n // batch_size) if n >= batch_size else [n])
    indices = np.concatenate(batches)
    assert len(set(indices)) == len(indices) and set(indices) <= set(range(n))
    again = np.concatenate(list(epoch_batches(n, batch_size, seed, epoch)))
    assert (again == indices).all()


def test_every_epoch_and_seed_has_its_own_order():
    orders = [tuple(np.concatenate(list(epoch_batches(50, 10, s, e)))) for s, e in itertools.product(range(3), range(3))]
    assert len(set(orders)) == 9


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=60), st.integers(0, 5))
def test_every_index_comes_by_its_share(weights, seed):
    n = len(weights)
    expected = n * np.array(weights) / sum(weights)
    batches = [np.concatenate(list(epoch_batches(n, 1, seed, epoch, expected / n))) for epoch in range(3)]
    for batch in batches:
        counts = np.bincount(batch, minlength=n)
        assert counts.sum() == n
        assert (np.abs(counts - expected) < 1 + 1e-9).all()
    assert (batches[0] == np.concatenate(list(epoch_batches(n, 1, seed, 0, expected / n)))).all()


def test_balanced_shares():
    labels = np.repeat([0, 1, 2, 3], [5, 20, 20_000, 40_000])
    share = [balanced_shares(labels)[labels == label].sum() for label in range(4)]
    assert share[0] == pytest.approx(share[1], rel=0.02)  # both rare: as often as each other
    assert share[3] == pytest.approx(2 * share[2], rel=0.01)  # both abundant: by their size
    assert 0.01 < share[0] < share[2]
    assert balanced_shares(np.repeat([0, 1], 300)) == pytest.approx(np.full(600, 1 / 600))


def test_class_sorted_images_are_mixed():
    labels = np.repeat(np.arange(10), 100)
    for batch in epoch_batches(1000, 100, seed=0, epoch=0):
        assert len(set(labels[batch])) >= 8


def test_no_images_no_batches():
    assert list(epoch_batches(0, 8, 0, 0)) == []


def test_prefetch_passes_everything_on_in_order():
    assert list(prefetch(range(100))) == list(range(100))
    assert list(prefetch([])) == []
    assert list(prefetch([None, 1, None])) == [None, 1, None]
    assert not workers()


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_prefetch_stays_ahead_but_not_further(depth):
    made = []
    items = prefetch((made.append(i) or i for i in range(50)), depth)
    assert next(items) == 0
    assert wait_for(lambda: len(made) == 1 + depth)
    time.sleep(0.03)
    assert len(made) == 1 + depth
    assert next(items) == 1
    assert wait_for(lambda: len(made) == 2 + depth)
    items.close()


def test_prefetch_works_in_another_thread():
    names = set(prefetch(threading.current_thread().name for _ in range(3)))
    assert names == {"prefetch"}


def test_prefetch_raises_where_the_item_would_have_come():
    def failing():
        yield 1
        yield 2
        raise ValueError("no third")

    items, seen = prefetch(failing()), []
    with pytest.raises(ValueError, match="no third"):
        for item in items:
            seen.append(item)
    assert seen == [1, 2]
    assert not workers()


@pytest.mark.parametrize("taken", [1, 3])
def test_prefetch_ends_when_its_consumer_stops(taken):
    items = prefetch(itertools.count())
    for _ in range(taken):
        next(items)
    assert len(workers()) == 1
    items.close()
    assert not workers()


def test_prefetch_ends_when_its_consumer_fails():
    with pytest.raises(ZeroDivisionError):
        for item in prefetch(itertools.count()):
            1 / (item - 3)
    assert wait_for(lambda: not workers())


AHEAD = """
import sys, threading, torch
from edgenas.data import prefetch

start = threading.Thread.start

def interrupted(thread):
    start(thread)
    raise KeyboardInterrupt

def images():
    while True:
        yield torch.nn.functional.interpolate(torch.randn(64, 3, 64, 64), size=96, mode="bilinear", antialias=True)

items = prefetch(images(), depth=1000)
if sys.argv[1] == "never closed":
    next(items)
    sys.exit(3)
threading.Thread.start = interrupted
try:
    next(items)
except KeyboardInterrupt as stop:
    sys.exit(3)
"""


@pytest.mark.parametrize("how", ["never closed", "interrupted while it begins"])
def test_a_thread_in_torchs_code_does_not_abort_the_end(how):
    done = subprocess.run([sys.executable, "-c", AHEAD, how], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (3, "")
