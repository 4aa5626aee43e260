"""`verify`: every exported file in its runtime, on test images and on the clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from edgenas.errors import EdgeNASError
from edgenas.export.export import in_layout
from edgenas.export.model import ExportedModel
from edgenas.export.parity import Parity, compare
from edgenas.files import read_json, write_json
from edgenas.latency import Bench, LatencyTable, LatencyTarget, python_target, tflite_runtime_python
from edgenas.progress import Track, quiet
from edgenas.space import SearchSpace
from edgenas.training import Evaluator


@dataclass(frozen=True)
class Verification:
    """One file in one runtime, on the machine of this fingerprint.

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
    parity: Parity
    torch_accuracy: float
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

    @property
    def passed(self) -> bool:
        return self.parity.holds


def runtimes_of(file: Path) -> Iterator[tuple[str, LatencyTarget | None]]:
    """The runtimes that a file must pass in, and where they run; None for one that is not installed.

    Each runs in a process of its own, as it will on a device: beside torch, in memory that training has left scattered,
    networks were up to 10 % slower.
    """
    if file.suffix == ".onnx":
        yield "onnxruntime", python_target()
        return
    yield "litert", python_target()
    python = tflite_runtime_python()
    yield "tflite-runtime", python_target(python) if python else None


def verify(
    model: ExportedModel, space: SearchSpace, evaluator: Evaluator, tables: Sequence[LatencyTable] = (), track: Track = quiet
) -> list[Verification]:
    """Run a model's files on the whole test set and on the timer, and keep the result as verify.json beside them.

    tables: measured latencies to compare with; those of another machine are of no use and left aside.

    A file whose outputs differ from torch's is renamed to <file>.rejected, so that nobody ships it.
    Raises EdgeNASError when there is no file.
    """
    if not model.files:
        raise EdgeNASError(f"{model.folder} holds no model file: export it again.")
    images, labels = _test_images(model, evaluator)
    with torch.no_grad():
        network = model.network(space)
        expected = torch.cat([network(batch) for batch in images.split(128)]).numpy()
    places = [(file, runtime, target) for file in model.files for runtime, target in runtimes_of(file) if target]
    results = [
        _verify_file(file, runtime, target, model, space, tables, images, labels, expected)
        for file, runtime, target in track(places, f"Verifying {model.architecture.id}", len(places))
    ]
    for name in {result.file for result in results if not result.passed}:
        (model.folder / name).rename(model.folder / f"{name}.rejected")
    write_json(
        model.folder / "verify.json",
        {"date": datetime.now(UTC).isoformat(timespec="seconds"), "results": [asdict(r) for r in results]},
    )
    return results


def load_verifications(model: ExportedModel) -> list[Verification]:
    """What the last verification measured; nothing when there was none."""
    path = model.folder / "verify.json"
    if not path.exists():
        return []
    try:
        return [Verification(**row | {"parity": Parity(**row["parity"])}) for row in read_json(path, "verification")["results"]]
    except (KeyError, TypeError) as error:
        raise EdgeNASError(f"{path} is damaged ({error}): verify again.") from None


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """`(n,)` true and predicted classes -> `(classes, classes)` counts: true in the row, predicted in the column."""
    known = predicted < classes  # a wrong file may have more outputs
    pairs = labels[known] * classes + predicted[known]
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def _test_images(model: ExportedModel, evaluator: Evaluator) -> tuple[torch.Tensor, np.ndarray]:
    batches = list(evaluator.images(evaluator.dataset.test, model.preprocessing.resolution))
    return torch.cat([images for images, _ in batches]).cpu(), torch.cat([labels for _, labels in batches]).numpy()


def _verify_file(
    file: Path, runtime: str, target: LatencyTarget, model: ExportedModel, space: SearchSpace, tables: Sequence[LatencyTable],
    images: torch.Tensor, labels: np.ndarray, expected: np.ndarray,
) -> Verification:  # fmt: skip
    content = file.read_bytes()
    environment = target.environment(runtime)
    threads = min(model.budgets[0]["threads"] if model.budgets else 1, environment["cores"])
    outputs = target.run(content, in_layout(images, file.suffix[1:]), runtime=runtime)

    def is_of_this_machine(table: LatencyTable) -> bool:
        return (table.runtime, table.threads, table.provenance.get("fingerprint")) == (
            runtime,
            threads,
            environment["fingerprint"],
        )

    table = next(filter(is_of_this_machine, tables), None)
    bench = Bench(target, runtime, threads, reference_ms=table.reference_ms if table else None)
    latency_ms = bench.measure({"model": content})["model"].latency_ms
    predicted = table and table.predict_one(space, model.architecture)
    low, high = map(float, table.interval(space, predicted)) if table else (None, None)
    return Verification(
        file=file.name,
        runtime=runtime,
        runtime_version=environment["runtime_version"],
        fingerprint=environment["fingerprint"],
        parity=compare(expected, outputs),
        torch_accuracy=float((expected.argmax(1) == labels).mean()),
        accuracy=float((outputs.argmax(1) == labels).mean()),
        confusion=confusion_matrix(labels, outputs.argmax(1), len(model.classes)).tolist(),
        images=len(labels),
        threads=threads,
        latency_ms=latency_ms,
        predicted_ms=predicted,
        predicted_low_ms=low,
        predicted_high_ms=high,
        slowdown=bench.slowdown,
        file_bytes=len(content),
    )
