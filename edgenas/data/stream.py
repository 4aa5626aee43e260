"""Images that are decoded whenever they are asked for, by several threads and ahead of time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from edgenas.data.decode import Decoder, pillow
from edgenas.data.formats import opened
from edgenas.data.sources import Source
from edgenas.errors import DataError
from edgenas.names import printable

AHEAD = 2
"""Batches for every thread that are decoded, or being decoded, before they are asked for."""


class StreamedImages:
    """`(n, size, size, 3)` uint8, indexed by rows as an array is.

    files: the images of `source`, those that cannot be read among them: their rows must not be asked for.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, source: Source, files: Sequence[str], decoder: Decoder):
        self.source = source
        self.files = files
        self.decoder = decoder
        self.shape = (len(files), decoder.size, decoder.size, 3)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """The images of `(b,)` rows. Raises DataError when one can no longer be read."""
        pixels = np.empty((len(rows), *self.shape[1:]), self.dtype)
        with pillow:
            for square, row in zip(pixels, rows, strict=True):
                file = self.files[row]
                try:
                    with self.source.open(file) as stream, opened(stream) as image:
                        square[:] = self.decoder(image)
                except Exception as error:  # Pillow's decoders raise anything
                    raise DataError(
                        f"{printable(file)} in {self.source.location} could be read before and now cannot ({error}): bring it "
                        "back."
                    ) from None
        return pixels

    def batches(self, rows: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        """`self[each]` for each of the rows, in this order, each made by one thread. The threads end with the iteration.

        Threads, since Pillow decodes and resizes without the interpreter's lock: of 128 pixels, two of them made 1,790 to 2,077
        photos a second where two processes made 1,657 to 1,840, and beside a training they were no slower.
        """
        threads = _cores()
        waiting: deque[Future[np.ndarray]] = deque()
        pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        try:
            for each in rows:
                waiting.append(pool.submit(self.__getitem__, each))
                if len(waiting) > AHEAD * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _cores() -> int:
    """That this training may use; trainings of one machine share them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", 1)))  # as torchrun sets it
