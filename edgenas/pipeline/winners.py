"""Which subnets of a run go on to be fine-tuned and exported."""

from __future__ import annotations

from edgenas.errors import CheckpointError, UsageError
from edgenas.export import Budget
from edgenas.metric import Metric
from edgenas.names import pasted
from edgenas.run import Run
from edgenas.search import SearchRecord, load_records
from edgenas.space import Architecture
from edgenas.values import unknown


def metric_of(run: Run, budgets: list[Budget]) -> Metric:
    """What a winner was chosen by: for the first of its budgets."""
    return Metric.named(budgets[0].metric, run.classes)


def require_records(run: Run, purpose: str) -> list[SearchRecord]:
    """What the run's searches found. Raises UsageError, naming the purpose, where there was no search."""
    records = load_records(run.path / "search")
    if not records:
        how = f"run `search({pasted(run.path)}, device=cpu, budgets=2ms)` first."
        raise UsageError(f"{run.path} has no search to {purpose}", how)
    for candidate in (c for record in records for front in record.fronts for c in (front.best, *front.front)):
        try:
            run.space.validate(candidate.architecture)
        except ValueError as error:
            raise CheckpointError(f"A search of {run.path} found none of its networks: {error}. Search again.") from None
    return records


def winners(run: Run, architecture_id: str | None = None) -> dict[Architecture, list[Budget]]:
    """The best of every search of a run, or the one member of a front that is named, and for which budgets each was chosen.

    A named one that was chosen for no budget has those of the first front that it is on.
    """
    records = require_records(run, "choose from")
    best: dict[Architecture, list[Budget]] = {}
    for record in records:
        best.setdefault(record.best.architecture, []).append(Budget.of(record, record.best))
    if architecture_id is None:
        return best
    named = {architecture: budgets for architecture, budgets in best.items() if architecture.id == architecture_id}
    if named:
        return named
    fronts = [front for record in reversed(records) for front in reversed(record.fronts)]  # the chosen precision counts
    members = {c.architecture.id: (front, c) for front in fronts for c in front.front}
    if architecture_id not in members:
        raise UsageError(unknown("architecture", architecture_id, members))
    record, candidate = members[architecture_id]
    return {candidate.architecture: [Budget.of(record, candidate)]}
