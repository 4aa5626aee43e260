"""`Execution`: how a model is computed."""

from __future__ import annotations

from dataclasses import dataclass

from edgenas.errors import UsageError
from edgenas.values import Unfit, check_fields
from edgenas.values.kinds import Name, Threads


@dataclass(frozen=True)
class Execution:
    """In which runtime a model is computed, by how many threads, and in which precision.

    Latencies, accuracies and files of different executions are different things: tables, search records and exported files are
    named by it, so that all three are fit for that. In JSON they are entries of what it belongs to, `values.inlined`.

    Raises UsageError where they are not.
    """

    runtime: Name
    threads: Threads = 1
    precision: Name = "fp32"

    def __post_init__(self) -> None:
        try:
            check_fields(self)
        except Unfit as refusal:
            raise UsageError(str(refusal)) from None

    @property
    def suffix(self) -> str:
        """What tells the names of two executions' files apart; nothing for fp32 in ONNX Runtime."""
        runtime = "" if self.runtime == "onnxruntime" else f"-{self.runtime}"
        return runtime + precision_suffix(self.precision)

    def __str__(self) -> str:
        """Such as `onnxruntime, int8, 2 threads`; fp32 goes without saying."""
        precision = "" if self.precision == "fp32" else f"{self.precision}, "
        return f"{self.runtime}, {precision}{self.threads} thread{'s' * (self.threads > 1)}"


def precision_suffix(precision: str) -> str:
    """What a precision adds to a file's name; nothing for fp32."""
    return "" if precision == "fp32" else f"-{precision}"
