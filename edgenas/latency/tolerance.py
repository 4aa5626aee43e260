"""How far off predictions may be, judged by the errors of some."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

SURENESS = 0.95
"""Of the limit itself. At 90 %, one table in ten promises too much by design."""


def tolerance(errors: np.ndarray, share: float = 0.9) -> float:
    """What a share (0..1) of all networks errs by at most, `SURENESS` sure of it, judged by `(n,)` errors of a random sample.

    The k-th least error, with the least k that the binomial distribution allows (Wilks, Annals of Mathematical Statistics 12,
    1941). Where the sample is too small for any k, below 29 networks for 90 %, errors are taken to be normal around zero, and
    their standard deviation to be as large as it may be (Howe, Journal of the American Statistical Association 64, 1969).
    """
    if share <= 0:
        return 0.0
    errors = np.sort(np.abs(errors))
    n, below = len(errors), 0.0
    for k in range(n):
        below += math.comb(n, k) * share**k * (1 - share) ** (n - k)
        if below >= SURENESS:
            return float(errors[k])
    deviation = math.sqrt(float((errors**2).sum()) / _chi_squared(1 - SURENESS, n))
    return max(float(errors[-1]), normal_half_width(share) * deviation)


def normal_half_width(share: float) -> float:
    """In standard deviations: the interval around the mean that holds a share (0..1) of a normal distribution."""
    return NormalDist().inv_cdf((1 + share) / 2)


def _chi_squared(p: float, n: int) -> float:
    """The p-quantile of the chi-squared distribution with n degrees of freedom (Wilson and Hilferty, PNAS 17, 1931)."""
    return n * max(1 - 2 / (9 * n) + NormalDist().inv_cdf(p) * math.sqrt(2 / (9 * n)), 1e-3) ** 3
