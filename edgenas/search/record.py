"""A search's result as a file of its run: search/<device>[-<runtime>][-<precision>][-<limit>]-<budget>ms.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from edgenas.device import Execution, Provenance
from edgenas.files import now
from edgenas.latency import CONFIDENCE, LatencyTable
from edgenas.latency.table import Kind
from edgenas.metric import ACCURACY, Score
from edgenas.predictor import PredictorQuality, Shift
from edgenas.search.search import Candidate, Claim, SearchResult
from edgenas.values import Format, Inlined, Length
from edgenas.values.kinds import Count, Limit, Line, Milliseconds, Name, ShareBelowOne, Text


@dataclass(frozen=True)
class SearchRecord:
    """What a search found, for which device and budget, and where its latencies come from.

    latency_kind: "measured" (a table built on the device), "estimated" (the device profile's formula, or another device's
        table) or "emulated" (a trial).
    confidence: of the latencies' intervals, whose upper ends are within the budget; 0: the predictions are.
    limits: what else had to hold, by name, such as `{"pi4": 30.0, "litert": 3.0, "memory": 1e6}` in ms, bytes or counts.
    stopped: why the search ended. predictor, shift, claim: `SearchResult`'s; None are the latter two before version 3.
    metric: what the search maximised, and its accuracies are. score: of the best; None before version 6.
    validation_images: on how many images they were measured; None where that is unknown, as before version 5.
    tied: ids of the other members of the front that are within one standard error of its most accurate one; `best` is the
        fastest of all that give up no more than half a point.
    """

    device: Name
    execution: Inlined[Execution]
    budget_ms: Milliseconds
    latency_kind: Kind
    latency_provenance: Provenance
    best: Candidate
    front: Annotated[tuple[Candidate, ...], Length(1, 100_000)]
    predictor: PredictorQuality
    date: Line
    confidence: ShareBelowOne = CONFIDENCE
    limits: dict[Name, Limit] = field(default_factory=dict)
    stopped: Line = ""
    shift: Shift | None = None
    claim: Claim | None = None
    validation_images: Count | None = None
    metric: Text = ACCURACY.name
    tied: Annotated[tuple[Line, ...], Length(0, 100_000)] = ()
    score: Score | None = None

    @classmethod
    def of(
        cls, result: SearchResult, table: LatencyTable, budget_ms: float, limits: Mapping[str, float] | None = None,
        confidence: float = CONFIDENCE,
    ) -> SearchRecord:  # fmt: skip
        return cls(table.device, table.execution, budget_ms, table.kind, table.provenance, result.best, result.front,
                   result.predictor, now(), confidence, dict(limits or {}),
                   result.outcome.stopped, result.shift, result.claim,
                   result.score.images, result.score.metric,
                   tuple(c.architecture.id for c in result.alike), result.score)  # fmt: skip

    @property
    def ranks(self) -> bool:
        """Whether the predictor tells better architectures from worse; without that it claims nothing."""
        return self.predictor.ranks

    @property
    def alike(self) -> tuple[Candidate, ...]:
        """The members of the front, other than the best, that are within one standard error of its most accurate one."""
        return tuple(c for c in self.front if c.architecture.id in self.tied)

    @property
    def best_score(self) -> Score:
        """Of the best, on the validation images."""
        return self.score or self.best.score(self.metric, self.validation_images)

    def budget_in(self, runtime: str) -> float:
        """What was allowed in a runtime on the device, in ms: what a limit of its own says, else the search's budget."""
        return self.limits.get(runtime, self.budget_ms)

    @property
    def label(self) -> str:
        """As people call the search, such as `cpu 2 ms`."""
        return f"{self.device} {self.budget_ms:g} ms"

    @property
    def name(self) -> str:
        limits = "".join(f"-{name}-{limit:.10g}" for name, limit in self.limits.items())
        return f"{self.device}{self.execution.suffix}{limits}-{self.budget_ms:g}ms"

    def save(self, folder: Path) -> Path:
        path = folder / f"{self.name}.json"
        FORMAT.save(path, self)
        return path

    @classmethod
    def load(cls, path: Path) -> SearchRecord:
        """Raises EdgeNASError for a file that is missing, CheckpointError for one that is damaged or from a newer version."""
        return FORMAT.load(path)


def _upgrade(data: dict[str, Any], version: int) -> None:
    if version < 3:
        data.pop("claimed_accuracy", None)
        data.pop("optimal", None)
    for candidate in (data["best"], *data["front"]):
        candidate.pop("id")
        candidate.setdefault("expected_accuracy", candidate["validation_accuracy"])  # before version 4 that was believed


FORMAT = Format("search result", SearchRecord, version=6, remedy="Search again.", upgrade=_upgrade)


def load_records(folder: Path) -> list[SearchRecord]:
    """All searches of a run, by device and rising budget."""
    records = [SearchRecord.load(path) for path in folder.glob("*ms.json")]
    return sorted(records, key=lambda r: (r.device, r.execution.runtime, r.execution.precision, r.budget_ms))
