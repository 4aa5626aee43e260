"""Encoded images as square arrays of pixels, and what is learned of them on the way."""

from __future__ import annotations

import hashlib
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import BinaryIO

import numpy as np
from PIL import Image

from edgenas.data.formats import opened, prepare, why_unreadable
from edgenas.data.prepare import is_deep, square
from edgenas.data.sources import Listing, Source
from edgenas.progress import Track
from edgenas.values import fit as fitted
from edgenas.values.kinds import Fit

CHUNK, CHUNK_BYTES = 64, 2**26
"""Images that a thread decodes at a time, at most, and the most that they may have in memory; one may have more."""
# Below this average, threads wait for the interpreter's lock longer than they decode (CIFAR JPEGs of 0.9 kB, two busy cores:
# one thread 1.5 times as fast as two).
THREADED_FILE_BYTES = 8192
EXTREMES = 0.001
"""The share of an image's values at either end that are taken for dead pixels."""
FAR = 10
"""How often the usual width of a range an image's range may be away from the others."""

AT_ONCE = 2**20
"""Pixel values that are made floats at a time."""
SKETCH = 8
FACTS = np.dtype(
    [
        ("content", np.uint8, 32),
        ("picture", np.uint8, 16),
        ("width", np.int32),
        ("height", np.int32),
        ("low", np.uint8),
        ("high", np.uint8),
        ("deep", np.bool_),
        ("sketch", np.uint8, (SKETCH, SKETCH, 3)),
    ]
)
"""Of one image: the SHA-256 of its file, a hash of the decoded pixels, width and height as stored, the lowest and the highest
level of the decoded pixels, whether it had more than 8 bits, and the decoded pixels at a size for a thumb's nail."""


@dataclass(frozen=True)
class Decoder:
    """How an image becomes a square of pixels.

    size: of the square's side. fit: `edgenas.values.kinds.FITS` has them.
    value_range: of images with more than 8 bits per value, those that become black and white. None: 0 to 65,535.
    """

    size: int
    fit: Fit = "crop"
    value_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        fitted(Fit, self.fit, "fit")

    def __call__(self, image: Image.Image) -> np.ndarray:
        """`(size, size, 3)` uint8: see `prepare.square`."""
        return square(image, self.size, self.fit, self.value_range)


def bounds(image: Image.Image) -> tuple[float, float]:
    """The lowest and the highest value of a deep image but for its extremes; 0 and 0 where no value is a number."""
    values = np.asarray(image, dtype=np.float32).ravel()
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 0.0
    low, high = np.quantile(values, [EXTREMES, 1 - EXTREMES])
    return float(low), float(high)


@dataclass
class Decoded:
    """facts: `(n,)` of `FACTS`, zeros where an image could not be read. unreadable: the reason, by index.

    value_range: of the deep images; None where there are none.
    """

    facts: np.ndarray
    unreadable: dict[int, str] = field(default_factory=dict)
    value_range: tuple[float, float] | None = None

    @property
    def readable(self) -> np.ndarray:
        """`(n,)` bool"""
        readable = np.ones(len(self.facts), dtype=bool)
        readable[list(self.unreadable)] = False
        return readable


