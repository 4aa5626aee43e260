"""Where models are timed and run: behind one protocol, each target a way to reach a device."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edgenas.device import device_sustain, device_timer
from edgenas.device.benchmark_model import OperatorTime
from edgenas.device.execution import Execution
from edgenas.device.provenance import Provenance
from edgenas.device.remote_shell import ended_because
from edgenas.device.runtimes import PYTHON, get_runtime
from edgenas.device.sustained import Sustained
from edgenas.errors import EdgeNASError
from edgenas.files import scratch
from edgenas.progress import Track, quiet, ticking
from edgenas.values import cores_of, decoded_json, read, read_text
from edgenas.values.kinds import Count, Elapsed, Line, Text

_SUSTAIN = Path(device_sustain.__file__)
_RUN = {"run": [{"model": "model", "inputs": "inputs.npy", "outputs": "outputs.npy"}]}
"""What a job says that runs its model on its images."""


class LatencyTarget(Protocol):
    """A device with a runtime. All three raise EdgeNASError when the device or the runtime cannot be used."""

    def environment(self, runtime: str) -> Provenance:
        """Of what is measured there."""
        ...

    def time(
        self, models: Mapping[str, bytes], execution: Execution, *, rounds: int = 8, track: Track = quiet
    ) -> dict[str, list[float]]:
        """Milliseconds of each model, the least of each of `rounds` interleaved rounds.

        All models are open at once.
        """
        ...

    def run(self, model: bytes, images: np.ndarray, execution: Execution) -> np.ndarray:
        """The model's outputs for `(n, ...)` images, each run alone, in the layout that the file takes: `(n, ...)`."""
        ...


class TrialTarget(LatencyTarget, Protocol):
    """One that files can be verified on. Both raise EdgeNASError as the others do."""

    def examine(self, model: bytes, images: np.ndarray, empty: bytes, execution: Execution) -> Examined:
        """What `run` does, and what else the device tells of the model. empty: one that does nothing, of the same format."""
        ...

    def sustain(self, model: bytes, execution: Execution, seconds: float, track: Track = quiet) -> Sustained:
        """A model run without a pause for so long."""
        ...


@dataclass(frozen=True)
class Answer:
    """The content of a job's result.json, but for its error."""

    environment: Provenance
    times_ms: dict[Line, tuple[Elapsed, ...]] = field(default_factory=dict)
    sustained: Sustained | None = None
    memory_bytes: Count | None = None


@dataclass(frozen=True)
class Examined:
    """outputs: as `LatencyTarget.run` gives them. environment: in which they were computed.

    memory_bytes: by which the process grew at most that opened and ran the model, after an empty one (see
        `device_timer.memory_of`); None where the device does not tell.
    operators: where the time of one inference goes; none where the device has no profiler.
    """

    outputs: np.ndarray
    environment: Provenance
    memory_bytes: int | None
    operators: tuple[OperatorTime, ...] = ()


