"""Images that are in a data set more than once: equal ones, and ones that look the same."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from edgenas.data.decode import SKETCH
from edgenas.progress import Track, quiet

ALIKE = 0.005
"""How far the correlation of two sketches may be from 1. Of flowers, 95 % of the copies that were saved as JPEG of quality 30
or at half the size were within 0.0007; of CIFAR-10's 32 pixels 95 % of those at quality 70 or half the size within 0.003. No
two of 4,000 different images of CIFAR-10 were within 0.005, and 20 pairs of as many digits."""
FLAT = 2.0
"""The deviation of a sketch's levels below which there is nothing to compare."""
MANY = 10
"""Pairs for every image, beyond which a data set is one of much the same pictures."""
CHUNK = 1000
"""Images that are compared with all others at a time."""


def picture_groups(facts: np.ndarray) -> np.ndarray:
    """`(n,)` facts -> `(n,)` int64: equal numbers for images that are equal when decoded, whatever their files."""
    return numbered(facts["picture"])


def numbered(hashes: np.ndarray) -> np.ndarray:
    """`(n, bytes)` uint8 -> `(n,)` int64: equal numbers from 0 on for equal hashes, by the first 16 bytes of each."""
    high, low = np.ascontiguousarray(hashes[:, :16]).view(np.uint64).T
    order = np.lexsort((low, high))
    is_new = np.ones(len(order), np.int64)
    is_new[1:] = (np.diff(high[order]) != 0) | (np.diff(low[order]) != 0)
    numbers = np.empty(len(order), np.int64)
    numbers[order] = np.cumsum(is_new) - 1
    return numbers


def count_different(hashes: np.ndarray) -> int:
    """How many of `(n, bytes)` uint8 hashes are different."""
    return int(numbered(hashes).max(initial=-1)) + 1


def look_alikes(facts: np.ndarray, track: Track = quiet) -> np.ndarray | None:
    """`(m, 2)` int64: the pairs of different images that look the same, however they were saved, scaled or lightened.

    None where so many do that it means nothing.
    """
    sketches = facts["sketch"].reshape(len(facts), -1).astype(np.float32)
    sketches -= sketches.mean(1, keepdims=True)
    rows = np.flatnonzero(sketches.std(1) >= FLAT)
    shapes = sketches[rows] / np.linalg.norm(sketches[rows], axis=1, keepdims=True)
    # Averages over areas and colours, scaled, are an orthogonal projection: what is far apart in them is so in the whole.
    coarse = shapes.reshape(-1, 4, SKETCH // 4, 4, SKETCH // 4, 3).mean((2, 4, 5)).reshape(len(rows), 16)
    coarse *= np.sqrt(shapes.shape[1] / 16)
    near = [np.empty((0, 2), np.int64)]
    tree, radius = cKDTree(coarse), float(np.sqrt(2 * ALIKE))
    begins = range(0, len(rows), CHUNK)
    for begin in track(begins, "Comparing pictures", len(begins)):
        others = tree.query_ball_point(coarse[begin : begin + CHUNK], radius)
        firsts = np.repeat(np.arange(begin, begin + len(others)), [len(each) for each in others])
        found = np.stack([firsts, np.concatenate([np.asarray(each, np.int64) for each in others])], axis=1)
        near.append(found[found[:, 0] < found[:, 1]])
        if sum(map(len, near)) > MANY * len(facts):
            return None
    pairs = np.concatenate(near)
    pairs = pairs[(shapes[pairs[:, 0]] * shapes[pairs[:, 1]]).sum(1) >= 1 - ALIKE]
    pairs = rows[pairs]
    groups = picture_groups(facts)
    return pairs[groups[pairs[:, 0]] != groups[pairs[:, 1]]]
