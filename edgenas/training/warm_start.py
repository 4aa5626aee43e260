"""How a training begins with what was learned before: by others (`edgenas.pretrained`) or in an earlier run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from edgenas.data import Dataset
from edgenas.pretrained import PretrainedWeights, embed
from edgenas.processes import is_main_process, wait_for_all
from edgenas.progress import Track, quiet
from edgenas.run import Run, space_of
from edgenas.training.evaluation import as_seen
from edgenas.training.loading import load_supernet
from edgenas.training.recipe import Recipe
from edgenas.training.train import fit_epochs, settle
from edgenas.training.trainer import Trainer

MEASURED = 256
"""Training images, from whose statistics the batch norms of layers begin that the weights lack."""


def warm_started(trainer: Trainer, weights: PretrainedWeights) -> Trainer:
    """The trainer with a supernet that computes, before its first step, what the weights do.

    Its images must be normalised as the weights' were. Classes of the same name keep their rows of the classifier. Raises
    UsageError where the space has no place for the weights.
    """
    dataset, supernet = trainer.dataset, trainer.supernet

    def images() -> Iterator[Tensor]:
        chosen = np.random.default_rng(0).permutation(len(dataset.train))[:MEASURED]
        batches = as_seen(dataset, dataset.train, max(supernet.space.resolutions), np.sort(chosen), str(trainer.device))
        return (batch for batch, _ in batches)

    embed(weights, supernet, dataset.classes, images)
    return trainer


def begin(
    path: Path, settings: dict[str, Any], dataset: Dataset, seed: int, recipe: Recipe,
    weights: PretrainedWeights | None = None, *, seconds: float | None = None, metric: str = "accuracy", track: Track = quiet,
) -> Run:  # fmt: skip
    """A new run, to be trained from random weights or from learned ones, which then are its first checkpoint.

    settings: the arguments of `get_space`, but the classes, of the space. dataset: normalised as the weights want it.
    recipe: where it leaves the precision open, the run's has the faster one here. seconds: how long to train, about, in place
    of the recipe's epochs. metric: what it is judged by, see `edgenas.metric`.

    Of several processes that train together all call this; the first one makes the folder. Raises UsageError, and makes no run,
    where the space has no place for the weights, and for a teacher that cannot teach this data set.
    """
    space = space_of(settings, len(dataset.classes))
    recipe = settle(space, dataset, recipe, track)
    if seconds is not None:
        recipe = fit_epochs(space, dataset, recipe, seconds, track)
    if is_main_process():
        if weights:
            # Before there is a run: one that is interrupted here must not go on from random weights.
            warm_started(Trainer(space, dataset, recipe), weights).save(Run(path, {}).checkpoint)
        Run.create(path, settings, dataset, seed, recipe, weights.about if weights else None, metric)
    wait_for_all()
    return Run.open(path)


def weights_of(run: Run) -> PretrainedWeights:
    """What an earlier run has learned. Raises CheckpointError where it is not trained to its end."""
    return PretrainedWeights(
        name=str(run.path),
        space=run.space,
        tensors=load_supernet(run).state_dict(),
        classes=run.classes,
        mean=tuple(run.config["data"]["mean"]),
        std=tuple(run.config["data"]["std"]),
        settings=run.config["space"],
        about={"warm_start": {"run": str(run.path.resolve())}},
    )
