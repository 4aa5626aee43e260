"""`Sustained`: how long one inference takes on a device that works without a pause."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from edgenas.device.provenance import Provenance
from edgenas.values import Length, Within
from edgenas.values.kinds import Count, Milliseconds, Positive, Seconds

Celsius = Annotated[float, Within(-300, 1000)]


@dataclass(frozen=True)
class Spell:
    """A part of the time. What the device does not tell is None.

    end_s: since the beginning. median_ms, p95_ms: of the runs in it.
    temperature_c, frequency_mhz, throttled, throttle_events: at its end; the frequency is that of the slowest core that may be
    used, the others are as in `Provenance`.
    """

    end_s: Seconds
    median_ms: Milliseconds
    p95_ms: Milliseconds
    temperature_c: Celsius | None = None
    frequency_mhz: Positive | None = None
    throttled: Annotated[int, Within(0, 2**32)] | None = None
    throttle_events: Count | None = None


@dataclass(frozen=True)
class Sustained:
    """The wall-clock times of all `runs` in so many seconds, and how they changed: `spells`, which are of equal length."""

    seconds: Seconds
    runs: Annotated[int, Within(1, 10**12)]
    median_ms: Milliseconds
    p95_ms: Milliseconds
    p99_ms: Milliseconds
    most_ms: Milliseconds
    spells: Annotated[tuple[Spell, ...], Length(1, 1000)]

    @property
    def drift(self) -> float:
        """How much longer a run took in the last tenth of the time than in the first, such as 0.25."""
        some = -(-len(self.spells) // 10)
        medians = [spell.median_ms for spell in self.spells]
        return float(np.median(medians[-some:]) / np.median(medians[:some]) - 1)

    @property
    def temperature_c(self) -> tuple[float, float] | None:
        """At the end of the first spell and at the most; None where the device does not tell."""
        known = [spell.temperature_c for spell in self.spells if spell.temperature_c is not None]
        return (known[0], max(known)) if known else None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What slowed the device down in this time, each as a sentence."""
        events = [spell.throttle_events for spell in self.spells if spell.throttle_events is not None]
        flags = 0
        for spell in self.spells:
            flags |= (spell.throttled or 0) & 0xF
        return Provenance(throttled=flags, throttle_events=max(0, events[-1] - events[0]) if events else None).warnings
