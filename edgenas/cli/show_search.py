"""What is shown of a search."""

from __future__ import annotations

from collections.abc import Sequence

from edgenas.cli.display import answer, conclude, percent, say, scored, tabulate
from edgenas.metric import label_of
from edgenas.pipeline.limits import SIZES
from edgenas.pipeline.search import Searched
from edgenas.predictor import PredictorQuality
from edgenas.report import on_prediction
from edgenas.run import Run
from edgenas.search import SearchRecord
from edgenas.values.kinds import ANY


def show_searched(searched: Searched) -> None:
    """What was spent, and how far its results are to be trusted."""
    outcome, fronts = searched.outcome, [front for record in searched.records for front in record.fronts]
    predictors = {front.execution.precision: front.predictor for front in fronts}
    said = [f"Predictor{f' in {name}' * (len(predictors) > 1)}: {_quality(found)}" for name, found in predictors.items()]
    say(
        f"{outcome.evaluated} new evaluations, {searched.evaluations} in all; stopped because {outcome.stopped}. "
        + " ".join(said)
    )
    if outcome.evaluation_cpu_s:
        own = percent(outcome.own_cpu_s / outcome.evaluation_cpu_s, 1)
        say(f"CPU time: {outcome.evaluation_cpu_s:.1f} s for evaluations, and {own} of that for the search itself.")
    for front in fronts:
        for line in on_prediction(front):
            answer(line)
    for record in searched.records:
        if record.asked == ANY:
            answer(_choice(record))


def _quality(predictor: PredictorQuality) -> str:
    if not predictor.ranks:
        return "none, since how well subnets do follows no architecture."
    return f"Kendall tau {predictor.tau:.2f}, error {percent(predictor.error)} (cross-validated)."


def _choice(record: SearchRecord) -> str:
    """Which precision a search has chosen that was free to."""
    found = ((front.execution.precision, front.best) for front in record.fronts)
    chosen, *others = (f"{name}, {percent(best.validation_accuracy)} at {best.latency_ms:.3g} ms" for name, best in found)
    than = f", rather than {others[0]}" if others else ", in which alone it can be kept"
    return f"Within {record.budget_ms:g} ms on {record.device}: {chosen}{than}."


def show_front(record: SearchRecord) -> None:
    rows = [
        [
            "best" if c == record.best else "~" if c in record.alike else "",
            c.architecture.id,
            f"{c.latency_ms:.3f}",
            f"{c.latency_low_ms:.3f} - {c.latency_high_ms:.3f}",
            scored(c.score(record.metric)),
            percent(c.expected_accuracy),
            f"{c.macs / 1e6:.2f}",
            f"{c.parameters / 1e6:.3f}",
            f"{c.peak_memory_bytes / 1024:.0f}",
        ]
        for c in record.front
    ]
    ms = "ms" if record.latency_kind == "measured" else f"ms, {record.latency_kind}"
    limits = "".join(f", {name} {limit:.10g}{'' if name in SIZES else ' ms'}" for name, limit in record.limits.items())
    title = f"Front within {record.budget_ms:g} ms on {record.device} ({record.execution}){limits}: {label_of(record.metric)}"
    columns = [
        "<",
        "<id",
        ms,
        f"{100 * record.confidence:g} % interval",
        "validation",
        "expected",
        "MMACs",
        "M params",
        "peak KiB",
    ]
    tabulate(title, columns, rows, keys=2)
    if record.alike:
        answer(
            f"~ {record.validation_images} validation images cannot tell it from the best (within one standard error of the "
            "highest, image by image). Best is the fastest of these that gives up no more than half a point."
        )
    answer(f"best: {record.best.architecture}")


def conclude_search(run: Run, records: Sequence[SearchRecord]) -> None:
    found = ", ".join(f"{record.best.architecture.id} for {record.label}" for record in records)
    # Weights that were imported as they are, with their own classes, are there to be used without any training.
    conclude(f"Found {found}.", "finetune" if run.recipe.epochs else "export", run.path)
