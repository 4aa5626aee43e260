"""A device that cannot be reached: a zip file goes there, one JSON file comes back."""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Self

import numpy as np

from edgenas.errors import EdgeNASError
from edgenas.files import read_json, replacing
from edgenas.latency import device_measure, device_timer
from edgenas.latency.bench import ROUNDS, Bench, block_chains, network_chains
from edgenas.latency.profile import planned_networks
from edgenas.latency.runtimes import require_python_runtime
from edgenas.latency.targets import timing_job
from edgenas.progress import Track, quiet
from edgenas.space import BlockSpec, SearchSpace

VERSION = 2


@dataclass(frozen=True)
class BundleHeader:
    """What a bundle measures. `fingerprint` is the space's."""

    device: str
    space: str
    fingerprint: str
    runtime: str
    threads: int
    precision: str
    rounds: int
    version: int = VERSION


def write_bundle(
    path: Path,
    space: SearchSpace,
    device: str,
    *,
    runtime: str,
    threads: int,
    precision: str = "fp32",
    rounds: int = ROUNDS,
    track: Track = quiet,
) -> None:
    """A zip file with everything that `profile` would time on a device, and the script that times it there.

    `python measure.py` in the unpacked folder writes result.json, which `BundleTarget` reads.
    """
    require_python_runtime(runtime)
    header = BundleHeader(device, space.name, space.fingerprint, runtime, threads, precision, rounds)
    bench = Bench(BundleTarget(header, {}, {}), runtime, threads, rounds, precision)
    keys = []
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as bundle:
        for models in chain.from_iterable(map(bench.groups, _chains(space, track))):
            job, files = timing_job(models, runtime, threads, rounds)
            keys.append(_job_key(models))
            bundle.writestr(f"{keys[-1]}/job.json", json.dumps(job))
            for name, content in files.items():
                bundle.writestr(f"{keys[-1]}/{name}", content)
        bundle.writestr("plan.json", json.dumps(asdict(header) | {"jobs": keys}))
        bundle.write(device_timer.__file__, "device_timer.py")
        bundle.write(device_measure.__file__, "measure.py")


def _chains(space: SearchSpace, track: Track) -> Iterator[Iterable[tuple[str, tuple[BlockSpec, ...]]]]:
    """What is timed together, and after what, as in `profile`."""
    blocks, sessions = block_chains(space.distinct_blocks), planned_networks(space)
    yield track(blocks, "writing blocks", len(blocks))
    for genomes in track(sessions, "writing whole networks", len(sessions)):
        yield network_chains(space, genomes)


@dataclass(frozen=True)
class BundleTarget:
    """The result of a bundle as a `LatencyTarget`: it has timed already what it is asked to time.

    times_ms: by group of models, then by model: milliseconds, one per round.
    """

    header: BundleHeader
    provenance: Mapping[str, Any]
    times_ms: Mapping[str, Mapping[str, list[float]]]

    @classmethod
    def load(cls, path: Path, space: SearchSpace, device: str) -> Self:
        """Raises EdgeNASError when the file is damaged, incomplete, or of another space or device."""
        data = read_json(path, "result of a bundle")
        try:
            jobs, provenance, times_ms = data.pop("jobs"), data.pop("environment"), data.pop("times_ms")
            header = BundleHeader(**data)
            done = len(jobs) - len(set(jobs) - set(times_ms))
            good = all(_are_times(times, header.rounds) for group in times_ms.values() for times in group.values())
            if header.version != VERSION or not good or provenance["runtime"] != header.runtime:
                raise ValueError("unknown version, or times that are none")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise EdgeNASError(
                f"{path} is no result of a bundle, or damaged ({error}): take result.json from the device again."
            ) from error
        if header.device != device:
            raise EdgeNASError(f"{path} was measured for {header.device}, not {device}: add --device {header.device}.")
        if header.fingerprint != space.fingerprint:
            raise EdgeNASError(f"{path} measures another space ({header.space}) than {space.name}, or other sizes of it: "
                               "name the run or the space that the bundle was written for.")  # fmt: skip
        if done < len(jobs):
            raise EdgeNASError(
                f"{path} is incomplete, {done} of {len(jobs)} parts: run measure.py on the device again, it goes on from there."
            )
        return cls(header, provenance, times_ms)

    def environment(self, runtime: str) -> dict[str, Any]:
        return dict(self.provenance)

    def time(
        self, models: Mapping[str, bytes], *, runtime: str, threads: int = 1, rounds: int = 8, track: Track = quiet
    ) -> dict[str, list[float]]:
        times = self.times_ms.get(_job_key(models), {})
        if set(times) != set(models):
            raise EdgeNASError("The bundle was written by another version of EdgeNAS: write it again and measure again.")
        return {name: times[name] for name in models}

    def run(self, model: bytes, images: np.ndarray, *, runtime: str, threads: int = 1) -> np.ndarray:
        raise EdgeNASError("A bundle holds times alone: reach the device over ssh to run a model there.")


def _job_key(names: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:12]


def _are_times(values: Any, rounds: int) -> bool:
    numbers = isinstance(values, list) and all(isinstance(ms, float) and math.isfinite(ms) and ms > 0 for ms in values)
    return numbers and len(values) == rounds
