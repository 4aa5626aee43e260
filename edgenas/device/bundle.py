"""A device that cannot be reached: what a bundle that went there brings back. `latency.bundle` writes it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np

from edgenas.device.execution import Execution
from edgenas.device.provenance import Provenance
from edgenas.errors import EdgeNASError
from edgenas.progress import Track, quiet
from edgenas.space import SearchSpace
from edgenas.values import Format, Inlined, Length, plain
from edgenas.values.kinds import Elapsed, Hex, Line, Name, Rounds


@dataclass(frozen=True)
class BundleHeader:
    """What a bundle measures. `fingerprint` is the space's."""

    device: Name
    space: Line
    fingerprint: Hex
    execution: Inlined[Execution]
    rounds: Rounds

    def plan(self, jobs: list[str]) -> dict[str, Any]:
        """The content of plan.json, of which result.json has a copy. jobs: the keys of the groups of models."""
        return plain(self) | {"version": FORMAT.version, "jobs": jobs}


@dataclass(frozen=True)
class BundleResult:
    """The content of result.json."""

    header: Inlined[BundleHeader]
    jobs: Annotated[tuple[Hex, ...], Length(1, 10_000)]
    environment: Provenance
    times_ms: dict[Hex, dict[Line, tuple[Elapsed, ...]]]

    def __post_init__(self) -> None:
        if any(len(times) != self.header.rounds for group in self.times_ms.values() for times in group.values()):
            raise ValueError(f"not every model has the times of {self.header.rounds} rounds")
        if self.environment.runtime != self.header.execution.runtime:
            raise ValueError("it was measured in another runtime than it was to be")


FORMAT = Format("result of a bundle", BundleResult, version=2, oldest=2, remedy="Take result.json from the device again.")


@dataclass(frozen=True)
class BundleTarget:
    """The result of a bundle as a `LatencyTarget`: it has timed already what it is asked to time.

    times_ms: by group of models, then by model: milliseconds, one per round.
    """

    header: BundleHeader
    provenance: Provenance
    times_ms: Mapping[str, Mapping[str, Sequence[float]]]

    @classmethod
    def load(cls, path: Path, space: SearchSpace, device: str) -> Self:
        """Raises EdgeNASError when the file is damaged, incomplete, or of another space or device."""
        result = FORMAT.load(path)
        header, jobs = result.header, result.jobs
        done = len(jobs) - len(set(jobs) - set(result.times_ms))
        if header.device != device:
            raise EdgeNASError(f"{path} was measured for {header.device}, not {device}: add `device` {header.device}.")
        if header.fingerprint != space.fingerprint:
            raise EdgeNASError(f"{path} measures another space ({header.space}) than {space.name}, or other sizes of it: "
                               "name the run or the space that the bundle was written for.")  # fmt: skip
        if done < len(jobs):
            raise EdgeNASError(
                f"{path} is incomplete, {done} of {len(jobs)} parts: run measure.py on the device again, it goes on from there."
            )
        return cls(header, result.environment, result.times_ms)

    def environment(self, runtime: str) -> Provenance:
        return self.provenance

    def time(
        self, models: Mapping[str, bytes], execution: Execution, *, rounds: int = 8, track: Track = quiet
    ) -> dict[str, list[float]]:
        times = self.times_ms.get(job_key(models), {})
        if set(times) != set(models):
            raise EdgeNASError("The bundle was written by another version of EdgeNAS: write it again and measure again.")
        return {name: list(times[name]) for name in models}

    def run(self, model: bytes, images: np.ndarray, execution: Execution) -> np.ndarray:
        raise EdgeNASError("A bundle holds times alone: reach the device over ssh to run a model there.")


def job_key(names: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:12]
