"""A search's result as a file of its run, whose name says what was searched for: search/cpu-2ms.json and, with all that may
differ, search/<device>-<runtime>-<precision>-<metric>-<confidence>-<limit>-<budget>ms.json."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from edgenas.device import Execution, Provenance
from edgenas.files import now
from edgenas.latency import CONFIDENCE, LatencyTable
from edgenas.latency.table import Kind
from edgenas.metric import ACCURACY, Score, label_of
from edgenas.predictor import PredictorQuality, Shift
from edgenas.search.search import Candidate, Claim, SearchResult
from edgenas.values import Format, Inlined, Length
from edgenas.values.kinds import ArithmeticOrAny, Count, Limit, Line, Milliseconds, Name, ShareBelowOne, Text


@dataclass(frozen=True)
class SearchRecord:
    """What a search found, for which device and budget, and where its latencies come from.

    execution: of what it found; `best`, `front` and their accuracies are of its precision.

    latency_kind: "measured" (a table built on the device), "estimated" (the device profile's formula, or another device's
        table) or "emulated" (a trial).
    confidence: of the latencies' intervals, whose upper ends are within the budget; 0: the predictions are.
    limits: what else had to hold, by name, such as `{"pi4": 30.0, "litert": 3.0, "memory": 1e6}` in ms, bytes or counts.
    stopped: why the search ended. predictor, shift, claim: `SearchResult`'s; None are the latter two before version 3.
    metric: what the search maximised, and its accuracies are. score: of the best; None before version 6.
    validation_images: on how many images they were measured; None where that is unknown, as before version 5.
    tied: ids of the other members of the front that are within one standard error of its most accurate one; `best` is the
        fastest of all that give up no more than half a point.
    asked: `any` where the search was free to choose the precision, else that one. other: then what it found in the other
        precision, which is no better; None where nothing was within the limits in that.
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
    asked: ArithmeticOrAny | None = None
    other: SearchRecord | None = None

    @classmethod
    def of(
        cls, result: SearchResult, table: LatencyTable, budget_ms: float, limits: Mapping[str, float] | None = None,
        confidence: float = CONFIDENCE, asked: str | None = None, other: SearchRecord | None = None,
    ) -> SearchRecord:  # fmt: skip
        return cls(table.device, table.execution, budget_ms, table.kind, table.provenance, result.best, result.front,
                   result.predictor, now(), confidence, dict(limits or {}),
                   result.outcome.stopped, result.shift, result.claim,
                   result.score.images, result.score.metric,
                   tuple(c.architecture.id for c in result.alike), result.score, asked, other)  # fmt: skip

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
        """As people call the search, such as `cpu 2 ms` or `cpu 2 ms int8`."""
        return in_precision(label(self.device, self.budget_ms, self.metric), self.execution.precision)

    @property
    def fronts(self) -> tuple[SearchRecord, ...]:
        """What was found in each precision, the one that was chosen first, each as a record of its own."""
        return (self, self.other) if self.other is not None else (self,)

    @property
    def name(self) -> str:
        """Of what was searched for, not of how: what was found before for the same is replaced."""
        wanted = replace(self.execution, precision=self.asked or self.execution.precision)
        confidence = "" if self.confidence == CONFIDENCE else f"-confidence-{self.confidence:.10g}"
        limits = "".join(f"-{name}-{limit:.10g}" for name, limit in self.limits.items())
        return f"{self.device}{wanted.suffix}{metric_suffix(self.metric)}{confidence}{limits}-{self.budget_ms:g}ms"

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
    if (other := data.get("other")) is not None:
        if other.get("other") is not None:
            raise TypeError("there are two precisions, not three")
        _upgrade(other, version)


FORMAT = Format("search result", SearchRecord, version=7, remedy="Search again.", upgrade=_upgrade)


def load_records(folder: Path) -> list[SearchRecord]:
    """All searches of a run, by device and rising budget. Of two for the same, as files of earlier versions have other names,
    the later counts."""
    records = sorted((SearchRecord.load(path) for path in folder.glob("*ms.json")), key=lambda record: record.date)
    latest = {record.name: record for record in records}.values()
    return sorted(latest, key=lambda r: (r.device, r.execution.runtime, r.execution.precision, r.metric, r.budget_ms, r.name))


def label(device: str, budget_ms: float, metric: str = ACCURACY.name) -> str:
    """What people call a search, whatever its precision: `cpu 2 ms` or `cpu 2 ms by balanced accuracy`."""
    return f"{device} {budget_ms:g} ms" + ("" if metric == ACCURACY.name else f" by {label_of(metric)}")


def in_precision(what: str, precision: str) -> str:
    """A search's or a file's name, with the precision where it is not fp32."""
    return what if precision == "fp32" else f"{what} {precision}"


def metric_suffix(metric: str) -> str:
    """What a metric adds to a file's name; nothing for accuracy."""
    return "" if metric == ACCURACY.name else f"-{_in_a_name(metric)}"


def _in_a_name(text: str) -> str:
    """Letters, digits and hyphens; what else is in it, as in names of classes, is told apart by a hash."""
    plain = re.sub(r"[^\w]+", "-", text, flags=re.ASCII).strip("-")[:40]
    return plain if plain == text else f"{plain}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
