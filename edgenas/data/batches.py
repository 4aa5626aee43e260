"""Which images make which batch, and batches made ahead of their use."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TypeVar

import numpy as np

T = TypeVar("T")

LOOK_S = 0.2
"""How often a thread that is far enough ahead looks whether it is still wanted."""


def epoch_batches(n: int, batch_size: int, seed: int, epoch: int, shares: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """The indices 0..n-1 in an order that follows from `(seed, epoch)` alone, as `(batch_size,)` int64 arrays.

    shares: `(n,)`, summing to 1: which share of the epoch each index gets instead of 1 / n.
    What is left after the last full batch sits this epoch out, unless it is all there is.
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(n) if shares is None else systematic_sample(shares, rng)
    size = min(batch_size, n)
    for begin in range(0, n - size + 1, max(1, size)):
        if size:
            yield order[begin : begin + size]


def systematic_sample(shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """n of the indices 0..n-1, shuffled; each comes n times its share, rounded down or up by chance.

    Systematic sampling (Madow, 1949), which varies less than independent draws: no image is forgotten by bad luck.
    """
    n = len(shares)
    order = rng.permutation(n)
    ends = np.cumsum(shares[order])
    points = (np.arange(n) + rng.random()) / n * ends[-1]
    return rng.permutation(order[np.searchsorted(ends, points, side="right").clip(max=n - 1)])


def balanced_shares(labels: np.ndarray, beta: float = 0.999) -> np.ndarray:
    """`(n,)` labels -> `(n,)` shares of an epoch: a class of n images weighs n by its effective number of samples.

    The effective number (1 - beta^n) / (1 - beta) is Cui et al.'s (CVPR 2019, arXiv:1901.05555), with a beta of theirs:
    classes of much less than 1 / (1 - beta) images get equal shares, those of much more share by their size. They
    weight losses; here batches are drawn by the same weights, because a subnet that learns from a teacher's probabilities
    has no label to weight by. On long-tailed MNIST (350 to 8 images a class, one seed) mean recall of the largest and the
    smallest subnet was 75.0 / 57.9 % as they come, 93.8 / 69.7 % with weighted losses, 90.4 / 82.9 % with this.
    """
    counts = np.bincount(labels)
    effective = (1 - beta ** counts.astype(float)) / (1 - beta)
    weights = 1 / effective[labels]
    return weights / weights.sum()


@dataclass(frozen=True)
class _Raised:
    """In place of an item."""

    error: BaseException


def prefetch(items: Iterable[T], depth: int = 2) -> Iterator[T]:
    """The same items, made by a background thread that stays up to `depth` ahead.

    An exception of `items` is raised where its item would have come. The thread ends when the items do, or when this
    iterator is closed, which waits for the item being made. Where nothing closes it, because a signal came in between, it ends
    with the main thread: a daemon would be cut off within torch's code, which aborts the process.
    """
    ready: SimpleQueue[T | _Raised] = SimpleQueue()
    room, stopped = threading.Semaphore(depth), threading.Event()

    def produce() -> None:
        iterator = iter(items)
        try:
            while not stopped.is_set() and threading.main_thread().is_alive():
                if room.acquire(timeout=LOOK_S) and not stopped.is_set():
                    ready.put(next(iterator))
        except BaseException as error:  # StopIteration too: it says that the items have ended
            ready.put(_Raised(error))
        finally:
            if isinstance(iterator, Generator):
                iterator.close()  # here and now, and with it what it may hold, such as threads of its own

    thread = threading.Thread(target=produce, name="prefetch", daemon=False)
    try:
        thread.start()
        while True:
            item = ready.get()
            if isinstance(item, _Raised):
                if isinstance(item.error, StopIteration):
                    return
                raise item.error
            room.release()
            yield item
    finally:
        stopped.set()
        room.release()
        with suppress(RuntimeError):  # a signal came before it had begun
            thread.join()
