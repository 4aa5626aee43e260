"""What of a run has not ended yet, as sentences, from what its folder and the tables of devices hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from edgenas.export import load_exports, load_verifications
from edgenas.latency import LatencyTable
from edgenas.latency.table import ESTIMATED
from edgenas.run import Run
from edgenas.search import Sought
from edgenas.words import counted


def on_training(run: Run) -> Iterator[str]:
    """Of the supernet, and of the networks picked by hand that are trained beside it."""
    if not run.weights.exists():
        yield f"Training: {_epochs(run)}."
    for config in sorted(run.path.glob("baselines/*/config.toml")):
        by_hand = Run.peek(config.parent)
        if not by_hand.weights.exists():
            yield f"Training {by_hand.path.name}, which was picked by hand: {_epochs(by_hand)}."


def on_profiles(run: Run, tables: Iterable[LatencyTable]) -> Iterator[str]:
    """tables: of any devices; what is timed of other spaces alone is not told."""
    for table in (table for table in tables if table.kind != ESTIMATED):
        blocks, missing = len(run.space.distinct_blocks), len(table.missing(run.space))
        where = f"{table.device} ({table.execution})"
        if 0 < missing < blocks:
            yield f"Profile of {where}: {blocks - missing} of {blocks} blocks are timed."
        elif not missing and not table.covers(run.space):
            yield f"Profile of {where}: all {blocks} blocks are timed, but not all whole networks, which tell how they add up."


def on_search(sought: Sought, evaluations: int) -> str:
    """evaluations: all that are known of the run, with those of earlier searches."""
    how = " and ".join(map(str, sought.executions))
    budgets = ", ".join(f"{budget:g} ms" for budget in sought.budgets_ms)
    return f"Search on {sought.device} ({how}) within {budgets}: {counted(evaluations, 'subnet is', 'subnets are')} evaluated."


def on_exports(run: Run) -> Iterator[str]:
    waiting = [model for model in load_exports(run.path / "export") if not load_verifications(model.folder)]
    if waiting:
        yield f"{counted(len(waiting), 'exported network is', 'exported networks are')} not verified yet."


def _epochs(run: Run) -> str:
    metrics = run.metrics()
    if not metrics:
        return f"the first of {counted(run.recipe.epochs, 'epoch')} has not ended yet"
    return f"epoch {metrics[-1]['epoch']} of {run.recipe.epochs} has ended, after {metrics[-1]['seconds'] / 60:.1f} minutes"
