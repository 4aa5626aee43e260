"""A run's results, one row for every budget and runtime."""

from __future__ import annotations

from dataclasses import dataclass

from edgenas.export import load_exports, load_verifications
from edgenas.search import load_records
from edgenas.training import Run


@dataclass(frozen=True)
class Row:
    """One exported file for one budget in one runtime. Latencies in ms, accuracies in 0..1 on the test images.

    device, budget_ms, is_budgeted: what was searched for, and whether in this very runtime.
    measured_ms, predicted_ms: on this machine; the prediction is None where this runtime has no table of it.
    """

    device: str
    budget_ms: float
    architecture: str
    id: str
    runtime: str
    predicted_ms: float | None
    is_budgeted: bool
    measured_ms: float
    supernet_accuracy: float
    exported_accuracy: float
    max_difference: float
    file_bytes: int

    @property
    def error(self) -> float | None:
        """Of the prediction, relative to the measurement."""
        return None if self.predicted_ms is None else self.predicted_ms / self.measured_ms - 1

    @property
    def within_budget(self) -> bool:
        return self.measured_ms <= self.budget_ms


def summarise(run: Run) -> list[Row]:
    """The rows of all verified exports, by device and budget. Empty before anything was verified."""
    verifications = {model.architecture: (model, load_verifications(model)) for model in load_exports(run.path / "export")}
    rows = []
    for record in load_records(run.path / "search"):
        model, verified = verifications.get(record.best.architecture, (None, []))
        for v in verified:
            rows.append(
                Row(
                    device=record.device,
                    budget_ms=record.budget_ms,
                    architecture=str(model.architecture),
                    id=model.architecture.id,
                    runtime=v.runtime,
                    predicted_ms=v.predicted_ms,
                    is_budgeted=v.runtime == record.runtime,
                    measured_ms=v.latency_ms,
                    supernet_accuracy=v.torch_accuracy,
                    exported_accuracy=v.accuracy,
                    max_difference=v.parity.max_difference,
                    file_bytes=v.file_bytes,
                )
            )
    return rows
