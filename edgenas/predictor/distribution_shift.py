"""The shift that a search causes: what it finds is unlike what its predictor was fitted on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from edgenas.predictor.link_ridge import LEAST_SAMPLES, LinkRidge, Samples, without
from edgenas.space import Space
from edgenas.values import Within
from edgenas.values.kinds import Count


@dataclass(frozen=True)
class Shift:
    """How a predictor does on `found` architectures when it is fitted on the `others` alone.

    outside: how many of the found lie outside the others (`LinkRidge.is_outside`). error: root mean square on the found, in
    accuracy (0..1), to be compared with the cross-validated one.
    """

    found: Count
    others: Count
    outside: Count
    error: Annotated[float, Within(0, 10)]


def measure_shift(
    space: Space, genomes: np.ndarray, accuracies: np.ndarray, found: np.ndarray, alike: Samples | None = None
) -> Shift | None:
    """`(n, d)` genomes, their `(n,)` measured accuracies, `(n,)` booleans. None where too few others are left to fit on.

    alike: see `LinkRidge.fit`; the found are left out of those, too.
    """
    others = ~found
    if others.sum() < LEAST_SAMPLES or not found.any():
        return None
    predictor = LinkRidge(space)
    predictor.fit(genomes[others], accuracies[others], None if alike is None else without(alike, genomes[found]))
    off = predictor.predict(genomes[found]) - accuracies[found]
    outside = int(predictor.is_outside(genomes[found]).sum())
    return Shift(int(found.sum()), int(others.sum()), outside, float(np.sqrt(np.mean(off**2))))
