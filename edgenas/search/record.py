"""A search's result as a file of its run: search/<device>[-<runtime>][-<precision>][-<limit>]-<budget>ms.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.device import Execution, Provenance
from edgenas.errors import CheckpointError
from edgenas.files import read_json, write_json
from edgenas.latency import CONFIDENCE, LatencyTable
from edgenas.predictor import PredictorQuality, Shift
from edgenas.search.search import Candidate, Claim, SearchResult
from edgenas.space import Architecture
from edgenas.statistics import differ

VERSION = 5


@dataclass(frozen=True)
class SearchRecord:
    """What a search found, for which device and budget, and where its latencies come from.

    latency_kind: "measured" (a table built on the device), "estimated" (the device profile's formula, or another device's
        table) or "emulated" (a trial).
    confidence: of the latencies' intervals, whose upper ends are within the budget; 0: the predictions are.
    limits: what else had to hold, by name, such as `{"pi4": 30.0, "memory": 1e6}` in ms, bytes or counts.
    stopped: why the search ended. predictor, shift, claim: `SearchResult`'s; None are the latter two before version 3.
    validation_images: on how many accuracies were measured; None where that is unknown, as before version 5.
    """

    device: str
    execution: Execution
    budget_ms: float
    latency_kind: str
    latency_provenance: Provenance
    best: Candidate
    front: tuple[Candidate, ...]
    predictor: PredictorQuality
    date: str
    confidence: float = CONFIDENCE
    limits: dict[str, float] = field(default_factory=dict)
    stopped: str = ""
    shift: Shift | None = None
    claim: Claim | None = None
    validation_images: int | None = None

    @classmethod
    def of(
        cls, result: SearchResult, table: LatencyTable, budget_ms: float, limits: Mapping[str, float] | None = None,
        confidence: float = CONFIDENCE,
    ) -> SearchRecord:  # fmt: skip
        return cls(table.device, table.execution, budget_ms, table.kind, table.provenance, result.best, result.front,
                   result.predictor, datetime.now(UTC).isoformat(timespec="seconds"), confidence, dict(limits or {}),
                   result.outcome.stopped, result.shift, result.claim,
                   int(result.images) if np.isfinite(result.images) else None)  # fmt: skip

    @property
    def ranks(self) -> bool:
        """Whether the predictor tells better architectures from worse; without that it claims nothing."""
        return self.predictor.ranks

    @property
    def alike(self) -> tuple[Candidate, ...]:
        """The other members of the front whose accuracy cannot be told from the best one's; none where it is unknown."""
        if (images := self.validation_images) is None:
            return ()
        best = self.best.validation_accuracy
        return tuple(c for c in self.front if c != self.best and not differ(best, images, c.validation_accuracy))

    @property
    def name(self) -> str:
        limits = "".join(f"-{name}-{limit:.10g}" for name, limit in self.limits.items())
        return f"{self.device}{self.execution.suffix}{limits}-{self.budget_ms:g}ms"

    def save(self, folder: Path) -> Path:
        data = asdict(self) | {"version": VERSION, "best": _to_json(self.best), "front": [_to_json(c) for c in self.front]}
        data |= {"latency_provenance": self.latency_provenance.to_json()}
        path = folder / f"{self.name}.json"
        write_json(path, {"device": data.pop("device")} | data.pop("execution") | data)
        return path

    @classmethod
    def load(cls, path: Path) -> SearchRecord:
        """Raises EdgeNASError for a file that is missing or damaged, CheckpointError for one from a newer version."""
        data = read_json(path, "search result")
        try:
            if (version := data.pop("version")) > VERSION:
                raise CheckpointError(f"{path} was written by a newer EdgeNAS: install that version to read it.")
            if version < 3:
                data.pop("claimed_accuracy", None)
                data.pop("optimal", None)
            data["best"] = _from_json(data["best"])
            data["front"] = tuple(map(_from_json, data["front"]))
            data["latency_provenance"] = Provenance.from_json(data["latency_provenance"])
            for name, kind in (("predictor", PredictorQuality), ("shift", Shift), ("claim", Claim)):
                data[name] = kind(**data[name]) if data.get(name) else None
            return cls(execution=Execution.pop_from(data), **data)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path} is no search result: it is damaged ({error}). Search again.") from None


def load_records(folder: Path) -> list[SearchRecord]:
    """All searches of a run, by device and rising budget."""
    records = [SearchRecord.load(path) for path in folder.glob("*ms.json")]
    return sorted(records, key=lambda r: (r.device, r.execution.runtime, r.execution.precision, r.budget_ms))


def _to_json(candidate: Candidate) -> dict[str, Any]:
    return asdict(candidate) | {"id": candidate.architecture.id, "architecture": candidate.architecture.to_json()}


def _from_json(data: dict[str, Any]) -> Candidate:
    data.pop("id")
    data.setdefault("expected_accuracy", data["validation_accuracy"])  # before version 4 what was measured was believed
    return Candidate(**data | {"architecture": Architecture.from_json(data["architecture"])})
