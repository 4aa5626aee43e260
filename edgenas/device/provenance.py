"""`Provenance`: where a measured or estimated number comes from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any

from edgenas.device.execution import Execution
from edgenas.errors import UsageError
from edgenas.values import Length, Within, cores_of
from edgenas.values.kinds import Count, Line, Text, Threads
from edgenas.values.rules import MOST_CORES

Cores = Annotated[int, Within(1, 10_000)]

SLOW_GOVERNORS = "powersave", "ondemand", "conservative"
"""Of a processor's frequency: it follows the load, and late; the first keeps it low on ARM."""

THROTTLED = {0: "too low a voltage", 1: "a limited frequency", 2: "throttling", 3: "heat"}
"""Bits of a Raspberry Pi's flags, as its documentation of `vcgencmd get_throttled` has them: now, and 16 higher since it was
switched on."""


@dataclass(frozen=True)
class Provenance:
    """What numbers depend on. What is not known, or does not apply, is None and is not written.

    runtime_version: of a browser also the browser's, which compiles what runs. execution_providers: what computes in it.
    fingerprint: names the machine: processor, number of cores and architecture. clock: what it was timed with.
    affinity: the cores that the process may use. cpu_quota: how many cores' worth of time its container is granted.
    usable_cores: how many threads can run at once by both. governor: of the frequencies of these cores; frequency_limit: the
    least share of its highest frequency that one of them may have just now. throttled: a Raspberry Pi's flags.
    throttle_events: how often an x86 processor was slowed down by heat: while measuring, in a table's provenance.
    emulated: the times are an emulator's, or a software GPU's. statistic: what became of the times of single runs.
    method, source: how an estimate came about, or what is wrong with a time.
    adapter, system, isolated, user_agent: what a browser tells.
    """

    runtime: Line | None = None
    runtime_version: Line | None = None
    execution_providers: Annotated[tuple[Line, ...], Length(0, 100)] | None = None
    machine: Line | None = None
    cpu: Line | None = None
    cores: Cores | None = None
    fingerprint: Line | None = None
    affinity: Line | None = None
    cpu_quota: Annotated[float, Within(0, 10_000, above=True)] | None = None
    usable_cores: Cores | None = None
    governor: Line | None = None
    frequency_limit: Annotated[float, Within(0, 10)] | None = None
    throttled: Annotated[int, Within(0, 2**32)] | None = None
    throttle_events: Count | None = None
    temperature_c: Annotated[float, Within(-300, 1000)] | None = None
    load_average: Annotated[float, Within(0, 1e6)] | None = None
    python: Line | None = None
    clock: Line | None = None
    date: Line | None = None
    emulated: bool = False
    threads: Threads | None = None
    statistic: Line | None = None
    method: Text | None = None
    source: Text | None = None
    adapter: dict[str, Any] | None = field(default=None, hash=False)
    system: Line | None = None
    isolated: bool | None = None
    user_agent: Line | None = None

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}

    def until(self, begun: Provenance, ended: Provenance) -> Provenance:
        """With what heat and a weak supply did in the meantime, by what the same machine said before and after."""
        before, after = begun.throttle_events, ended.throttle_events
        events = None if before is None or after is None else max(0, after - before)
        return replace(self, throttled=ended.throttled, throttle_events=events)

    def on(self, execution: Execution) -> Provenance:
        """Of what is timed so: by its threads, on its cores. Raises UsageError where there are not as many."""
        self.require_cores(execution)
        pinned = self if execution.cores is None else replace(
            self, affinity=execution.cores, usable_cores=min(len(cores_of(execution.cores)), self.usable_cores or MOST_CORES)
        )  # fmt: skip
        return replace(pinned, threads=execution.threads)

    # ---- what may be wrong with it ----

    def require_cores(self, execution: Execution) -> None:
        """Raises UsageError for more threads than can run at once, and for cores that are not there: what an emulator has is no
        matter."""
        if self.emulated:
            return
        if execution.cores is not None and not set(cores_of(execution.cores)) <= set(cores_of(self.affinity or "")):
            there = self.affinity or "none that can be chosen"
            raise UsageError(f"Cores {execution.cores} cannot be used there, but {there}: correct them in its profile.")
        most = self.usable_cores or self.cores
        if most is not None and execution.threads > most:
            raise UsageError(
                f"{execution.threads} threads cannot run at once: {self._granted}. Their times would be those of waiting: "
                f"choose `threads` {most} at most."
            )

    @property
    def _granted(self) -> str:
        quota = "" if self.cpu_quota is None else f" and a quota of {self.cpu_quota:g} cores' worth of time"
        if self.affinity is None:
            return f"there are {self.cores} cores"
        cores = cores_of(self.affinity)
        return f"of {self.cores} cores this program has {len(cores)} ({self.affinity}){quota}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes times uncertain or slow, each as a sentence."""
        said = []
        if self.cpu_quota is not None and self.cpu_quota < (self.threads or 1):
            said.append(f"The container is granted {self.cpu_quota:g} cores' worth of time for {self.threads or 1} thread(s): "
                        "raise its CPU quota.")  # fmt: skip
        if slow := [name for name in SLOW_GOVERNORS if name in (self.governor or "").split(", ")]:
            said.append(
                f"The CPU governor is {slow[0]}: the frequency follows the load. For steady times set it to performance."
            )
        if self.frequency_limit is not None and self.frequency_limit < 0.99:
            said.append(f"The CPU's frequency is limited to {100 * self.frequency_limit:.0f} % of its highest.")
        if flags := self.throttled or 0:
            now = [words for bit, words in THROTTLED.items() if flags >> bit & 1]
            since = [words for bit, words in THROTTLED.items() if flags >> bit + 16 & 1]
            when = f"now by {', '.join(now)}" if now else f"since it was switched on, by {', '.join(since)}"
            said.append(f"The device was slowed down {when}: use a stronger power supply, or cool it.")
        if self.throttle_events:
            said.append(f"Heat slowed the processor down {self.throttle_events} times while it was measured: cool it, or wait.")
        if self.load_average is not None and self.load_average > (self.usable_cores or self.cores or 1):
            said.append(f"Other programs kept the machine busy: its load was {self.load_average:.1f} with "
                        f"{self.usable_cores or self.cores} core(s). End them.")  # fmt: skip
        return tuple(said)
