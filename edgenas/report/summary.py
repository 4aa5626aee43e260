"""A run's results, one row for every budget and runtime."""

from __future__ import annotations

from dataclasses import dataclass

from edgenas.device import Execution, OperatorTime, Sustained
from edgenas.export import load_exports, load_verifications
from edgenas.latency.table import EMULATED
from edgenas.metric import Metric, Score
from edgenas.run import Run
from edgenas.search import load_records
from edgenas.search.record import in_precision


@dataclass(frozen=True)
class Row:
    """One exported file for one budget in one runtime. Latencies in ms, accuracies in 0..1 on the test images.

    name: as the search is called. device, budget_ms: what was searched for. on_device: whether the machine that verified is
    that device.
    emulated: whether that machine was an emulator, whose latency says nothing.
    is_budgeted_runtime: whether the budget was for this runtime and precision. searched_in, searched_precision: those of the
    search.
    budget_here_ms: what the search allowed in this runtime, where it had a budget of its own; else budget_ms.
    validation, inherited: on the validation images; the latter before fine-tuning, None where there was none.
    exported: the file on the test images, by the same metric; exported_accuracy: plain top-1.
    torch_accuracy, max_difference: of and from the torch network; None where there was none to compare with.
    sustained: the same file without a pause, where that was verified.
    operators: see `Verification.operator_shares`.
    measured_ms, predicted_ms: on the machine that verified; None is predicted where this runtime has no table of it.
    """

    name: str
    device: str
    budget_ms: float
    architecture: str
    id: str
    runtime: str
    precision: str
    predicted_ms: float | None
    on_device: bool
    is_budgeted_runtime: bool
    searched_in: str
    searched_precision: str
    budget_here_ms: float
    measured_ms: float
    file: str
    validation: Score
    inherited: Score | None
    torch_accuracy: float | None
    exported_accuracy: float
    exported: Score
    max_difference: float | None
    file_bytes: int
    emulated: bool = False
    sustained: Sustained | None = None
    operators: tuple[tuple[OperatorTime, float], ...] = ()

    @property
    def timed_in(self) -> str:
        """The runtime, with the precision where it is not fp32."""
        return in_precision(self.runtime, self.precision)

    @property
    def error(self) -> float | None:
        """Of the prediction, relative to the measurement."""
        return None if self.predicted_ms is None else self.predicted_ms / self.measured_ms - 1

    @property
    def is_over(self) -> bool:
        """Whether the file was measured on the device that it was chosen for, in whatever runtime, and is too slow."""
        return self.on_device and not self.emulated and self.measured_ms > self.budget_here_ms

    @property
    def breaks_budget(self) -> bool:
        """Whether it is so in the runtime that was searched for."""
        return self.is_over and self.is_budgeted_runtime


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
                    name=record.label,
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
                    searched_in=record.execution.runtime,
                    searched_precision=record.execution.precision,
                    budget_here_ms=record.budget_in(v.execution.runtime),
                    measured_ms=v.latency_ms,
                    file=v.file,
                    validation=model.validation,
                    inherited=model.inherited,
                    torch_accuracy=v.torch_accuracy,
                    exported_accuracy=v.accuracy,
                    exported=v.score(Metric.named(model.validation.metric, model.classes)),
                    max_difference=None if v.parity is None else v.parity.max_difference,
                    file_bytes=v.file_bytes,
                    emulated=v.emulated,
                    sustained=v.sustained,
                    operators=v.operator_shares,
                )
            )
    return rows


def _kind(execution: Execution) -> tuple[str, str]:
    return execution.runtime, execution.precision
