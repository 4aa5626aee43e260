"""`Execution`: how a model is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Execution:
    """In which runtime a model is computed, by how many threads, and in which precision.

    Latencies, accuracies and files of different executions are different things: tables, search records and exported files are
    named by it. In JSON it is the three entries `runtime`, `threads` and `precision` of what it belongs to.
    """

    runtime: str
    threads: int = 1
    precision: str = "fp32"

    @classmethod
    def pop_from(cls, data: dict[str, Any]) -> Self:
        """Take its three entries out of a JSON object. Raises KeyError where one is missing."""
        return cls(data.pop("runtime"), data.pop("threads"), data.pop("precision"))

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