class JobTarget:
    """A device that is handed a folder with the timer, a job and its files, and hands it back with the result.

    run_folder: makes `python device_timer.py FOLDER` happen on the device; afterwards FOLDER holds result.json.
    """

    def __init__(self, run_folder: Callable[[Path], None]):
        self._run_folder = run_folder

    def environment(self, runtime: str) -> Provenance:
        return self._answer(*_job(Execution(runtime))).environment

    def time(
        self, models: Mapping[str, bytes], execution: Execution, *, rounds: int = 8, track: Track = quiet
    ) -> dict[str, list[float]]:
        job, files = timing_job(models, execution, rounds)
        (answer,) = [self._answer(job, files) for _ in track(range(1), "timing", 1)]
        return {name: list(times) for name, times in answer.times_ms.items()}

    def run(self, model: bytes, images: np.ndarray, execution: Execution) -> np.ndarray:
        job, files = _job(execution)
        with self._done(job | _RUN, files | {"model": model}, images) as (folder, _):
            return _outputs(folder / "outputs.npy", len(images))

    def examine(self, model: bytes, images: np.ndarray, empty: bytes, execution: Execution) -> Examined:
        """What `run` does, and what memory that takes beside an empty model, in one process."""
        job, files = _job(execution)
        memory = {"memory": {"empty": "empty", "model": "model"}}
        with self._done(job | _RUN | memory, files | {"model": model, "empty": empty}, images) as (folder, answer):
            return Examined(_outputs(folder / "outputs.npy", len(images)), answer.environment, answer.memory_bytes)

    def sustain(self, model: bytes, execution: Execution, seconds: float, track: Track = quiet) -> Sustained:
        """A model run without a pause for so long. Where it is interrupted, the device stops, too."""
        job, files = _job(execution)
        task = {"model": "model", "seconds": seconds, "by": _SUSTAIN.name}
        files = files | {"model": model, _SUSTAIN.name: _SUSTAIN.read_bytes()}
        with ticking(track, f"{execution.runtime} without a pause", seconds):
            answer = self._answer(job | {"sustain": task}, files)
        if answer.sustained is None:
            raise EdgeNASError("The device's timer did not say how long the model took.")
        return answer.sustained

    def _answer(self, job: dict[str, Any], files: Mapping[str, bytes]) -> Answer:
        with self._done(job, files) as (_, answer):
            return answer

    @contextmanager
    def _done(
        self, job: dict[str, Any], files: Mapping[str, bytes], images: np.ndarray | None = None
    ) -> Iterator[tuple[Path, Answer]]:
        """Do a job: its folder, until the block ends, and its answer. images: for it to run."""
        with scratch("job") as folder:
            (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
            for file, content in files.items():
                (folder / file).write_bytes(content)
            if images is not None:
                np.save(folder / "inputs.npy", images, allow_pickle=False)
            self._run_folder(folder)
            if not (folder / "result.json").exists():
                raise EdgeNASError("The device's timer ended without a result.")
            yield folder, _answer(folder / "result.json")


def _answer(path: Path) -> Answer:
    """Raises EdgeNASError where the timer failed, and for what it would not write."""
    try:
        data = decoded_json(read_text(path, "answer of the device's timer"))
        if isinstance(data, dict) and "error" in data:
            raise EdgeNASError(f"The device's timer failed: {read(Text, data['error'], 'its error')}.")
        answer: Answer = read(Answer, data)
    except ValueError as error:
        raise EdgeNASError(f"The device's timer gave no sensible answer: {error}") from None
    return answer


def _outputs(path: Path, images: int) -> np.ndarray:
    """The array that a device wrote: `(images, ...)` floats. As many bytes are read as are there, whatever its header says."""
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
            shape, is_fortran, kind = header(file)
            if is_fortran or kind.kind not in "fiu" or shape[:1] != (images,):
                raise ValueError(f"its shape is {shape}, its type {kind}")
            return np.frombuffer(file.read(), kind).reshape(shape)
    except Exception as error:  # a header is a Python literal, whose parsers raise anything
        raise EdgeNASError(f"The device's outputs are no {images} rows of numbers ({error}).") from None


class Stopwatch:
    """A target that also keeps what it timed, by name, and the seconds that took: opening and running, transfer included."""

    def __init__(self, target: LatencyTarget):
        self._target = target
        self.timed: set[str] = set()
        self.seconds = 0.0

    def environment(self, runtime: str) -> Provenance:
        return self._target.environment(runtime)

    def time(
        self, models: Mapping[str, bytes], execution: Execution, *, rounds: int = 8, track: Track = quiet
    ) -> dict[str, list[float]]:
        start = time.monotonic()
        times_ms = self._target.time(models, execution, rounds=rounds, track=track)
        self.seconds += time.monotonic() - start
        self.timed |= set(models)
        return times_ms

    def run(self, model: bytes, images: np.ndarray, execution: Execution) -> np.ndarray:
        return self._target.run(model, images, execution)


def timing_job(models: Mapping[str, bytes], execution: Execution, rounds: int) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The content of job.json, and the other files of its folder by name; see `device_timer`.

    Raises UsageError for a runtime that no Python has.
    """
    job, files = _job(execution)
    # Names such as block keys are no safe file names everywhere, so files are numbered.
    numbered = {f"{number}.model": model for number, model in enumerate(models.values())}
    return job | {"rounds": rounds, "models": dict(zip(models, numbered, strict=True))}, files | numbered


def _job(execution: Execution) -> tuple[dict[str, Any], dict[str, bytes]]:
    """What every job has."""
    runtime = get_runtime(execution.runtime, PYTHON)
    cores = {} if execution.cores is None else {"cores": cores_of(execution.cores)}
    return {"runtime": runtime.for_timer(), "threads": execution.threads, **cores}, runtime.files


def _timed(python: Path | str, folder: Path) -> tuple[int, bytes]:
    """Run the timer: its status, and what it printed of errors. It ends when its standard input does, so that of a process that
    is killed nothing goes on, and disturbs what is timed next."""
    command = [str(python), device_timer.__file__, str(folder), device_timer.WITH_HOST]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:  # fmt: skip
        assert process.stderr is not None
        errors = process.stderr.read()
    return process.returncode, errors


def python_target(python: Path | str = sys.executable) -> JobTarget:
    """This machine through another Python, such as one that has tflite-runtime."""

    def run_folder(folder: Path) -> None:
        try:
            status, errors = _timed(python, folder)
        except OSError as error:
            raise EdgeNASError(f"{python} cannot be run: {error.strerror}.") from error
        if not (folder / "result.json").exists():
            why = ended_because(status if status >= 0 else 128 - status, errors)
            raise EdgeNASError(f"The timer in {python} ended without a result: {why}.")

    return JobTarget(run_folder)
