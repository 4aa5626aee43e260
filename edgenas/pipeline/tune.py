"""Tune: a training recipe for one's images, found by many short trainings."""

from __future__ import annotations

import csv
import io
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from edgenas.errors import EdgeNASError, UsageError
from edgenas.files import write_text
from edgenas.metric import ACCURACY, Metric
from edgenas.pipeline.train import default_folder, load, recipe_from, space_settings, tell
from edgenas.progress import Track, quiet
from edgenas.storage import open_storage
from edgenas.training import write_recipe
from edgenas.training.recipe import DEFAULTS
from edgenas.training.train import fit_epochs, settle
from edgenas.tuning import SAMPLERS, Trial, Tuning
from edgenas.values import OneOf, Within, checked
from edgenas.values.kinds import Epochs, Fit, GivenPath, GivenText, NewFolder, Resolutions, Seconds, Seed, Text, WidthFactor

TRIALS = 20  # that a time is meant for
Trials = Annotated[int, Within(1, 100_000)]

log = logging.getLogger("edgenas")


@dataclass(frozen=True)
class OpenTuning:
    """A study of trials, which earlier calls may have begun, the epochs of each, and the folder that its results go to."""

    tuning: Tuning
    epochs: int
    folder: Path


@dataclass(frozen=True)
class Tuned:
    """The finished trials, the best first. recipe: the file that was written. epochs: of each trial.

    summary: how the best was found. metric: by which they are judged.
    importances: how much each setting matters; empty while there are too few trials to tell.
    """

    trials: tuple[Trial, ...]
    recipe: Path
    epochs: int
    importances: dict[str, float]
    summary: str
    metric: str


def tune_recipe(
    data: str | Path, *, seconds: float | None = None, trials: int | None = None, track: Track = quiet,
    report: Callable[[Trial], None] = lambda trial: None, **options: Any,
) -> Tuned:  # fmt: skip
    """Find a training recipe for your images: learning rate, weight decay, momentum, label smoothing, batch size.

    seconds: how long to make trials. trials: the most in all, with those of earlier calls. options: see `open_tuning`.
    report: gets every trial when it is finished. Each is kept at once: interrupted, the next call goes on.
    """
    opened = open_tuning(str(data), seconds=seconds, trials=trials, track=track, **options)
    try:
        opened.tuning.run(seconds=seconds, trials=trials, track=track, report=report)
    finally:
        tuned = write_tuned(opened)
    return require_trials(tuned)


@checked
def open_tuning(
    data: GivenText, *, out: NewFolder | None = None, seconds: Seconds | None = None, trials: Trials | None = None,
    epochs: Epochs | None = None, sampler: Annotated[str, OneOf("sampler", SAMPLERS)] = "tpe",
    recipe_file: GivenPath | None = None, precision: str | None = None, storage: GivenText | None = None,
    seed: Seed | None = None, stream: bool = False, fit: Fit = "crop", family: GivenText | None = None,
    preset: str | None = None, width: WidthFactor | None = None, resolutions: Resolutions | None = None,
    metric: Text = ACCURACY.name, track: Track = quiet,
) -> OpenTuning:  # fmt: skip
    """A study of trials on a space and images, or the one that was begun.

    out: the run folder, whose tune/ all goes into. epochs: of each trial; unless told otherwise, `TRIALS` trials fit into the
    time. sampler: one of `edgenas.tuning.SAMPLERS`. recipe_file, precision: what is not tuned.
    storage: the URL of a database of trials that several machines share. metric: by which trials are judged.
    The others are those of `create` in `edgenas.pipeline.train`.
    """
    if seconds is None and trials is None:
        raise UsageError("Say how long to tune with `seconds`, or how many trials to make with `trials`.")
    if seconds is None and epochs is None:
        raise UsageError("Say how long each trial trains with `epochs`, or how long they may take together with `seconds`.")
    trial_s = math.inf if seconds is None else seconds / TRIALS
    recipe = recipe_from({"seed": seed, "precision": precision}, recipe_file)
    shared = None if storage is None else open_storage(storage)
    folder = (default_folder(data) if out is None else out) / "tune"
    settings = space_settings(family, preset, width, resolutions)
    space, dataset = load(data, settings, recipe.seed, stream, fit=fit, track=track)
    tell(dataset)
    judged_by = Metric.named(metric, dataset.classes)
    judged_by.require_images(dataset.validation.labels)
    recipe = settle(space, dataset, recipe, track)
    if shared is None:
        folder.mkdir(parents=True, exist_ok=True)
    trials_in = shared or f"sqlite:///{folder}/trials.db"
    tuning = Tuning(space, dataset, recipe, trials_in, sampler=sampler, seed=recipe.seed, metric=judged_by)
    settled = epochs or tuning.epochs or fit_epochs(space, dataset, recipe, trial_s, track).epochs
    tuning.settle_epochs(settled)
    if tuning.trials:
        log.info(f"Going on: {len(tuning.trials)} trial(s) are finished.")
    return OpenTuning(tuning, settled, folder)


def write_tuned(opened: OpenTuning) -> Tuned | None:
    """Write trials.csv and recipe.toml of the trials that are finished, however many; None where there is none."""
    tuning, trials = opened.tuning, opened.tuning.trials
    if not trials:
        return None
    best, whole = trials[0], sum(not trial.pruned for trial in trials)
    _write_trials(opened.folder / "trials.csv", tuning, trials)
    summary = (
        f"The best of {whole} trials of {opened.epochs} epoch{'s' * (opened.epochs != 1)} each ({len(trials) - whole} more "
        f"were given up early): {tuning.metric.label} {100 * best.accuracy:.2f} % on {len(tuning.dataset.validation)} "
        "validation images, mean of the largest and the smallest subnet."
    )
    # The file holds what differs from the defaults: what was given, and what was found.
    own, defaults = tuning.recipe.to_dict(), DEFAULTS.to_dict()
    given = {name: own[name] for name in own if own[name] != defaults[name] and name not in ("epochs", "seed", "precision")}
    found = {name: value if isinstance(value, int) else float(f"{value:.3g}") for name, value in best.fields.items()}
    path = opened.folder / "recipe.toml"
    write_recipe(path, given | found, summary)
    return Tuned(tuple(trials), path, opened.epochs, tuning.importances(), summary, tuning.metric.name)


def _write_trials(path: Path, tuning: Tuning, trials: list[Trial]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["number", "accuracy", "epochs", "pruned", *(p.field for p in tuning.parameters)])
    writer.writerows([t.number, t.accuracy, t.epochs, t.pruned, *t.fields.values()] for t in trials)
    write_text(path, text.getvalue())


def require_trials(tuned: Tuned | None) -> Tuned:
    """Raises EdgeNASError where no trial was finished."""
    if tuned is None:
        raise EdgeNASError("No trial was finished: allow more `seconds`.")
    return tuned
