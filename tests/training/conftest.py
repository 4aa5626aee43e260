from __future__ import annotations

import numpy as np
import pytest

from edgenas.data import Dataset, Split
from tests.conftest import make_micro_space


def make_dataset(n: int = 96, size: int = 16, seed: int = 0) -> Dataset:
    """Three classes that a network can learn: a bright bar at the left, the middle or the right, in noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    images = rng.integers(0, 120, (n, size, size, 3), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:, label * 5 : label * 5 + 4] += 130
    parts = np.array_split(rng.permutation(n), [n * 2 // 3, n * 5 // 6])
    train, validation, test = (Split(images[rows], labels[rows]) for rows in parts)
    return Dataset("bars", "bars", ("left", "middle", "right"), size, train, validation, test, (0.3,) * 3, (0.2,) * 3)


@pytest.fixture
def dataset() -> Dataset:
    return make_dataset()


@pytest.fixture
def space():
    return make_micro_space()
