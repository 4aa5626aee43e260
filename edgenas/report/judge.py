"""`judge`: what `edgenas.report.judgement` says of a run, step by step, from what the run's folder holds."""

from __future__ import annotations

from edgenas.baseline import PHOTO, trained_seconds
from edgenas.report import judgement
from edgenas.report.comparison import contestants
from edgenas.report.judgement import Result
from edgenas.search import SearchRecord, load_records
from edgenas.training import Run, load_finetuned


def judge(run: Run) -> list[str]:
    """Everything that can be said of a run now, in the order of the story: nothing of what has not been done."""
    return [*judge_training(run), *judge_search(run), *judge_finetuning(run), *judge_files(run)]


def judge_training(run: Run) -> list[str]:
    """By the validation accuracies with which the training ended."""
    largest, smallest = (_subnet(run, name) for name in ("largest", "smallest"))
    if largest is None or smallest is None:
        return []
    epochs = run.metrics()[-1]["epoch"]
    return judgement.on_training(largest, smallest, run.majority("validation"), epochs, _is_from_scratch(run), _longer(run))


def judge_search(run: Run) -> list[str]:
    """By the validation accuracies of what searches found."""
    records, images = load_records(run.path / "search"), run.images("validation")
    winners = [Result(_name(record), record.best.validation_accuracy, images) for record in records]
    others = [Result(c.architecture.id, c.validation_accuracy, images) for record in records for c in record.front
              if c.architecture not in {r.best.architecture for r in records}]  # fmt: skip
    said = judgement.on_search(winners, others, _subnet(run, "largest"), run.majority("validation"))
    if said and not _is_finetuned(run, records):
        said.append(f"edgenas finetune {run.path} may bring back what subnets lost by sharing their weights.")
    return said


def judge_finetuning(run: Run) -> list[str]:
    images, pairs = run.images("validation"), []
    for record in load_records(run.path / "search"):
        if (tuned := load_finetuned(run, record.best.architecture)) is not None:
            accuracies = (tuned.inherited_accuracy, tuned.accuracy)
            pairs.append(tuple(Result(_name(record), accuracy, images) for accuracy in accuracies))
    return judgement.on_finetuning(pairs)


def judge_files(run: Run) -> list[str]:
    """By the test accuracies and latencies of verified files, beside the baselines'."""
    everyone = contestants(run)
    if not any(not c.is_baseline for c in everyone):
        return []
    said, is_bad = [], False
    for place in dict.fromkeys(c.place for c in everyone if not c.emulated):
        here = [c for c in everyone if c.place == place]
        winners, baselines = ([c.result for c in here if c.is_baseline == kind] for kind in (False, True))
        _, _, runtime, _ = place
        sentences = judgement.on_baselines(winners, baselines)
        is_bad = is_bad or any(judgement.beats(b, w) for w in winners for b in baselines)
        said += [f"In {runtime}: {sentence}" for sentence in sentences]
    one_each = {c.name: c for c in everyone if not c.is_baseline}.values()
    for contestant in one_each:
        said += judgement.on_majority([Result(contestant.name, contestant.accuracy, contestant.images)], contestant.majority)
    if not any(c.is_baseline for c in everyone):
        said.append(f"Is that better than a network picked by hand? edgenas baseline {run.path} compares them.")
    if is_bad:
        records = load_records(run.path / "search")
        said.append(judgement.remedies(
            longer=_longer(run), is_photo=max(run.space.resolutions) >= PHOTO, from_scratch=_is_from_scratch(run),
            is_finetuned=_is_finetuned(run, records), path=str(run.path),
        ))  # fmt: skip
    return said


def _subnet(run: Run, name: str) -> Result | None:
    """The largest or the smallest subnet when training ended, on validation images."""
    measured = [row for row in run.metrics() if f"{name}_validation_accuracy" in row]
    if not measured:
        return None
    return Result(f"The {name} subnet", measured[-1][f"{name}_validation_accuracy"], run.images("validation"))


def _name(record: SearchRecord) -> str:
    return f"{record.device} {record.budget_ms:g} ms"


def _is_from_scratch(run: Run) -> bool:
    return not {"pretrained", "warm_start"} & set(run.config)


def _is_finetuned(run: Run, records: list[SearchRecord]) -> bool:
    return any(load_finetuned(run, record.best.architecture) is not None for record in records)


def _longer(run: Run) -> str:
    minutes = trained_seconds(run) / 60
    return f"a longer training (--time; it had {minutes:.1f} minutes)"
