"""Which subnets of a run go on to be fine-tuned and exported."""

from __future__ import annotations

from dataclasses import asdict

from edgenas.errors import UsageError
from edgenas.run import Run
from edgenas.search import Candidate, SearchRecord, load_records
from edgenas.space import Architecture, unknown


def require_records(run: Run, purpose: str) -> list[SearchRecord]:
    """What the run's searches found. Raises UsageError, naming the purpose, where there was no search."""
    records = load_records(run.path / "search")
    if not records:
        raise UsageError(f"{run.path} has no search to {purpose}", f"run `search({run.path}, device=cpu, budgets=2ms)` first.")
    return records


def winners(run: Run, architecture_id: str | None = None) -> dict[Architecture, list[dict]]:
    """The best of every search of a run, or the one member of a front that is named, and for which budgets each was chosen."""
    records = require_records(run, "choose from")
    if architecture_id is None:
        best: dict[Architecture, list[dict]] = {}
        for record in records:
            best.setdefault(record.best.architecture, []).append(_budget(record, record.best))
        return best
    members = {c.architecture.id: (record, c) for record in records for c in record.front}
    if architecture_id not in members:
        raise UsageError(unknown("architecture", architecture_id, members))
    record, candidate = members[architecture_id]
    return {candidate.architecture: [_budget(record, candidate)]}


def _budget(record: SearchRecord, candidate: Candidate) -> dict:
    kept = ("device", "runtime", "threads", "precision", "budget_ms", "confidence", "latency_kind", "latency_provenance")
    latency = {name: asdict(candidate)[name] for name in ("latency_ms", "latency_low_ms", "latency_high_ms")}
    return {name: getattr(record, name) for name in kept} | latency
