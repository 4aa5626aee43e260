from __future__ import annotations

import numpy as np
import pytest

from edgenas.search import Categorical
from tests.conftest import every_genome as every_genome


def random_sum(space, rng: np.random.Generator, whole: bool = False):
    """A random additive function of a space's genomes. whole: of small integers, so that ties occur and sums are exact."""
    layout = space.layout

    def draw(*shape: int) -> np.ndarray:
        return rng.integers(-2, 6, shape).astype(float) if whole else rng.normal(size=shape)

    base = draw(layout.branches)
    depth = [draw(layout.branches, len(s.depths)) for s in layout.segments]
    choice = [[draw(layout.branches, len(layout.choices(slot))) for slot in s.slots] for s in layout.segments]

    def function(genomes: np.ndarray) -> np.ndarray:
        totals = np.zeros(len(genomes))
        for row, genome in enumerate(genomes):
            branch = layout.branch(genome[None])[0]
            totals[row] = base[branch]
            for s, segment in enumerate(layout.segments):
                j = 0 if segment.depth_column is None else genome[segment.depth_column]
                totals[row] += depth[s][branch, j]
                for u, slot in enumerate(segment.slots[: segment.depths[j]]):
                    genes = np.array([genome[column] for column in slot])
                    totals[row] += choice[s][u][branch, (layout.choices(slot) == genes).all(1).argmax()]
        return totals

    return function


@pytest.fixture
def plain_space() -> Categorical:
    return Categorical([3] * 8)
