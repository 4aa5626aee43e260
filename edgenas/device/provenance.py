"""`Provenance`: where a measured or estimated number comes from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

from edgenas.values import Length, Within
from edgenas.values.kinds import Line, Text, Threads

Cores = Annotated[int, Within(1, 10_000)]


@dataclass(frozen=True)
class Provenance:
    """What numbers depend on. What is not known, or does not apply, is None and is not written.

    runtime_version: of a browser also the browser's, which compiles what runs. execution_providers: what computes in it.
    fingerprint: names the machine: processor, number of cores and architecture. clock: what it was timed with.
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
    governor: Line | None = None
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