def decode_all(
    source: Source, listing: Listing, decoder: Decoder, write: Callable[[int, np.ndarray], None], description: str, track: Track
) -> Decoded:
    """Decode every image once; deep images twice, where the decoder has no range for them: it is that of all of them.

    write: called by several threads with an index and the `(m, size, size, 3)` uint8 images from there on, black where one
    cannot be read.
    """
    count, size = len(listing.files), decoder.size
    chunk = max(1, min(CHUNK, CHUNK_BYTES // (3 * size * size)))
    found, ranges = Decoded(np.zeros(count, FACTS)), {}

    def decode_one(index: int, decoder: Decoder, row: np.ndarray) -> None:
        head = b""
        try:
            with source.open(listing.files[index]) as stream:
                head = stream.read(32)
                content = sha256(stream)
                stream.seek(0)
                with opened(stream) as image:
                    width, height, deep = *image.size, is_deep(image)
                    if deep and decoder.value_range is None:
                        ranges[index] = bounds(image)
                        return
                    row[:] = decoder(image)
            facts = found.facts[index]
            facts["content"], facts["width"], facts["height"], facts["deep"] = np.frombuffer(content, "u1"), width, height, deep
        except Exception as error:  # Pillow's decoders raise anything from SyntaxError to struct.error
            found.unreadable[index] = why_unreadable(error, head)

    def decode_chunk(first: int, chunk: int = chunk, decoder: Decoder = decoder) -> range:
        indices = range(first, min(first + chunk, count))
        pixels = np.zeros((len(indices), size, size, 3), np.uint8)
        for index, row in zip(indices, pixels, strict=True):
            decode_one(index, decoder, row)
        facts = found.facts[first : indices.stop]
        done = np.flatnonzero(facts["width"])
        facts[done] = with_pixels(facts[done], pixels[done])
        write(first, pixels)
        return indices

    threads = (os.cpu_count() or 1) if listing.file_bytes >= THREADED_FILE_BYTES * count else 1
    pool = ThreadPoolExecutor(threads)
    try:
        with pillow:
            chunks = pool.map(decode_chunk, range(0, count, chunk))
            for _ in track((each for chunk in chunks for each in chunk), description, count):
                pass
            found.value_range = decoder.value_range or range_of(list(ranges.values()))
            if ranges:
                ranged = replace(decoder, value_range=found.value_range)
                deep = pool.map(lambda index: decode_chunk(index, 1, ranged), sorted(ranges))
                for _ in track(deep, "Scaling images of more than 8 bits", len(ranges)):
                    pass
    finally:
        pool.shutdown(cancel_futures=True)
    if not found.facts["deep"].any():
        found.value_range = None
    return found


def range_of(ranges: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """The range that holds the ranges of all images but for those that are far from the others, such as frames that a sensor
    has lost; None of none."""
    if not ranges:
        return None
    lows, highs = np.array(ranges).T
    width = max(np.median(highs - lows), *(np.subtract(*np.quantile(ends, [0.75, 0.25])) for ends in (lows, highs)))
    usual = (lows >= np.median(lows) - FAR * width) & (highs <= np.median(highs) + FAR * width)
    return float(lows[usual].min()), float(highs[usual].max())


def with_pixels(facts: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """`(m,)` facts with what `(m, size, size, 3)` decoded pixels say."""
    facts = facts.copy()
    hashes = b"".join(hashlib.sha256(each).digest()[:16] for each in pixels)
    facts["picture"] = np.frombuffer(hashes, np.uint8).reshape(-1, 16)
    facts["low"], facts["high"] = pixels.min((1, 2, 3), initial=255), pixels.max((1, 2, 3), initial=0)
    facts["sketch"] = sketches(pixels)
    return facts


def sketches(pixels: np.ndarray) -> np.ndarray:
    """`(m, size, size, 3)` uint8 -> `(m, SKETCH, SKETCH, 3)` uint8: means of areas, in which pixels on borders have a share."""
    weights = area_weights(pixels.shape[1])
    made = np.empty((len(pixels), SKETCH, SKETCH, 3), np.uint8)
    step = max(1, AT_ONCE // max(1, pixels[:1].size))
    for begin in range(0, len(pixels), step):
        some = pixels[begin : begin + step].astype(np.float32)
        rows = weights @ some.reshape(len(some), some.shape[1], -1)
        rows = rows.reshape(len(some), SKETCH, -1, 3).swapaxes(1, 2).reshape(len(some), -1, 3 * SKETCH)
        made[begin : begin + step] = (weights @ rows).round().reshape(len(some), SKETCH, SKETCH, 3).swapaxes(1, 2)
    return made


@cache
def area_weights(size: int) -> np.ndarray:
    """`(SKETCH, size)` float32: how much of each of `size` pixels in a row is in each of as many equal areas."""
    begins = np.arange(SKETCH)[:, None] * size / SKETCH
    overlap = np.minimum(begins + size / SKETCH, np.arange(size) + 1) - np.maximum(begins, np.arange(size))
    return (overlap.clip(0) * SKETCH / size).astype(np.float32)


def sha256(stream: BinaryIO) -> bytes:
    """Of a whole file, read in pieces."""
    stream.seek(0)
    return hashlib.file_digest(stream, "sha256").digest()  # type: ignore[arg-type]  # a BinaryIO that reads into buffers


class _Shared:
    """A context that changes the whole process, for several threads: the first one in enters it, the last one out leaves it."""

    def __init__(self, context: Callable[[], AbstractContextManager[None]]):
        self._context = context
        self._lock = threading.Lock()
        self._inside = 0
        self._leave = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._leave.enter_context(self._context())
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._leave.close()


@contextmanager
def _pillow() -> Iterator[None]:
    prepare()
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


pillow = _Shared(_pillow)
"""Pillow with all of its formats, silent about odd metadata. Its limit of pixels is left to `Decoder`, since a large JPEG need
not be decoded in full."""
