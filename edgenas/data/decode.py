"""Encoded images as square arrays of pixels."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
from PIL import Image, ImageOps

from edgenas.data.sources import Listing, Source
from edgenas.progress import Track

CHUNK = 64  # images that a thread decodes at a time
# Below this average, threads wait for the interpreter's lock longer than they decode (CIFAR JPEGs of 0.9 kB, two busy cores:
# one thread 1.5 times as fast as two).
THREADED_FILE_BYTES = 8192


def decode_all(
    source: Source, listing: Listing, size: int, write: Callable[[int, np.ndarray], None], description: str, track: Track
) -> np.ndarray:
    """Decode every image once. Returns `(n,)` bool: which could be read.

    write: called by several threads with an index and the `(m, size, size, 3)` uint8 images from there on, black where one
    cannot be read.
    """

    def decode_chunk(first: int) -> list[bool]:
        files = listing.files[first : first + CHUNK]
        pixels, readable = np.zeros((len(files), size, size, 3), np.uint8), []
        for row, file in zip(pixels, files, strict=True):
            try:
                with source.open(file) as image:
                    row[:] = decode(image, size)
                readable.append(True)
            except Exception:  # Pillow's decoders raise anything from SyntaxError to struct.error
                readable.append(False)
        write(first, pixels)
        return readable

    count = len(listing.files)
    threads = (os.cpu_count() or 1) if listing.file_bytes >= THREADED_FILE_BYTES * count else 1
    pool = ThreadPoolExecutor(threads)
    try:
        with pillow_warnings():
            Image.init()  # not by two threads at once
            chunks = pool.map(decode_chunk, range(0, count, CHUNK))
            return np.array(list(track((each for chunk in chunks for each in chunk), description, count)))
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def pillow_warnings() -> Iterator[None]:
    """Silent about odd metadata; an image that is too large to be true is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def decode(image: Image.Image, size: int) -> np.ndarray:
    """`(size, size, 3)` uint8: upright, shorter side resized to `size` with antialiased bilinear, centre-cropped, RGB."""
    image.draft(None, (2 * size, 2 * size))  # lets JPEGs of more than twice the size decode at a fraction of it
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow would clip
        image = Image.fromarray(np.clip(np.asarray(image) >> 8, 0, 255).astype(np.uint8))
    image = image.convert("RGB")
    ImageOps.exif_transpose(image, in_place=True)
    return np.asarray(ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR))
