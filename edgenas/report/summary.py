"""A run's results, one row for every budget and runtime."""

from __future__ import annotations

from dataclasses import dataclass

from edgenas.device import Execution
from edgenas.export import load_exports, load_verifications
from edgenas.latency.table import EMULATED
from edgenas.run import Run
from edgenas.search import load_records


@dataclass(frozen=True)
class Row:
    """One exported file for one budget in one runtime. Latencies in ms, accuracies in 0..1 on the test images.

    device, budget_ms: what was searched for. on_device: whether the machine that verified is that device.
    emulated: whether that machine was an emulator, whose latency says nothing.
    is_budgeted_runtime: whether the budget was for this runtime and precision.
    validation_accuracy, inherited_accuracy: on the validation images; the latter before fine-tuning, None where there was none.
    torch_accuracy, max_difference: of and from the torch network; None where there was none to compare with.
    measured_ms, predicted_ms: on the machine that verified; None is predicted where this runtime has no table of it.
    """

    device: str
    budget_ms: float
    architecture: str
    id: str
    runtime: str
    precision: str
    predicted_ms: float | None
    on_device: bool
    is_budgeted_runtime: bool
    measured_ms: float
    validation_accuracy: float
    inherited_accuracy: float | None
    torch_accuracy: float | None
    exported_accuracy: float
    max_difference: float | None
    file_bytes: int
    emulated: bool = False

    @property
    def error(self) -> float | None:
        """Of the prediction, relative to the measurement."""
        return None if self.predicted_ms is None else self.predicted_ms / self.measured_ms - 1

    @property
    def breaks_budget(self) -> bool:
        """Whether the file was measured where its budget applies, and is slower."""
        return self.on_device and not self.emulated and self.is_budgeted_runtime and self.measured_ms > self.budget_ms


def summarise(run: Run) -> list[Row]:
    """The rows of all verified exports, by device and budget. Empty before anything was verified."""
    verifications = {
        model.architecture: (model, load_verifications(model.folder)) for model in load_exports(run.path / "export")
    }
    rows = []
    for record in load_records(run.path / "search"):
        if record.best.architecture not in verifications:
            continue
        model, verified = verifications[record.best.architecture]
        for v in verified:
            rows.append(
                Row(
                    device=record.device,
                    budget_ms=record.budget_ms,
                    architecture=str(model.architecture),
                    id=model.architecture.id,
                    runtime=v.execution.runtime,
                    precision=v.execution.precision,
                    predicted_ms=v.predicted_ms,
                    on_device=(v.fingerprint, v.emulated)
                    == (record.latency_provenance.fingerprint, record.latency_kind == EMULATED),
                    is_budgeted_runtime=_kind(v.execution) == _kind(record.execution),
                    measured_ms=v.latency_ms,
                    validation_accuracy=model.validation_accuracy,
                    inherited_accuracy=model.inherited_accuracy,
                    torch_accuracy=v.torch_accuracy,
                    exported_accuracy=v.accuracy,
                    max_difference=None if v.parity is None else v.parity.max_difference,
                    file_bytes=v.file_bytes,
                    emulated=v.emulated,
                )
            )
    return rows


def _kind(execution: Execution) -> tuple[str, str]:
    return execution.runtime, execution.precision
