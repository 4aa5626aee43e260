"""`edgenas export`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from edgenas.cli.display import percent, say, track
from edgenas.cli.options import data_option, open_run, run_argument
from edgenas.data import Dataset
from edgenas.errors import UsageError
from edgenas.export import FORMATS, ExportedModel, export
from edgenas.search import Candidate, SearchRecord, load_records
from edgenas.space import Architecture, unknown
from edgenas.training import Evaluator, Run, load_finetuned


@click.command("export")
@run_argument
@click.option(
    "--format", "formats", type=click.Choice(list(FORMATS)), multiple=True, help="May be given several times.  [default: all]"
)
@click.option(
    "--architecture", metavar="ID", help="One member of a search's front by its id.  [default: the best of every search]"
)
@click.option("--dynamic-batch", is_flag=True, help="Let the ONNX file take any number of images at once.")
@data_option
def command(
    run: Path | None, formats: tuple[str, ...], architecture: str | None, dynamic_batch: bool, data: str | None
) -> None:
    """Write the winners of a run's searches as files that a device runs.

    \b
    edgenas export runs/photos --format onnx --format tflite
    edgenas export runs/photos --architecture 1f0c53aa --format onnx --dynamic-batch

    Files are in export/<id>/ of the run, with classes, preprocessing and provenance inside. Each is run once before it is
    put in place.
    """
    opened = open_run(run)
    for model in export_run(opened, opened.dataset(data, track), formats or tuple(FORMATS), architecture, dynamic_batch):
        names = ", ".join(f"{file.name} ({file.stat().st_size / 1024:.0f} KiB)" for file in model.files)
        say(f"{model.folder}: {names}; validation accuracy {accuracy(model)}")
    say(f"Next: edgenas verify {opened.path}")


def export_run(
    run: Run, dataset: Dataset, formats: tuple[str, ...], architecture_id: str | None = None, dynamic_batch: bool = False
) -> list[ExportedModel]:
    """Export the best of every search of a run, or the one architecture named, with fine-tuned weights where there are any."""
    subnets = chosen(run, architecture_id)
    evaluator = Evaluator(run.supernet(), dataset)
    models = []
    for architecture, budgets in track(subnets.items(), "Exporting", len(subnets)):
        folder = run.path / "export" / architecture.id
        models.append(
            export(
                evaluator,
                architecture,
                folder,
                formats,
                dynamic_batch=dynamic_batch,
                budgets=tuple(budgets),
                provenance=run.provenance,
                finetuned=load_finetuned(run, architecture),
            )
        )
    return models


def chosen(run: Run, architecture_id: str | None = None) -> dict[Architecture, list[dict]]:
    """The best of every search of a run, or the one member of a front that is named, and for which budgets each was chosen."""
    records = load_records(run.path / "search")
    if not records:
        raise UsageError(
            f"{run.path} has no search to choose from: run edgenas search {run.path} --device cpu --latency 2ms first."
        )
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


def accuracy(model: ExportedModel) -> str:
    """On validation images; before and after where the subnet is fine-tuned."""
    after = percent(model.validation_accuracy)
    return after if model.inherited_accuracy is None else f"{after}, fine-tuned from {percent(model.inherited_accuracy)}"


def _budget(record: SearchRecord, candidate: Candidate) -> dict:
    kept = ("device", "runtime", "threads", "precision", "budget_ms", "confidence", "latency_kind", "latency_provenance")
    latency = {name: asdict(candidate)[name] for name in ("latency_ms", "latency_low_ms", "latency_high_ms")}
    return {name: getattr(record, name) for name in kept} | latency
