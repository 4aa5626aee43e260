"""A network designed by hand as a run of its own, of a space of one member, in baselines/ of the run that it is compared with.

It is trained on the same images by the code that trains supernets, exported and verified by the code for winners.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

from edgenas.baseline.choice import PHOTO, Choice
from edgenas.baseline.record import ABOUT, SCRATCH, begins_with, folder_of, trained_seconds
from edgenas.data import Dataset
from edgenas.errors import UsageError
from edgenas.export import Verification, export, load_exports, load_verifications, verify
from edgenas.latency import LatencyTable
from edgenas.metric import Metric
from edgenas.pretrained import PretrainedWeights, Published, open_weights, published_for
from edgenas.progress import Track, quiet
from edgenas.run import Run
from edgenas.training import Evaluator, Recipe, begin, load_images, load_supernet, train_supernet
from edgenas.training.recipe import ADAPTING, DEFAULTS
from edgenas.training.train import TRAINING_SHARE


def create(
    run: Run, choice: Choice, source: str | None = None, track: Track = quiet, *, seconds: float | None = None,
    epochs: int | None = None,
) -> tuple[Run, Dataset]:  # fmt: skip
    """The baseline of a run, opened where it was begun before, and its images: those of the run.

    It begins with published weights where there are some for it and for such images (`published_weights`), and they are here.

    source: where the run's images are now, if they have moved. seconds, epochs: how long to train in place of the time that the
    run was trained for; of a baseline that was begun before, its own counts.

    Raises UsageError where the run was not trained and nothing says how long, and where a file has its name.
    """
    path = folder_of(run, choice.name)
    if (path / "config.toml").exists():
        begun = Run.open(path)
        return begun, load_images(begun, source, track)
    if (path / ABOUT).exists():
        raise UsageError(f"{path} holds a file of yours: to train {choice.name}, give the file another name and delete {path}.")
    if not (epochs or seconds or trained_seconds(run)):
        raise UsageError(
            f"{run.path} was not trained, so there is no time to give a baseline", "say how long with `seconds`, such as 10m."
        )
    dataset, settings = load_images(run, source, track, at_least=choice.resolution), choice.settings
    weights = weights_for(run, choice)
    if weights:
        dataset = replace(dataset, mean=weights.mean, std=weights.std)
        settings = settings | weights.space_settings(choice.network)
    recipe = recipe_for(run, weights is not None)
    if epochs is not None:
        recipe, seconds = replace(recipe, epochs=epochs), None
    else:
        seconds = seconds or trained_seconds(run) / TRAINING_SHARE
    begun = begin(
        path, settings, dataset, run.config["data"]["seed"], recipe, weights, seconds=seconds, metric=run.metric, track=track
    )
    return begun, dataset


def published_weights(run: Run, choice: Choice) -> list[Published]:
    """What others have published that a person would begin with: for photos, and beside a run that begins so itself."""
    is_for_them = max(run.space.resolutions) >= PHOTO or begins_with(run) != SCRATCH
    return published_for(choice.network) if is_for_them and not choice.from_scratch else []


def weights_for(run: Run, choice: Choice) -> PretrainedWeights | None:
    """The first of them that are on this machine."""
    here = next((entry for entry in published_weights(run, choice) if entry.find()), None)
    return open_weights(here.name) if here else None


def recipe_for(run: Run, has_weights: bool) -> Recipe:
    """The run's recipe for one network alone; what is for weights that are there or not follows the network's beginning."""
    alone = replace(run.recipe, scheme="single-path", macs=())
    if has_weights == (begins_with(run) != SCRATCH):
        return alone
    usual = ADAPTING if has_weights else {name: getattr(DEFAULTS, name) for name in ADAPTING}
    return replace(alone, optimizer=DEFAULTS.optimizer, **usual)


def is_done(baseline: Run, precisions: Collection[str] = ("fp32",)) -> bool:
    """Whether its files in these precisions were verified, and passed."""
    verified = [v for model in load_exports(baseline.path / "export") for v in load_verifications(model.folder)]
    return {*precisions} <= {v.execution.precision for v in verified} and all(v.passed for v in verified)


def finish(
    baseline: Run,
    dataset: Dataset,
    tables: Sequence[LatencyTable] = (),
    track: Track = quiet,
    report: Callable[[dict[str, Any]], None] = lambda metrics: None,
    *,
    precisions: Sequence[str] = ("fp32",),
) -> list[Verification]:
    """Train a baseline to its end, export it and verify its files; whatever of that is done already stays as it is.

    precisions: of its files, see `edgenas.export.export`.
    tables: of timed latencies, for the speed that this machine's are stated for. report: gets the metrics of every epoch.
    May be interrupted at any time and called again.
    """
    train_supernet(baseline, dataset, track, report)
    if is_done(baseline, precisions):
        (model,) = load_exports(baseline.path / "export")
        return load_verifications(model.folder)
    space = baseline.space
    evaluator = Evaluator(load_supernet(baseline), dataset, metric=Metric.named(baseline.metric, dataset.classes))
    folder = baseline.path / "export" / space.largest.id
    model = export(evaluator, space.largest, folder, precisions=precisions, provenance=baseline.provenance)
    return verify(model, space, dataset, tables, track)
