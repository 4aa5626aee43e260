"""Images that are decoded whenever they are asked for, by worker processes and ahead of time."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from edgenas.data.decode import Decoder, pillow
from edgenas.data.formats import opened
from edgenas.data.sources import Source
from edgenas.errors import DataError, EdgeNASError
from edgenas.names import printable


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
        with pillow():
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

    def batches(self, rows: list[np.ndarray]) -> Iterator[np.ndarray]:
        """`self[each]` for each of the rows, in this order, each made by one process. They end with the iteration."""
        loader: DataLoader[torch.Tensor | DataError] = DataLoader(
            _Batches(self),
            batch_size=None,
            sampler=rows,
            num_workers=min(_workers(), len(rows)),
            generator=torch.Generator(),  # or it draws from the global one, from which a training may draw
        )
        try:
            for images in _started(loader):
                if isinstance(images, DataError):
                    raise images
                yield images.numpy()
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise EdgeNASError(
                "A process that decodes images was ended, as the system does where memory runs out. What was finished is kept: "
                "end other programs and run the same command again."
            ) from error


class _Batches(Dataset[torch.Tensor | DataError]):
    """What workers run. An error is handed over as it is: one that is raised in a worker arrives wrapped in its traceback."""

    def __init__(self, images: StreamedImages):
        self.images = images

    def __getitem__(self, rows: np.ndarray) -> torch.Tensor | DataError:
        try:
            return torch.from_numpy(self.images[rows])
        except DataError as error:
            return error


def _workers() -> int:
    """One process for every core that this training may use; trainings of one machine share them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", 1)))  # as torchrun sets it


def _started(loader: DataLoader[torch.Tensor | DataError]) -> Iterator[torch.Tensor | DataError]:
    """With workers that never hear of Ctrl-C, which reaches every process of a terminal, not even at their very beginning: the
    parent ends them when it is done.

    Without torch's handler of a child's end: it raises wherever the main thread happens to be, and twice where two have ended.
    Whoever waits for a worker's images finds out within seconds.
    """
    heard, of_children = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}), signal.getsignal(signal.SIGCHLD)
    try:
        return iter(loader)
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGCHLD, of_children)
        signal.pthread_sigmask(signal.SIG_SETMASK, heard)
