"""Train a supernet: from images to a run whose weights every later step uses."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgenas.data import DataReport, Dataset, KnownClasses, RecordedSplit, load_dataset, open_source
from edgenas.errors import UsageError
from edgenas.extras import is_installed
from edgenas.metric import ACCURACY, Metric
from edgenas.names import pasted
from edgenas.pretrained import PretrainedWeights, align, open_weights
from edgenas.processes import device_name, first_of_machine_first, is_main_process, together
from edgenas.progress import Track, quiet
from edgenas.report import judge_training, plot_training
from edgenas.run import Run, require_text, space_of
from edgenas.space import SearchSpace, default_preset, is_file, read_description
from edgenas.training import Recipe, begin, load_images, read_recipe, recorded_split, weights_of
from edgenas.training import train_supernet as train_to_the_end
from edgenas.training.recipe import ADAPTING, DEFAULTS, check_length
from edgenas.values import checked
from edgenas.values.kinds import (
    EpochsOrNone,
    Fit,
    GivenPath,
    GivenText,
    NewFolder,
    Resolutions,
    Seconds,
    Seed,
    Text,
    WidthFactor,
)
from edgenas.words import counted

DEFAULT_FAMILY = "mobilenetv3"

log = logging.getLogger("edgenas")
Report = Callable[[dict[str, Any]], None]
"""Gets the metrics of every epoch."""


def unheard(metrics: dict[str, Any]) -> None:
    """A `Report` that nobody wants."""


@dataclass(frozen=True)
class Trained:
    """A run with its weights. is_new: whether this call trained it; else it was trained before.

    picture: the training's curve as PNG; None where no epoch was trained, or without the extra `report`.
    judgement: sentences on its outcome.
    """

    run: Run
    is_new: bool
    picture: Path | None = None
    judgement: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """last_epoch: the last line of metrics.jsonl; None of imported weights."""
        metrics = self.run.metrics()
        about = {"run": self.run.path, "is_new": self.is_new, "last_epoch": metrics[-1] if metrics else None}
        return about | {"picture": self.picture, "judgement": list(self.judgement)}


def train_supernet(data: str | Path, *, track: Track = quiet, report: Report = unheard, **options: Any) -> Run:
    """Train one supernet on labelled images. Every subnet of its space can then be used without training.

    data: a folder or an archive with one sub-folder per class, WebDataset shards, or `mnist5k` or `digits`.
    options: as `create` takes them, such as `out`, `family`, `pretrained`, `seconds` or `epochs`.

    Raises UsageError, before anything is trained, for what cannot be meant. What was interrupted goes on with `run.train()`.
    """
    with together():
        return train(create(str(data), track=track, **options), track=track, report=report).run


@checked
def create(
    data: GivenText, *, out: NewFolder | None = None, family: GivenText | None = None, preset: str | None = None,
    width: WidthFactor | None = None, resolutions: Resolutions | None = None, stream: bool = False, fit: Fit = "crop",
    seconds: Seconds | None = None, epochs: EpochsOrNone | None = None, seed: Seed | None = None,
    warm_start: GivenPath | None = None, pretrained: GivenText | None = None, recipe_file: GivenPath | None = None,
    metric: Text = ACCURACY.name, track: Track = quiet, **fields: Any,
) -> Run:  # fmt: skip
    """A new run folder, to be trained.

    out: the folder; runs/<data> unless told otherwise. family, preset, width, resolutions: the space, see
    `edgenas.space.get_space`; by default what suits the weights, or MobileNetV3's.
    stream: keep no decoded images on the disk. fit: how pictures become squares: `crop`, `pad` or `squeeze`.
    seed: of the split, the weights, the batches and the subnets.
    seconds, epochs: how long to train, about; no epochs at all import weights as they are, with their classes.
    warm_start: a trained run, pretrained: a name of `edgenas.pretrained.PUBLISHED` or a file, whose weights to begin with.
    metric: what makes one network better than another: accuracy, balanced, macro-f1 or recall:CLASS, see `edgenas.metric`.
    recipe_file, fields: what differs from the usual recipe (`edgenas.training.Recipe`), for learned weights from `ADAPTING`.

    Raises UsageError, and makes no folder, for what cannot be meant.
    """
    check_length(seconds, epochs)
    path = default_folder(data) if out is None else out
    require_text(path)
    if (path / "config.toml").exists():
        raise UsageError(f"{path} holds a run already", f"continue it with `resume` {pasted(path)}, or choose another `out`.")
    given = fields | {"epochs": epochs, "seed": seed}
    begins = warm_start is not None or pretrained is not None
    recipe = recipe_from(given, recipe_file, begins=begins, is_timed=seconds is not None)
    weights = weights_to_begin_with(warm_start, pretrained)
    if not recipe.epochs and weights is None:
        raise UsageError("Without an epoch nothing is learned: `epochs` 0 is for weights that are there, see `pretrained`.")
    settings = space_settings(family, preset, width, resolutions, weights)
    earlier = None if warm_start is None else recorded_split(Run.open(warm_start))
    space, dataset = load(
        data, settings, recipe.seed, stream, weights, as_it_is=not recipe.epochs, fit=fit, earlier=earlier, track=track
    )
    tell(dataset)
    judged_by = Metric.named(metric, dataset.classes)
    judged_by.require_images(dataset.validation.labels)
    settings["resolutions"] = list(space.resolutions)
    run = begin(path, settings, dataset, recipe.seed, recipe, weights, seconds=seconds, metric=judged_by.name, track=track)
    if recipe.epochs:
        why = ", the faster precision here" if recipe.precision == "auto" else ""
        log.info(f"Training on {device_name()} in {run.recipe.precision}{why}.")
    if seconds:
        log.info(f"What fits into {seconds:.0f} s: {counted(run.recipe.epochs, 'epoch')}.")
    return run


def recipe_from(given: dict[str, Any], file: Path | None = None, *, begins: bool = False, is_timed: bool = False) -> Recipe:
    """The recipe of what is given, before what a file says, before what is usual.

    begins: with learned weights, for which the usual is another. is_timed: the time decides how many epochs there are.
    """
    own = {} if file is None else read_recipe(file)
    usual = {"precision": "auto"} | (ADAPTING if begins else {})
    if (own | given).get("optimizer", DEFAULTS.optimizer) != DEFAULTS.optimizer:
        usual.pop("learning_rate", None)  # which is for the usual optimiser
    fields = usual | own
    if is_timed:
        fields.pop("epochs", None)
    return Recipe.from_dict(fields | {name: value for name, value in given.items() if value is not None})


def weights_to_begin_with(warm_start: Path | None, pretrained: str | None) -> PretrainedWeights | None:
    if warm_start is not None and pretrained is not None:
        raise UsageError("`warm_start` and `pretrained` exclude each other: a training begins with one set of weights.")
    if warm_start is not None:
        return weights_of(Run.open(warm_start))
    return None if pretrained is None else open_weights(pretrained)


def space_settings(
    family: str | None, preset: str | None, width: float | None, resolutions: tuple[int, ...] | None,
    weights: PretrainedWeights | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The arguments of `get_space`, but the classes, as a run keeps them."""
    if weights:
        settings = weights.space_settings(family, preset, width)
    else:
        settings = {"family": DEFAULT_FAMILY if family is None else family, "width": 1.0 if width is None else width}
        settings |= {} if preset is None else {"preset": preset}
    preset = settings.get("preset", default_preset(settings["family"]))
    settings |= {} if preset is None else {"preset": preset}
    if is_file(settings["family"]) and "description" not in settings:
        # A user's own file is copied into the run, which can then be opened where the file is not.
        settings["description"] = read_description(Path(settings["family"]))
    return settings | ({"resolutions": list(resolutions)} if resolutions else {})


