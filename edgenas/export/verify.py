"""`verify`: every exported file in its runtime, on test images and on the clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgenas.data import Dataset
from edgenas.device import LatencyTarget, python_target, tflite_runtime_python
from edgenas.device.runtimes import FORMATS
from edgenas.errors import EdgeNASError
from edgenas.export.export import in_layout
from edgenas.export.model import ExportedModel, Preprocessing
from edgenas.export.parity import Parity, compare
from edgenas.files import read_json, write_json
from edgenas.latency import Bench, LatencyTable
from edgenas.latency.bench import LEAST_ROUNDS, ROUNDS
from edgenas.progress import Track, quiet
from edgenas.space import SearchSpace
from edgenas.supernet import Network
from edgenas.training import OnnxClassifier, as_seen

VERIFIED = "verify.json"


@dataclass(frozen=True)
class Verification:
    """One file in one runtime, on the machine of this fingerprint.

    device: the profile's name of a device that was reached over the network; empty for the machine that EdgeNAS runs on.
    emulated: the device was an emulator. What it computes counts, what it takes does not.

    parity, torch_accuracy: with and of the torch network; None of a file that came without one.
    torch_accuracy, accuracy: top-1 on the test images, in 0..1, of the torch network and of the file.
    confusion: `(classes, classes)`: how many test images of each class (row) the file takes for each class (column).
    threads, latency_ms: of one image on this machine, in the statistic of `Bench`: with one thread its CPU time, at the speed
        that the machine had when its table was measured.
    predicted_ms: by the latency table of this runtime on this machine, with its 90 % interval; None without a table.
    slowdown: how much slower the machine was during verification; 1 without a table.
    """

    file: str
    runtime: str
    runtime_version: str
    fingerprint: str
    parity: Parity | None
    torch_accuracy: float | None
    accuracy: float
    confusion: list[list[int]]
    images: int
    threads: int
    latency_ms: float
    predicted_ms: float | None
    predicted_low_ms: float | None
    predicted_high_ms: float | None
    slowdown: float
    file_bytes: int
    device: str = ""
    emulated: bool = False

    @property
    def passed(self) -> bool:
        return self.parity is None or self.parity.holds


@dataclass(frozen=True)
class Place:
    """A runtime somewhere. environment: what `open_device` or the target says of it. threads: to time with; None: those of the
    first budget, as far as there are cores. device: see `Verification`."""

    runtime: str
    target: LatencyTarget
    environment: Mapping[str, Any]
    threads: int | None = None
    device: str = ""

    def takes(self, file: Path) -> bool:
        return file.suffix[1:] == FORMATS[self.runtime]


def places_here(files: Sequence[Path]) -> list[Place]:
    """All runtimes of this machine that take one of these files.

    Each runs in a process of its own, as it will on a device: beside torch, in memory that training has left scattered,
    networks were up to 10 % slower.
    """
    targets = {"onnxruntime": python_target(), "litert": python_target()}
    if python := tflite_runtime_python():
        targets["tflite-runtime"] = python_target(python)
    formats = {file.suffix[1:] for file in files}
    return [
        Place(runtime, target, target.environment(runtime))
        for runtime, target in targets.items()
        if FORMATS[runtime] in formats
    ]


def verify(
    model: ExportedModel, space: SearchSpace, dataset: Dataset, tables: Sequence[LatencyTable] = (), track: Track = quiet,
    *, places: Sequence[Place] | None = None, images: int | None = None,
) -> list[Verification]:  # fmt: skip
    """Run a model's files on test images and on the timer, and keep the result beside them: verify.json, or verify-DEVICE.json.

    tables: timed latencies: of this machine's, the speed that it had then is what latencies are stated for, and where its
        blocks cover the space, they predict. Those of other machines are left aside.
    places: where; this machine unless told otherwise. images: so many of the test set, evenly spread; None: all.

    A file whose outputs differ from torch's is renamed to <file>.rejected, so that nobody ships it.
    Raises EdgeNASError when there is no file for these places.
    """
    places = places_here(model.files) if places is None else places
    pairs = [(file, place) for file in model.files for place in places if place.takes(file)]
    if not pairs:
        raise EdgeNASError(f"{model.folder} holds no model file that can run there: export it again.")
    trial = _Trial.of(dataset, model.preprocessing, images).against(model.network(space))
    threads = model.budgets[0]["threads"] if model.budgets else 1

    def predict(table: LatencyTable) -> tuple[float, float, float] | None:
        if not table.covers(space):
            return None
        predicted_ms = table.predict_one(space, model.architecture)
        low, high = map(float, table.interval(space, predicted_ms))
        return predicted_ms, low, high

    results = [
        _verify_file(file.name, file.read_bytes(), place, trial, threads, tables, predict)
        for file, place in track(pairs, f"Verifying {model.architecture.id}", len(pairs))
    ]
    for name in {result.file for result in results if not result.passed}:
        (model.folder / name).rename(model.folder / f"{name}.rejected")
    _save(model.folder, results)
    return results


def verify_classifier(
    file: OnnxClassifier, folder: Path, dataset: Dataset, tables: Sequence[LatencyTable] = (), track: Track = quiet
) -> list[Verification]:
    """Run an ONNX file that came without a torch network on the test images and on the timer, and keep that in `folder`.

    dataset: with images no smaller than the file takes. tables: as for `verify`; a space to predict from is not known.
    """
    resolution = file.resolution or dataset.size
    content = file.for_one_image(resolution)
    trial = _Trial.of(dataset, Preprocessing(resolution, file.mean, file.std))
    places = places_here([file.path])
    results = [
        _verify_file(file.path.name, content, place, trial, 1, tables, lambda table: None)
        for place in track(places, f"Verifying {file.path.name}", len(places))
    ]
    _save(folder, results)
    return results


def load_verifications(folder: Path) -> list[Verification]:
    """What the last verifications measured, here and on devices, as kept in a model's folder; nothing when there was none."""
    results = []
    for path in [*folder.glob(VERIFIED), *sorted(folder.glob("verify-*.json"))]:
        try:
            rows = read_json(path, "verification")["results"]
            results += [Verification(**row | {"parity": row["parity"] and Parity(**row["parity"])}) for row in rows]
        except (KeyError, TypeError) as error:
            raise EdgeNASError(f"{path} is damaged ({error}): verify again.") from None
    return results


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """`(n,)` true and predicted classes -> `(classes, classes)` counts: true in the row, predicted in the column."""
    known = predicted < classes  # a wrong file may have more outputs
    pairs = labels[known] * classes + predicted[known]
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


