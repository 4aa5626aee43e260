"""`judge`: what `edgenas.report.judgement` says of a run, step by step, from what the run's folder holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edgenas.baseline import PHOTO, SCRATCH, begins_with, trained_seconds
from edgenas.export import ExportedModel
from edgenas.metric import ACCURACY, Score
from edgenas.names import pasted
from edgenas.report import judgement
from edgenas.report.budgets import elsewhere, timed
from edgenas.report.comparison import Contestant, contestants, in_best_precisions
from edgenas.report.judgement import Result
from edgenas.report.summary import summarise
from edgenas.run import Run
from edgenas.search import SearchRecord, load_records
from edgenas.space import Architecture
from edgenas.training import FineTuned, load_finetuned, score_in


def judge(run: Run, files: Sequence[Contestant] | None = None) -> list[str]:
    """Everything that can be said of a run now, in the order of the story: nothing of what has not been done.

    files: its contestants, where they have been gathered.
    """
    return [*judge_training(run), *judge_search(run), *judge_finetuning(run), *judge_files(run, files)]


def judge_training(run: Run) -> list[str]:
    """By how the subnets did on validation images when the training ended."""
    largest, smallest = (_subnet(run, name) for name in ("largest", "smallest"))
    if largest is None or smallest is None:
        return []
    last, from_scratch = run.metrics()[-1], begins_with(run) == SCRATCH
    never_found = last.get("never_found", ())
    return judgement.on_training(largest, smallest, last["epoch"], from_scratch, _longer(run), never_found)


def judge_search(run: Run) -> list[str]:
    """By how what searches found does on validation images, after fine-tuning where there was any."""
    records = load_records(run.path / "search")
    tuned = _finetuned(run, records)
    winners = [Result(record.label, _score(run, record, tuned)) for record in records]
    behind = judgement.on_largest(winners, _subnet(run, "largest"))
    if behind and not tuned:
        behind.append(f"What would help: edgenas finetune {pasted(run.path)}; {_longer(run)}; a larger latency budget.")
    alike = [len(record.alike) for record in records]
    return [*judgement.on_search(list(zip(winners, alike, strict=True))), *behind]


def judge_finetuning(run: Run) -> list[str]:
    records = load_records(run.path / "search")
    tuned = _finetuned(run, records)
    pairs = []
    for record in records:
        if (one := tuned.get(record.best.architecture)) is not None:
            before, after = (Result(record.label, score) for score in (one.inherited, one.score))
            pairs.append((before, after))
    return judgement.on_finetuning(pairs)


def judge_export(run: Run, models: Sequence[ExportedModel]) -> list[str]:
    """By what is predicted of files in other runtimes than those that they were searched for."""
    return judgement.on_budgets(elsewhere(run, models), str(run.path))


def judge_files(run: Run, files: Sequence[Contestant] | None = None) -> list[str]:
    """By the test accuracies and latencies of verified files, beside the baselines'."""
    everyone = contestants(run) if files is None else files
    if not any(not c.is_baseline for c in everyone):
        return []
    records = load_records(run.path / "search")
    budgeted, said, is_bad = {record.execution.runtime for record in records}, [], False
    for place in dict.fromkeys(c.place for c in everyone if not c.emulated):
        here = in_best_precisions([c for c in everyone if c.place == place])
        winners, baselines = ([c.result for c in here if c.is_baseline == kind] for kind in (False, True))
        _, _, runtime, _ = place
        losses = judgement.on_losses(winners, baselines)
        # What is good news is told once: in the runtime that was searched for.
        gains = judgement.on_gains(winners, baselines) if runtime in budgeted else []
        said += [f"In {runtime}: {sentence}" for sentence in losses + gains]
        is_bad = is_bad or bool(losses)
    one_each = {c.title: c for c in everyone if not c.is_baseline}.values()
    for contestant in one_each:
        no_better = judgement.on_majority([Result(contestant.title, contestant.score)])
        if contestant.never_found:
            no_better.append(judgement.on_never_found(contestant.never_found, contestant.title))
        said, is_bad = said + no_better, is_bad or bool(no_better)
    said += judgement.on_budgets(timed(summarise(run)), str(run.path))
    if not any(c.is_baseline for c in everyone):
        said.append(f"Is that better than a network picked by hand? edgenas baseline {pasted(run.path)} compares them.")
    if is_bad:
        said.append(judgement.remedies(
            longer=_longer(run), is_photo=max(run.space.resolutions) >= PHOTO, from_scratch=begins_with(run) == SCRATCH,
            is_finetuned=bool(_finetuned(run, records)), path=pasted(run.path),
        ))  # fmt: skip
    return said


def _subnet(run: Run, name: str) -> Result | None:
    """The largest or the smallest subnet when training ended, on validation images."""
    measured = [row for row in run.metrics() if f"{name}_validation_accuracy" in row]
    if not measured:
        return None
    return Result(f"The {name} subnet", score_in(measured[-1], name, run.images("validation"), run.majority("validation")))


def _finetuned(run: Run, records: list[SearchRecord]) -> dict[Architecture, FineTuned]:
    """The winners that were trained on by themselves, each read once, however many searches it has won."""
    read = {winner: load_finetuned(run, winner) for winner in {record.best.architecture for record in records}}
    return {winner: tuned for winner, tuned in read.items() if tuned is not None}


def _score(run: Run, record: SearchRecord, finetuned: dict[Architecture, FineTuned]) -> Score:
    """Of the weights that are exported, in the precision that was searched in; finetuned: in float32. How those do in another
    precision, verification tells."""
    winner, precision = record.best.architecture, record.execution.precision
    tuned = finetuned.get(winner) if precision == "fp32" else load_finetuned(run, winner, precision)
    if tuned is not None and tuned.is_used:
        return tuned.score
    score = record.best_score
    known = score.constant is not None or score.metric != ACCURACY.name
    return score if known else replace(score, constant=run.majority("validation"))


def _longer(run: Run) -> str:
    minutes = trained_seconds(run) / 60
    return f"a longer training (--time; it had {minutes:.1f} minutes)"
