"""The machine: how many threads run at once, and what makes times uncertain or slow."""

from __future__ import annotations

from collections.abc import Iterator

from edgenas.device import Provenance
from edgenas.doctor.finding import NOTE, OK, Finding

AREA = "machine"


def check_machine(about: Provenance, area: str = AREA) -> Iterator[Finding]:
    """about: what its timer says of it."""
    yield Finding(area, "processor", OK, f"{about.cpu}, {about.machine}, {about.cores} cores")
    if about.emulated:
        yield Finding(area, "emulator", NOTE, "this is an emulator: its latencies say nothing", "measure on the device itself.")
    yield _threads(about, area)
    if about.governor is None:
        yield Finding(area, "governor", OK, "the CPU's frequency cannot be seen from here, as in a virtual machine")
    elif not any("governor" in warning for warning in about.warnings):
        yield Finding(area, "governor", OK, about.governor)
    if about.throttled == 0 or about.throttle_events == 0:
        yield Finding(area, "throttling", OK, "it has not been slowed down since it was switched on")
    if about.throttle_events:
        times = f"heat has slowed the processor down {about.throttle_events} times since it was switched on"
        yield Finding(area, "throttling", NOTE, times, "cool it where latencies vary.")
    if about.temperature_c is not None:
        yield Finding(area, "temperature", OK, f"{about.temperature_c:.0f} °C")
    for warning in (w for w in about.warnings if "while it was measured" not in w):  # of what is measured now there is nothing
        found, _, advice = warning.rstrip(".").rpartition(". " if ". " in warning else ": ")
        yield Finding(area, _about_what(warning), NOTE, found or advice, advice if found else "expect times to vary.")


def _threads(about: Provenance, area: str) -> Finding:
    granted = "" if about.cpu_quota is None else f", and its container {about.cpu_quota:g} cores' worth of time"
    cores = "" if about.affinity is None else f" of cores {about.affinity}"
    usable = about.usable_cores or about.cores or 1
    found = f"{usable} at once{cores}{granted}"
    if about.cores is not None and usable < about.cores:
        return Finding(area, "threads", NOTE, f"{found}, of {about.cores} cores in all", "raise the quota for more.")
    return Finding(area, "threads", OK, found)


def _about_what(warning: str) -> str:
    """A name for what the timer warns of."""
    words = {"quota": "quota", "granted": "quota", "governor": "governor", "frequency": "frequency", "slowed": "throttling"}
    return next((name for word, name in words.items() if word in warning), "load")