@dataclass(frozen=True)
class _Trial:
    """`(n, 3, r, r)` images as a device sees them, `(n,)` labels, and the `(n, classes)` logits of the torch network."""

    images: torch.Tensor
    labels: np.ndarray
    classes: int
    expected: np.ndarray | None = None

    @classmethod
    def of(cls, dataset: Dataset, how: Preprocessing, count: int | None = None) -> _Trial:
        test, dataset = dataset.test, replace(dataset, mean=how.mean, std=how.std)
        chosen = np.linspace(0, len(test) - 1, min(count or len(test), len(test))).astype(int)
        batches = list(as_seen(dataset, test, how.resolution, chosen))
        images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
        return cls(images, labels.numpy(), len(dataset.classes))

    @torch.no_grad()
    def against(self, network: Network) -> _Trial:
        return replace(self, expected=torch.cat([network(batch) for batch in self.images.split(128)]).numpy())


def _verify_file(
    name: str, content: bytes, place: Place, trial: _Trial, threads: int, tables: Sequence[LatencyTable],
    predict: Callable[[LatencyTable], tuple[float, float, float] | None],
) -> Verification:  # fmt: skip
    runtime, environment = place.runtime, place.environment
    threads = place.threads or min(threads, environment["cores"])
    emulated = environment["emulated"]
    outputs = place.target.run(content, in_layout(trial.images, FORMATS[runtime]), runtime=runtime)

    def is_of_that_machine(table: LatencyTable) -> bool:
        about = table.provenance
        return (table.runtime, table.threads, table.precision, about.get("fingerprint"), about.get("emulated")) == (
            runtime, threads, "fp32", environment["fingerprint"], emulated,
        )  # fmt: skip

    own = sorted(filter(is_of_that_machine, tables), key=lambda table: predict(table) is None)
    # What an emulator takes says nothing, so little of it is enough.
    rounds = LEAST_ROUNDS if emulated else ROUNDS
    bench = Bench(place.target, runtime, threads, rounds, reference_ms=own[0].reference_ms if own else None)
    latency_ms = bench.measure({"model": content})["model"].latency_ms
    predicted_ms, low_ms, high_ms = (own and predict(own[0])) or (None, None, None)
    expected, labels = trial.expected, trial.labels
    return Verification(
        file=name,
        runtime=runtime,
        runtime_version=environment["runtime_version"],
        fingerprint=environment["fingerprint"],
        parity=None if expected is None else compare(expected, outputs),
        torch_accuracy=None if expected is None else float((expected.argmax(1) == labels).mean()),
        accuracy=float((outputs.argmax(1) == labels).mean()),
        confusion=confusion_matrix(labels, outputs.argmax(1), trial.classes).tolist(),
        images=len(labels),
        threads=threads,
        latency_ms=latency_ms,
        predicted_ms=predicted_ms,
        predicted_low_ms=low_ms,
        predicted_high_ms=high_ms,
        slowdown=bench.slowdown,
        file_bytes=len(content),
        device=place.device,
        emulated=emulated,
    )


def _save(folder: Path, results: Sequence[Verification]) -> None:
    device = results[0].device
    write_json(
        folder / (f"verify-{device}.json" if device else VERIFIED),
        {"date": datetime.now(UTC).isoformat(timespec="seconds"), "results": [asdict(r) for r in results]},
    )
