"""`verify`: every exported file in its runtime, on test images and on the clock."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch

from edgenas.data import Dataset, Decoder
from edgenas.device import Execution, OperatorTime, Sustained, TrialTarget, device_timer, get_runtime, python_target
from edgenas.device.runtimes import PYTHON, runtimes_of
from edgenas.errors import CheckpointError, EdgeNASError
from edgenas.export.model import ExportedModel, ModelFile, Preprocessing
from edgenas.export.parity import Parity
from edgenas.export.reference import Reference, References, as_input, as_scores, of_whole_pixels
from edgenas.files import now
from edgenas.graph import PLAIN, Ends
from edgenas.latency import Bench, LatencyTable
from edgenas.latency.bench import LEAST_ROUNDS, ROUNDS
from edgenas.metric import ACCURACY, Metric, Score, Tally
from edgenas.progress import Track, quiet
from edgenas.space import SearchSpace
from edgenas.training import OnnxClassifier, as_seen
from edgenas.training.evaluation import BATCH
from edgenas.values import Format, Inlined, Length
from edgenas.values.kinds import Count, Images, Line, Milliseconds, Name, Positive, Share

VERIFIED = "verify.json"


@dataclass(frozen=True)
class Verification:
    """One file in one runtime, on the machine of this fingerprint, as its target tells it.

    device: the profile's name of a device that was reached over the network; empty for the machine that EdgeNAS runs on.
    emulated: the device was an emulator. What it computes counts, what it takes does not.

    parity: with what the file must compute, see `reference`: the torch network, in int8 a simulation. None of a file that came
        without one.
    torch_accuracy, simulated_accuracy, accuracy: top-1 on the test images, in 0..1, of the torch network, of the simulation of
        a file in int8, and of the file.
    float_agreement: share of the test images for which the file says the same as the torch network.
    confusion: `(classes, classes)`: how many test images of each class (row) the file takes for each class (column).
    execution, latency_ms: of one image on this machine, in the statistic of `Bench`, at the speed that the machine had when its
        table was measured.
    sustained: the file run without a pause, where that was asked for.
    predicted_ms: by the latency table of this execution on this machine, with its 90 % interval; None without a table.
    memory_bytes: by which a process grows at most that opens and runs the file (see `device_timer.memory_of`); None where the
        system does not tell, or is emulated.
    operators: where the time of one inference goes, the longest first, by the device's profiler, which takes time itself; none
        where it has none.
    slowdown: how much slower the machine was during verification; 1 without a table.
    """

    file: Name
    execution: Inlined[Execution]
    runtime_version: Line | None
    fingerprint: Line | None
    parity: Parity | None
    torch_accuracy: Share | None
    accuracy: Share
    confusion: Annotated[list[list[Count]], Length(2, 100_000)]
    images: Images
    latency_ms: Milliseconds
    predicted_ms: Milliseconds | None
    predicted_low_ms: Milliseconds | None
    predicted_high_ms: Milliseconds | None
    slowdown: Positive
    file_bytes: Count
    device: Name | Literal[""] = ""
    emulated: bool = False
    simulated_accuracy: Share | None = None
    float_agreement: Share | None = None
    sustained: Sustained | None = None
    memory_bytes: Count | None = None
    operators: Annotated[tuple[OperatorTime, ...], Length(0, 10_000)] = ()

    def __post_init__(self) -> None:
        """Raises ValueError for a confusion that cannot be."""
        if any(len(row) != len(self.confusion) for row in self.confusion):
            raise ValueError("its confusion is no square")

    @property
    def tally(self) -> Tally:
        return Tally.of(np.array(self.confusion))

    def score(self, metric: Metric) -> Score:
        """Of the file on the test images; its accuracy where these have none of the class that the metric is of."""
        found = metric.score(self.tally) or ACCURACY.score(self.tally)
        assert found is not None
        return found

    @property
    def operator_shares(self) -> tuple[tuple[OperatorTime, float], ...]:
        """Each with its part of them all."""
        total_ms = sum(time.total_ms for time in self.operators)
        return tuple((time, time.total_ms / total_ms) for time in self.operators if total_ms)

    @property
    def passed(self) -> bool:
        return self.parity is None or self.parity.holds


@dataclass(frozen=True)
class _Kept:
    """The content of verify.json."""

    date: Line
    results: Annotated[list[Verification], Length(1, 10_000)]


FORMAT = Format("verification", _Kept, remedy="Verify again.")


@dataclass(frozen=True)
class Testbed:
    """Where files are verified: how they are executed there, and what reaches it. device: see `Verification`."""

    execution: Execution
    target: TrialTarget
    device: str = ""

    @property
    def runtime(self) -> str:
        """Its name, and its version where that can be found out."""
        name = self.execution.runtime
        try:
            return f"{name} {self.target.environment(name).runtime_version or ''}".strip()
        except EdgeNASError:
            return name

    def takes(self, file: ModelFile) -> bool:
        return (file.format, file.precision) == (get_runtime(self.execution.runtime).format, self.execution.precision)


def testbeds_here(files: Sequence[ModelFile], threads: int = 1, runtimes: Collection[str] = ()) -> list[Testbed]:
    """Everything on this machine that executes one of these files, with so many threads as far as there are cores.

    runtimes: these alone; all that are installed unless told otherwise. Raises UsageError for an unknown one, and EdgeNASError
    for one that is not installed, and where none opens any of the files.

    Each runs in a process of its own, as it will on a device: beside torch, in memory that training has left scattered,
    networks were up to 10 % slower.
    """
    _require_here(runtimes, files)
    threads = min(threads, device_timer.most_threads(device_timer.cpu_quota()))
    return [
        Testbed(Execution(runtime.name, threads, precision), python_target(python))
        for kind, precisions in _precisions(files).items()
        for runtime, python in runtimes_of(kind)
        if not runtimes or runtime.name in runtimes
        for precision in precisions
        if precision in runtime.precisions
    ]


def _require_here(runtimes: Collection[str], files: Sequence[ModelFile]) -> None:
    wanted = [get_runtime(name, PYTHON) for name in runtimes]
    for runtime in wanted:
        if runtime.python is None:
            raise EdgeNASError(f"{runtime.name} is not installed", runtime.how_to_install)
    if wanted and not any(file.format == runtime.format for file in files for runtime in wanted):
        opened = " and ".join(f"`format` {name}" for name in dict.fromkeys(runtime.format for runtime in wanted))
        raise EdgeNASError(f"{files[0].path.parent} holds nothing that {' or '.join(runtimes)} opens: export it again, with "
                           f"{opened}.")  # fmt: skip


def _precisions(files: Sequence[ModelFile]) -> dict[str, set[str]]:
    """By format, those of these files."""
    return {kind: {file.precision for file in files if file.format == kind} for kind in dict.fromkeys(f.format for f in files)}


def verify(
    model: ExportedModel, space: SearchSpace, dataset: Dataset, tables: Sequence[LatencyTable] = (), track: Track = quiet,
    *, testbeds: Sequence[Testbed] | None = None, runtimes: Collection[str] = (), images: int | None = None,
    sustained_s: float | None = None,
) -> list[Verification]:  # fmt: skip
    """Run a model's files on test images and on the timer, and keep the result beside them: verify.json, or verify-DEVICE.json.

    tables: timed latencies: of this machine's, the speed that it had then is what latencies are stated for, and where its
        blocks cover the space, they predict. Those of other machines are left aside.
    testbeds: where; this machine unless told otherwise, in all runtimes that are installed, or in `runtimes`.
    images: so many of the test set, evenly spread; None: all. sustained_s: also run each file without a pause for so long.

    A file whose outputs are not what they must be wherever it was tried is renamed to <file>.rejected, so that nobody ships it.
    Raises EdgeNASError when there is no file for these testbeds, and, with all others verified and kept, when one of several
    cannot compute a file.
    """
    files = model.variants
    if testbeds is None:
        testbeds = testbeds_here(files, model.budgets[0].execution.threads if model.budgets else 1, runtimes)
    pairs = [(file, testbed) for file in files for testbed in testbeds if testbed.takes(file)]
    if not pairs:
        raise EdgeNASError(f"{model.folder} holds no model file that can run there: export it again.")
    if sorted(model.classes) != sorted(dataset.classes):
        raise CheckpointError(f"{model.folder / 'model.json'} names other classes than the images have: export it again.")
    # As a user runs it: prepared as model.json says, each output the class that it names. What is expected is the run's own.
    trial = _Trial.of(dataset, model.preprocessing, images, model.ends, track)
    trial = replace(
        trial,
        order=np.array([model.classes.index(name) for name in dataset.classes]),
        references=_references(model, space, dataset, images, trial, track),
    )
    for file, _ in pairs:
        trial.expected(file.precision)  # what cannot be judged anywhere is refused before anything runs

    def predict(table: LatencyTable) -> tuple[float, float, float] | None:
        if not table.covers(space):
            return None
        predicted_ms = table.predict_one(space, model.architecture)
        low, high = map(float, table.interval(space, predicted_ms))
        return predicted_ms, low, high

    results, failures = [], []
    for file, testbed in track(pairs, f"Verifying {model.architecture.id}", len(pairs)):
        try:
            results.append(_verify_file(file.path.name, file.content, testbed, trial, tables, predict, sustained_s,
                                         track))  # fmt: skip
        except EdgeNASError as error:
            if len(testbeds) == 1:
                raise
            failures.append(f"{testbed.runtime} cannot compute {file.path}. {error}")
    _reject(files, results)
    if results:
        _save(model.folder, results)
    if failures:
        others = [f"`runtime` {name}" for name in dict.fromkeys(result.execution.runtime for result in results)]
        raise EdgeNASError(" ".join(failures), f"verify without it: add {' and '.join(others)}." if others else "")
    return results


def _reject(files: Sequence[ModelFile], results: Sequence[Verification]) -> None:
    """Rename what was right nowhere."""
    right, wrong = ({result.file for result in results if result.passed == kind} for kind in (True, False))
    for path in [path for file in files if file.path.name in wrong - right for path in file.paths]:
        path.rename(path.with_name(f"{path.name}.rejected"))


def verify_classifier(
    file: OnnxClassifier, folder: Path, dataset: Dataset, tables: Sequence[LatencyTable] = (), track: Track = quiet
) -> list[Verification]:
    """Run an ONNX file that came without a torch network on the test images and on the timer, and keep that in `folder`.

    tables: as for `verify`; a space to predict from is not known.
    """
    resolution = file.resolution or dataset.size
    content = file.for_one_image(resolution)
    trial = _Trial.of(dataset, Preprocessing(resolution, file.mean, file.std, file.fit, file.value_range), track=track)
    testbeds = testbeds_here([ModelFile(file.path, "onnx")])
    results = [
        _verify_file(file.path.name, content, testbed, trial, tables, lambda table: None)
        for testbed in track(testbeds, f"Verifying {file.path.name}", len(testbeds))
    ]
    _save(folder, results)
    return results


def load_verifications(folder: Path, classes: int | None = None) -> list[Verification]:
    """What the last verifications measured, here and on devices, as kept in a model's folder; nothing when there was none.

    classes: that the model tells apart. Raises CheckpointError where a file is damaged, or of a model with others.
    """
    paths = [*folder.glob(VERIFIED), *sorted(folder.glob("verify-*.json"))]
    results = [result for path in paths for result in FORMAT.load(path).results]
    if any(len(result.confusion) != (classes or len(result.confusion)) for result in results):
        raise CheckpointError(f"What {folder} was verified with has other classes than the model. {FORMAT.remedy}")
    return results


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """`(n,)` true and predicted classes -> `(classes, classes)` counts: true in the row, predicted in the column."""
    known = predicted < classes  # a wrong file may have more outputs
    pairs = labels[known] * classes + predicted[known]
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


@dataclass(frozen=True)
class _Trial:
    """`(n, 3, r, r)` images as a device sees them, `(n,)` labels, and what a model's files must compute.

    order: of a file's outputs, those of the data set's classes one after the other; None where they are in this order.
    ends: of these files. references: None where it is not known what they must compute.
    """

    images: torch.Tensor
    labels: np.ndarray
    classes: int
    references: References | None = None
    order: np.ndarray | None = None
    ends: Ends = PLAIN

    def expected(self, precision: str) -> Reference | None:
        return None if self.references is None else self.references.of(precision)

    @classmethod
    def of(
        cls, dataset: Dataset, how: Preprocessing, count: int | None = None, ends: Ends = PLAIN, track: Track = quiet
    ) -> _Trial:
        """From the test images' files, as a user prepares them."""
        test = dataset.test_from_files(Decoder(how.resolution, how.fit, how.value_range))
        dataset = replace(dataset, mean=how.mean, std=how.std)
        chosen = np.linspace(0, len(test) - 1, min(count or len(test), len(test))).astype(int)
        seen = as_seen(dataset, test, how.resolution, chosen)
        batches = list(track(seen, "Preparing the test images", -(-len(chosen) // BATCH)))
        images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
        if how.input == "uint8":
            images = of_whole_pixels(images, how.mean, how.std)
        return cls(images, labels.numpy(), len(dataset.classes), ends=ends)


def _references(
    model: ExportedModel, space: SearchSpace, dataset: Dataset, count: int | None, trial: _Trial, track: Track
) -> References:
    """For images prepared as those that the network was trained on: those of the trial, unless model.json says otherwise."""
    network, taken = model.network(space), model.preprocessing.input
    how = Preprocessing(network.resolution, dataset.mean, dataset.std, dataset.fit, dataset.value_range, taken)
    seen = trial if how == model.preprocessing else _Trial.of(dataset, how, count, track=track)
    return References(network, seen.images, model.calibration, model.ends, model.network(space, "int8"), track)


def _verify_file(
    name: str, content: bytes, testbed: Testbed, trial: _Trial, tables: Sequence[LatencyTable],
    predict: Callable[[LatencyTable], tuple[float, float, float] | None], sustained_s: float | None = None,
    track: Track = quiet,
) -> Verification:  # fmt: skip
    execution, form = testbed.execution, get_runtime(testbed.execution.runtime).model_format
    expected = trial.expected(execution.precision)
    quantisation = expected.quantisation if expected else None
    images = as_input(trial.images, form.name, quantisation, trial.ends)
    seen = testbed.target.examine(content, images, form.empty(), execution)
    environment, emulated = seen.environment, seen.environment.emulated
    outputs = as_scores(seen.outputs, quantisation, trial.ends)
    if trial.order is not None and outputs.shape[1:] == trial.order.shape:
        outputs = outputs[:, trial.order]

    def is_of_that_machine(table: LatencyTable) -> bool:
        about = table.provenance
        return (table.execution, about.fingerprint, about.emulated) == (execution, environment.fingerprint, emulated)

    own = sorted(filter(is_of_that_machine, tables), key=lambda table: predict(table) is None)
    # What an emulator takes says nothing, so little of it is enough.
    rounds = LEAST_ROUNDS if emulated else ROUNDS
    bench = Bench(testbed.target, execution, rounds, reference_ms=own[0].reference_ms if own else None)
    latency_ms = bench.measure({"model": content})["model"].latency_ms
    predicted_ms, low_ms, high_ms = (own and predict(own[0])) or (None, None, None)
    labels, classes = trial.labels, outputs.argmax(1)
    return Verification(
        file=name,
        execution=execution,
        runtime_version=environment.runtime_version,
        fingerprint=environment.fingerprint,
        parity=None if expected is None else expected.compare(outputs),
        torch_accuracy=None if expected is None else float((expected.floats.argmax(1) == labels).mean()),
        accuracy=float((classes == labels).mean()),
        confusion=confusion_matrix(labels, classes, trial.classes).tolist(),
        images=len(labels),
        latency_ms=latency_ms,
        predicted_ms=predicted_ms,
        predicted_low_ms=low_ms,
        predicted_high_ms=high_ms,
        slowdown=bench.slowdown,
        file_bytes=len(content),
        device=testbed.device,
        emulated=emulated,
        simulated_accuracy=float((expected.scores.argmax(1) == labels).mean()) if expected and quantisation else None,
        float_agreement=None if expected is None else float((classes == expected.floats.argmax(1)).mean()),
        sustained=testbed.target.sustain(content, execution, sustained_s, track) if sustained_s else None,
        memory_bytes=None if emulated else seen.memory_bytes,
        operators=seen.operators,
    )


def _save(folder: Path, results: Sequence[Verification]) -> None:
    """What the same device has shown in other executions stays: they are verified one by one."""
    device, fresh = results[0].device, {result.execution for result in results}
    path = folder / (f"verify-{device}.json" if device else VERIFIED)
    kept = [v for v in load_verifications(folder) if v.device == device and v.execution not in fresh] if device else []
    FORMAT.save(path, _Kept(now(), [*kept, *results]))