def default_folder(data: str) -> Path:
    return Path("runs") / open_source(data).name


def load(
    data: str, settings: dict[str, Any], seed: int, stream: bool, weights: PretrainedWeights | None = None,
    as_it_is: bool = False, fit: str = "crop", earlier: RecordedSplit | None = None, track: Track = quiet,
) -> tuple[SearchSpace, Dataset]:  # fmt: skip
    """A space with the images that it is for, normalised as the weights want them.

    as_it_is: the weights are not trained any more, so that the classes are theirs.
    earlier: the split of the run that the weights are of. Its images stay in its parts.
    """
    asked = space_of(settings, classes=2)
    if weights:
        align(weights.space, asked)  # before any image is decoded
    known = None
    if weights and as_it_is:
        known = KnownClasses(weights.classes, {name: weights.classes[i] for name, i in weights.synonyms.items()})
    with first_of_machine_first():
        dataset = load_dataset(
            data, size=max(asked.resolutions), seed=seed, stream=stream, fit=fit, known=known, earlier=earlier,
            normalisation=(weights.mean, weights.std) if weights else None, track=track,
        )  # fmt: skip
    if dataset.streamed and not stream:
        log.info("The decoded images do not fit on the disk: they are decoded anew in every epoch, as with `stream`.")
    if earlier and dataset.pictures and (count := int((earlier.parts_of(dataset.pictures.facts["content"]) >= 0).sum())):
        log.info(
            f"The run that this begins with knows {counted(count, 'image')} of these: what it was trained on stays in the "
            "training images, so that it judges nothing."
        )
    return space_of(settings, len(dataset.classes)), dataset


def tell(dataset: Dataset) -> None:
    """Note what is in a data set, and what of it will mislead."""
    if report := DataReport.of(dataset):
        for fact in report.facts:
            log.info(fact)
        for warning in report.warnings:
            log.warning(f"Warning: {warning}")


@checked
def train(run: Run, data: GivenText | Dataset | None = None, *, track: Track = quiet, report: Report = unheard) -> Trained:
    """Train a run to its end, from its checkpoint where it has one. May be interrupted at any time and called again.

    data: where the run's images are now, if they have moved.
    """
    if run.weights.exists():
        if is_main_process() and run.metrics() and not run.picture.exists():
            _drawn(run)  # it was killed just before
        return Trained(run, is_new=False)
    with first_of_machine_first():
        dataset = load_images(run, data, track)
    log.info(
        f"{run.space.name}: {run.space.count():.3g} architectures; {len(dataset.train)} training, {len(dataset.validation)} "
        f"validation and {len(dataset.test)} test images in {len(dataset.classes)} classes."
    )
    train_to_the_end(run, dataset, track, report)
    if not (is_main_process() and run.metrics()):
        return Trained(run, is_new=True)
    return Trained(run, is_new=True, picture=_drawn(run), judgement=tuple(judge_training(run)))


def _drawn(run: Run) -> Path | None:
    if not is_installed("report", "The picture of the training"):
        return None
    plot_training(run.picture, run.metrics())
    return run.picture
