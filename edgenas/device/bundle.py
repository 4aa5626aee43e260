"""A device that cannot be reached: what a bundle that went there brings back. `latency.bundle` writes it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from edgenas.device.execution import Execution
from edgenas.device.provenance import Provenance
from edgenas.errors import EdgeNASError
from edgenas.files import read_json
from edgenas.progress import Track, quiet
from edgenas.space import SearchSpace

VERSION = 2


@dataclass(frozen=True)
class BundleHeader:
    """What a bundle measures. `fingerprint` is the space's."""

    device: str
    space: str
    fingerprint: str
    execution: Execution
    rounds: int
    version: int = VERSION

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Raises KeyError or TypeError where the data has another form."""
        return cls(execution=Execution.pop_from(data), **data)

    def to_json(self) -> dict[str, Any]:
        data = asdict(self)
        return data | data.pop("execution")


@dataclass(frozen=True)
class BundleTarget:
    """The result of a bundle as a `LatencyTarget`: it has timed already what it is asked to time.

    times_ms: by group of models, then by model: milliseconds, one per round.
    """

    header: BundleHeader
    provenance: Provenance
    times_ms: Mapping[str, Mapping[str, list[float]]]

    @classmethod
    def load(cls, path: Path, space: SearchSpace, device: str) -> Self:
        """Raises EdgeNASError when the file is damaged, incomplete, or of another space or device."""
        data = read_json(path, "result of a bundle")
        try:
            jobs, times_ms = data.pop("jobs"), data.pop("times_ms")
            provenance = Provenance.from_json(data.pop("environment"))
            header = BundleHeader.from_json(data)
            done = len(jobs) - len(set(jobs) - set(times_ms))
            good = all(_are_times(times, header.rounds) for group in times_ms.values() for times in group.values())
            if header.version != VERSION or not good or provenance.runtime != header.execution.runtime:
                raise ValueError("its version is unknown, or its times are not positive numbers")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise EdgeNASError(
                f"{path} is no result of a bundle, or damaged ({error}): take result.json from the device again."
            ) from error
        if header.device != device:
            raise EdgeNASError(f"{path} was measured for {header.device}, not {device}: add `device` {header.device}.")
        if header.fingerprint != space.fingerprint:
            raise EdgeNASError(f"{path} measures another space ({header.space}) than {space.name}, or other sizes of it: "
                               "name the run or the space that the bundle was written for.")  # fmt: skip
        if done < len(jobs):
            raise EdgeNASError(
                f"{path} is incomplete, {done} of {len(jobs)} parts: run measure.py on the device again, it goes on from there."
            )
        return cls(header, provenance, times_ms)

    def environment(self, runtime: str) -> Provenance:
        return self.provenance

    def time(
        self, models: Mapping[str, bytes], execution: Execution, *, rounds: int = 8, track: Track = quiet
    ) -> dict[str, list[float]]:
        times = self.times_ms.get(job_key(models), {})
        if set(times) != set(models):
            raise EdgeNASError("The bundle was written by another version of EdgeNAS: write it again and measure again.")
        return {name: times[name] for name in models}

    def run(self, model: bytes, images: np.ndarray, execution: Execution) -> np.ndarray:
        raise EdgeNASError("A bundle holds times alone: reach the device over ssh to run a model there.")


def job_key(names: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:12]


def _are_times(values: Any, rounds: int) -> bool:
    numbers = isinstance(values, list) and all(isinstance(ms, float) and math.isfinite(ms) and ms > 0 for ms in values)
    return numbers and len(values) == rounds
