"""For a device that cannot be reached: a zip file with all that `profile` would time there; `BundleTarget` reads its result."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from edgenas.device import Execution, Provenance, device_measure, device_timer
from edgenas.device.bundle import BundleHeader, BundleTarget, job_key
from edgenas.device.runtimes import PYTHON, get_runtime
from edgenas.device.targets import timing_job
from edgenas.files import replacing
from edgenas.latency.bench import ROUNDS, Bench, block_chains, network_chains
from edgenas.latency.profile import schedule
from edgenas.progress import Track, quiet
from edgenas.space import BlockSpec, SearchSpace


def write_bundle(
    path: Path,
    space: SearchSpace,
    device: str,
    execution: Execution,
    *,
    rounds: int = ROUNDS,
    track: Track = quiet,
) -> None:
    """A zip file with everything that `profile` would time on a device, and the script that times it there.

    `python measure.py` in the unpacked folder writes result.json, which `BundleTarget` reads. Raises UsageError for a
    runtime that no Python has.
    """
    get_runtime(execution.runtime, PYTHON)
    header = BundleHeader(device, space.name, space.fingerprint, execution, rounds)
    bench = Bench(BundleTarget(header, Provenance(), {}), execution, rounds)
    keys = []
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as bundle:
        for models in chain.from_iterable(map(bench.groups, _chains(space, track))):
            job, files = timing_job(models, execution, rounds)
            keys.append(job_key(models))
            bundle.writestr(f"{keys[-1]}/job.json", json.dumps(job))
            for name, content in files.items():
                bundle.writestr(f"{keys[-1]}/{name}", content)
        bundle.writestr("plan.json", json.dumps(header.plan(keys)))
        bundle.write(device_timer.__file__, "device_timer.py")
        bundle.write(device_measure.__file__, "measure.py")


def _chains(space: SearchSpace, track: Track) -> Iterator[Iterable[tuple[str, tuple[BlockSpec, ...]]]]:
    """What is timed together, and after what, as in `profile`."""
    parts = schedule(space, space.distinct_blocks)
    for part in track(parts, "writing blocks and whole networks", len(parts)):
        yield network_chains(space, part) if isinstance(part, np.ndarray) else block_chains(part)
