"""Which images make which batch, and batches made ahead of their use."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator
from queue import SimpleQueue
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def epoch_batches(n: int, batch_size: int, seed: int, epoch: int) -> Iterator[np.ndarray]:
    """The indices 0..n-1 in an order that follows from `(seed, epoch)` alone, as `(batch_size,)` int64 arrays.

    What is left after the last full batch sits this epoch out, unless it is all there is.
    """
    order = np.random.default_rng([seed, epoch]).permutation(n)
    size = min(batch_size, n)
    for begin in range(0, n - size + 1, max(1, size)):
        if size:
            yield order[begin : begin + size]


def prefetch(items: Iterable[T], depth: int = 2) -> Iterator[T]:
    """The same items, made by a background thread that stays up to `depth` ahead.

    An exception of `items` is raised where its item would have come. The thread ends when the items do, or when this
    iterator is closed, which waits for the item being made.
    """
    ready: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()
    room, stopped = threading.Semaphore(depth), threading.Event()

    def produce() -> None:
        iterator = iter(items)
        try:
            while room.acquire() and not stopped.is_set():
                ready.put((next(iterator), None))
        except BaseException as error:  # StopIteration too: it says that the items have ended
            ready.put((None, error))
        finally:
            if isinstance(iterator, Generator):
                iterator.close()  # here and now, and with it what it may hold, such as worker processes

    thread = threading.Thread(target=produce, name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            room.release()
            yield item
    finally:
        stopped.set()
        room.release()
        thread.join()
