"""`Execution`: how a model is computed."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgenas.errors import UsageError
from edgenas.values import Unfit, check_fields, cores_of
from edgenas.values.kinds import CoreList, Name, Threads


@dataclass(frozen=True)
class Execution:
    """In which runtime a model is computed, by how many threads, in which precision, and, where it matters, on which cores.

    Latencies, accuracies and files of different executions are different things: tables, search records and exported files are
    named by it, so that all three are fit for that. In JSON they are entries of what it belongs to, `values.inlined`.

    cores: that a timing keeps to, as a device's profile says: the fast ones of a processor that has fast and slow ones. Part of
    a device rather than of what is executed, so executions that differ in it alone are equal.

    Raises UsageError where they are not, and for more threads than cores.
    """

    runtime: Name
    threads: Threads = 1
    precision: Name = "fp32"
    cores: CoreList | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        try:
            check_fields(self)
        except Unfit as refusal:
            raise UsageError(str(refusal)) from None
        if self.cores is not None and self.threads > len(cores_of(self.cores)):
            raise UsageError(
                f"{self.threads} threads cannot run at once on cores {self.cores}: choose as many `threads` at most."
            )

    @property
    def suffix(self) -> str:
        """What tells the names of two executions' files apart; nothing for fp32 in ONNX Runtime."""
        runtime = "" if self.runtime == "onnxruntime" else f"-{self.runtime}"
        return runtime + precision_suffix(self.precision)

    def __str__(self) -> str:
        """Such as `onnxruntime, int8, 2 threads`; fp32 goes without saying."""
        precision = "" if self.precision == "fp32" else f"{self.precision}, "
        where = "" if self.cores is None else f" on cores {self.cores}"
        return f"{self.runtime}, {precision}{self.threads} thread{'s' * (self.threads > 1)}{where}"


def precision_suffix(precision: str) -> str:
    """What a precision adds to a file's name; nothing for fp32."""
    return "" if precision == "fp32" else f"-{precision}"
