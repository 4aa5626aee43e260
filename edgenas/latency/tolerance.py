"""How far off predictions may be, judged by the errors of some."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

SURENESS = 0.95
"""Of the limit itself. At 90 %, one table in ten promises too much by design."""

LEAST_SESSIONS = 3
"""That tell what sessions differ by."""


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


def tolerance_over_sessions(sessions: Sequence[np.ndarray], share: float = 0.9) -> float:
    """What a share of all networks errs by at most in a session to come, judged by errors in several: `(n_s,)` each, signed.

    In a session all networks are slower or faster together. So it is what networks of one session differ by, plus what sessions
    do: that is not one draw for every network but one for all of them, and their sum holds for most sessions, not for the
    average one. Simulated, 6 sessions of 10 networks: where sessions drift as they did while measuring, 99 in 100 tables then
    hold 90 % of the networks of a later one; where that drifts twice as much, 95 in 100. The errors of all sessions in one
    heap, and 0.6 % for drift whatever the machine, held them in 83 of 100 then.
    """
    within = [(errors - errors.mean()) * math.sqrt(len(errors) / (len(errors) - 1)) for errors in sessions]
    return tolerance(np.concatenate(within), share) + normal_half_width(share) * most_drift(sessions)


def most_drift(sessions: Sequence[np.ndarray]) -> float:
    """The standard deviation of what all errors of a session have in common, as large as it may be, `SURENESS` sure of it."""
    shifts, chance = shifts_of(sessions)
    return math.sqrt(max(0.0, float((shifts**2).sum()) / _chi_squared(1 - SURENESS, len(shifts)) - chance))


def shifts_of(sessions: Sequence[np.ndarray]) -> tuple[np.ndarray, float]:
    """`(S,)` means of the errors of sessions, and the variance that such a mean has by chance, from the networks in it
    alone."""
    freedom = sum(len(errors) - 1 for errors in sessions)
    within = sum(float(((errors - errors.mean()) ** 2).sum()) for errors in sessions) / freedom
    return np.array([errors.mean() for errors in sessions]), within * float(np.mean([1 / len(errors) for errors in sessions]))


def normal_half_width(share: float) -> float:
    """In standard deviations: the interval around the mean that holds a share (0..1) of a normal distribution."""
    return NormalDist().inv_cdf((1 + share) / 2)


def _chi_squared(p: float, n: int) -> float:
    """The p-quantile of the chi-squared distribution with n degrees of freedom (Wilson and Hilferty, PNAS 17, 1931)."""
    return n * max(1 - 2 / (9 * n) + NormalDist().inv_cdf(p) * math.sqrt(2 / (9 * n)), 1e-3) ** 3
