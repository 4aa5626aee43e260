"""`verify`: every exported file in its runtime, on test images and on the clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgenas.errors import EdgeNASError
from edgenas.export.export import in_layout
from edgenas.export.model import ExportedModel
from edgenas.export.parity import Parity, compare
from edgenas.files import read_json, write_json
from edgenas.latency import LatencyTarget, LocalTarget, python_target, tflite_runtime_python
from edgenas.latency.microbenchmark import REFERENCE, model_bytes
from edgenas.progress import Track, quiet
from edgenas.space import SearchSpace
from edgenas.training import Evaluator

ROUNDS = 12


@dataclass(frozen=True)
class Prediction:
    """What a search said: latency in ms within [low, high] with 90 % confidence, measured or estimated, on a device."""

    device: str
    budget_ms: float
    latency_ms: float
    low_ms: float
    high_ms: float
    kind: str


@dataclass(frozen=True)
class Verification:
    """One file in one runtime.

    torch_accuracy, accuracy: top-1 on the test images, in 0..1, of the torch network and of the file.
    threads, latency_ms: least time over interleaved rounds, on this machine; of the thread's CPU time for one thread.
    slowdown: how much slower than when the latency table was measured this machine runs a fixed reference network; None
        when the table comes from another machine.
    predictions: for this very machine and runtime, one for every budget.
    """

    file: str
    runtime: str
    runtime_version: str
    parity: Parity
    torch_accuracy: float
    accuracy: float
    images: int
    threads: int
    latency_ms: float
    slowdown: float | None
    predictions: tuple[Prediction, ...]
    file_bytes: int

    @property
    def passed(self) -> bool:
        return self.parity.holds


def runtimes_of(file: Path) -> Iterator[tuple[str, LatencyTarget | None]]:
    """The runtimes that a file must pass in, and where they run; None for one that is not installed."""
    if file.suffix == ".onnx":
        yield "onnxruntime", LocalTarget()
        return
    yield "litert", LocalTarget()
    python = tflite_runtime_python()
    yield "tflite-runtime", python_target(python) if python else None


def verify(model: ExportedModel, space: SearchSpace, evaluator: Evaluator, track: Track = quiet) -> list[Verification]:
    """Run a model's files on the whole test set and on the timer, and keep the result as verify.json beside them.

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
        _verify_file(file, runtime, target, model, images, labels, expected)
        for file, runtime, target in track(places, f"Verifying {model.architecture.id}", len(places))
    ]
    for name in {result.file for result in results if not result.passed}:
        (model.folder / name).rename(model.folder / f"{name}.rejected")
    write_json(model.folder / "verify.json", {"date": datetime.now(UTC).isoformat(timespec="seconds"), "results": [asdict(r) for r in results]})
    return results


def load_verifications(model: ExportedModel) -> list[Verification]:
    """What the last verification measured; nothing when there was none."""
    path = model.folder / "verify.json"
    if not path.exists():
        return []
    try:
        return [
            Verification(**row | {"parity": Parity(**row["parity"]), "predictions": tuple(Prediction(**p) for p in row["predictions"])})
            for row in read_json(path, "verification")["results"]
        ]
    except (KeyError, TypeError) as error:
        raise EdgeNASError(f"{path} is damaged ({error}): verify again.") from None


def _test_images(model: ExportedModel, evaluator: Evaluator) -> tuple[torch.Tensor, np.ndarray]:
    batches = list(evaluator.images(evaluator.dataset.test, model.preprocessing.resolution))
    return torch.cat([images for images, _ in batches]).cpu(), torch.cat([labels for _, labels in batches]).numpy()


def _verify_file(
    file: Path, runtime: str, target: LatencyTarget, model: ExportedModel, images: torch.Tensor, labels: np.ndarray, expected: np.ndarray
) -> Verification:  # fmt: skip
    content = file.read_bytes()
    environment = target.environment(runtime)
    here = [b for b in model.budgets if _measured_here(b, environment)]
    threads = here[0]["threads"] if here else 1
    outputs = target.run(content, in_layout(images, file.suffix[1:]), runtime=runtime)
    models = {"model": content, "reference": model_bytes(REFERENCE, runtime)}
    times = target.time(models, runtime=runtime, threads=threads, rounds=ROUNDS)
    reference_ms = here[0]["reference_ms"] if here else None
    return Verification(
        file=file.name,
        runtime=runtime,
        runtime_version=environment["runtime_version"],
        parity=compare(expected, outputs),
        torch_accuracy=float((expected.argmax(1) == labels).mean()),
        accuracy=float((outputs.argmax(1) == labels).mean()),
        images=len(labels),
        threads=threads,
        latency_ms=min(times["model"]),
        slowdown=min(times["reference"]) / reference_ms if reference_ms else None,
        predictions=tuple(
            Prediction(b["device"], b["budget_ms"], b["latency_ms"], b["latency_low_ms"], b["latency_high_ms"], b["latency_kind"])
            for b in here
            if b["threads"] == threads
        ),
        file_bytes=len(content),
    )


def _measured_here(budget: dict[str, Any], environment: dict[str, Any]) -> bool:
    """Whether a prediction is for this machine and this runtime, so that a measurement can confirm it."""
    same_machine = budget["latency_provenance"].get("fingerprint") == environment["fingerprint"]
    return same_machine and budget["runtime"] == environment["runtime"]
