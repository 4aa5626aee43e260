"""A network designed by hand as a run of its own, of a space of one member, in baselines/ of the run that it is compared with.

It is trained on the same images by the code that trains supernets, exported and verified by the code for winners.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from edgenas.baseline.choice import Choice
from edgenas.baseline.record import folder_of, trained_seconds
from edgenas.data import Dataset
from edgenas.errors import UsageError
from edgenas.export import Verification, export, load_exports, load_verifications, verify
from edgenas.latency import LatencyTable
from edgenas.processes import own_device
from edgenas.progress import Track, quiet
from edgenas.training import Evaluator, Recipe, Run, Trainer, train_supernet
from edgenas.training.timing import epochs_in
from edgenas.training.train import fit_epochs


def create(
    run: Run, choice: Choice, source: str | None = None, track: Track = quiet, *, seconds: float | None = None,
    epochs: int | None = None,
) -> tuple[Run, Dataset]:  # fmt: skip
    """The baseline of a run, opened where it was begun before, and its images: those of the run.

    source: where the run's images are now, if they have moved. seconds, epochs: how long to train in place of the time that the
    run was trained for; of a baseline that was begun before, its own counts.

    Raises UsageError where the run was not trained and nothing says how long.
    """
    path = folder_of(run, choice.name)
    if (path / "config.toml").exists():
        begun = Run.open(path)
        return begun, begun.dataset(source, track)
    run_seconds = trained_seconds(run)
    if not (run_seconds or seconds or epochs):
        raise UsageError(f"{run.path} was not trained, so there is no time to give a baseline: say how long with --time 10m.")
    dataset = images_of(run, choice.resolution, source, track)
    space = choice.space(len(dataset.classes))
    recipe = recipe_for(run)
    if epochs is not None:
        recipe = replace(recipe, epochs=epochs)
    elif seconds is not None:
        recipe = fit_epochs(space, dataset, recipe, seconds)
    else:
        trainer = Trainer(space, dataset, recipe, own_device())
        recipe = replace(recipe, epochs=epochs_in(trainer, run_seconds))
    return Run.create(path, choice.settings, dataset, run.config["data"]["seed"], recipe), dataset


def images_of(run: Run, resolution: int, source: str | None, track: Track) -> Dataset:
    """The run's own images; larger ones where the network takes larger ones."""
    data = run.config["data"]
    return replace(run, config=run.config | {"data": data | {"size": max(data["size"], resolution)}}).dataset(source, track)


def recipe_for(run: Run) -> Recipe:
    """The run's recipe for one network alone."""
    return replace(run.recipe, scheme="single-path", macs=())


def is_done(baseline: Run) -> bool:
    """Whether all its files were verified, and passed."""
    verified = [load_verifications(model.folder) for model in load_exports(baseline.path / "export")]
    return bool(verified) and all(results and all(v.passed for v in results) for results in verified)


def finish(
    baseline: Run,
    dataset: Dataset,
    tables: Sequence[LatencyTable] = (),
    track: Track = quiet,
    report: Callable[[dict[str, Any]], None] = lambda metrics: None,
) -> list[Verification]:
    """Train a baseline to its end, export it and verify its files; whatever of that is done already stays as it is.

    tables: of timed latencies, for the speed that this machine's are stated for. report: gets the metrics of every epoch.
    May be interrupted at any time and called again.
    """
    train_supernet(baseline, dataset, track, report)
    if is_done(baseline):
        (model,) = load_exports(baseline.path / "export")
        return load_verifications(model.folder)
    space = baseline.space
    evaluator = Evaluator(baseline.supernet(), dataset)
    folder = baseline.path / "export" / space.largest.id
    model = export(evaluator, space.largest, folder, provenance=baseline.provenance)
    return verify(model, space, dataset, tables, track)
