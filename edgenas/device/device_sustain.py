"""How long one inference takes when a device works without a pause.

It is copied there with a job that asks for it, see `device_timer`; needs numpy, and works from Python 3.8 on.
"""

from __future__ import annotations

import time
from array import array

import numpy as np

SPELLS = 30
"""Into which the time is divided: of each, what was typical and how warm the device was."""
FIRST_RUNS = 3


def sustain(invoke, seconds, conditions):
    """Call `invoke` for so many seconds, on the wall clock: what others take away from it counts as well.

    conditions: called at the end of each spell, a dict of what the device tells of its heat.
    """
    for _ in range(FIRST_RUNS):
        invoke()
    spells: list[dict[str, float]] = []
    times, begin = array("d"), time.perf_counter()
    while len(spells) < SPELLS:
        first, end = len(times), begin + seconds * (len(spells) + 1) / SPELLS
        now = time.perf_counter()
        while now < end or len(times) == first:
            before = now
            invoke()
            now = time.perf_counter()
            times.append(1e3 * (now - before))
        of_spell = dict(zip(("median_ms", "p95_ms"), _percentiles(times[first:], 50, 95)))  # noqa: B905, for Python 3.8
        spells.append(dict(of_spell, end_s=now - begin, **conditions()))
    median, p95, p99, most = _percentiles(times, 50, 95, 99, 100)
    told = {"median_ms": median, "p95_ms": p95, "p99_ms": p99, "most_ms": most}
    return dict(told, seconds=now - begin, runs=len(times), spells=spells)


def _percentiles(times, *which):
    return [float(value) for value in np.percentile(np.frombuffer(times), which)]
