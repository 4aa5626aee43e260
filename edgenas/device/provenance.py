"""`Provenance`: where a measured or estimated number comes from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Self


@dataclass(frozen=True)
class Provenance:
    """What numbers depend on. What is not known, or does not apply, is None and is not written.

    runtime_version: of a browser also the browser's, which compiles what runs. execution_providers: what computes in it.
    fingerprint: names the machine: processor, number of cores and architecture. clock: what it was timed with.
    emulated: the times are an emulator's, or a software GPU's. statistic: what became of the times of single runs.
    method, source: how an estimate came about, or what is wrong with a time.
    adapter, system, isolated, user_agent: what a browser tells.
    """

    runtime: str | None = None
    runtime_version: str | None = None
    execution_providers: tuple[str, ...] | None = None
    machine: str | None = None
    cpu: str | None = None
    cores: int | None = None
    fingerprint: str | None = None
    governor: str | None = None
    temperature_c: float | None = None
    load_average: float | None = None
    python: str | None = None
    clock: str | None = None
    date: str | None = None
    emulated: bool = False
    threads: int | None = None
    statistic: str | None = None
    method: str | None = None
    source: str | None = None
    adapter: dict[str, Any] | None = field(default=None, hash=False)
    system: str | None = None
    isolated: bool | None = None
    user_agent: str | None = None

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Raises TypeError for what is no provenance."""
        provenance = cls(**data)
        if provenance.execution_providers is None:
            return provenance
        return cls(**data | {"execution_providers": tuple(data["execution_providers"])})

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}
