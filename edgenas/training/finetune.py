"""`finetune`: a subnet trained on by itself, from the weights that it inherits from the supernet; in int8 from those of its
float files, in the arithmetic of int8."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from edgenas.data import resize
from edgenas.errors import CheckpointError
from edgenas.processes import own_device
from edgenas.progress import Track, quiet
from edgenas.quantisation.calibration import Calibration
from edgenas.run import Run
from edgenas.space import Architecture, SearchSpace
from edgenas.supernet import Network, Supernet
from edgenas.training.checkpoint import load_tensors
from edgenas.training.evaluation import Evaluator, in_fastest_runtime, score
from edgenas.training.finetuned import FineTuned, finetuned_file, load_finetuned, save_finetuned
from edgenas.training.quantised import QuantisedSupernet
from edgenas.training.recipe import LEARNING_RATES, Recipe, recipe_of
from edgenas.training.timing import epochs_in
from edgenas.training.trainer import EpochResult, Trainer, new_supernet

SHARE = 1 / 3
"""Of the epochs that trained the supernet, and of the optimiser's usual learning rate: more would forget what is inherited."""


def finetune_recipe(
    run: Run, epochs: int | None = None, learning_rate: float | None = None, seed: int = 0, precision: str = "fp32"
) -> Recipe:
    """The run's recipe for one network, by default for a third of its epochs, at its learning rate but no more than 0.05.

    That is with SGD; with another optimiser a third of its usual rate. Two winners on 2,566 flowers, whose supernet began with
    learned weights: 91.1 and 87.3 % of the test photos at 0.02, 89.8 and 86.4 % at 0.007, 86.8 and 84.2 % as inherited.

    Without averaged weights: over so few steps they would mostly be those that were inherited.

    In int8 for a third of that and at a tenth of that rate: little is to be made up for.
    """
    less, slower = (1 / 3, 0.1) if precision == "int8" else (1.0, 1.0)
    epochs = epochs or max(1, round(less * SHARE * run.recipe.epochs))
    rate = learning_rate or slower * min(run.recipe.peak, SHARE * LEARNING_RATES[run.recipe.optimizer])
    recipe = replace(
        run.recipe, scheme="single-path", epochs=epochs, learning_rate=rate, warmup=0.1, macs=(), teacher="", ema=0.0, seed=seed
    )
    return replace(recipe, precision="float32", dropout=0.0) if precision == "int8" else recipe


def as_teacher(network: Network) -> Callable[[Tensor], Tensor]:
    """A network as a function from normalised images of any size to logits."""
    compute = in_fastest_runtime(network)

    @torch.no_grad()
    def teacher(images: Tensor) -> Tensor:
        return compute(resize(images, network.resolution))

    return teacher


def finetune(
    run: Run,
    evaluator: Evaluator,
    architecture: Architecture,
    recipe: Recipe,
    *,
    precision: str = "fp32",
    per_tensor: bool = False,
    seconds: float | None = None,
    distil: bool | None = None,
    track: Track = quiet,
    report: Callable[[EpochResult], None] = lambda result: None,
) -> FineTuned:
    """Train one subnet on by itself and keep the result in the run.

    evaluator: of the run's supernet and images, by the metric that decides.
    precision: `fp32`, or `int8` for weights and ranges of int8 files alone. per_tensor: see `Quantisation`.
    seconds: how long to train, about, instead of for the recipe's epochs; one epoch at least.
    distil: learn from the labels and from a teacher (Hinton et al., arXiv:1503.02531), not from labels alone. That is the
        largest subnet; in int8 the network itself in floats. None: in int8 alone. As long as the largest subnet computes, a
        subnet of a fraction of its size sees most of another epoch, which teaches it more: see docs/measured.md.

    What was done in the same way is not done again. May be interrupted at any time and called again: a checkpoint
    follows every epoch.
    """
    distil = precision == "int8" if distil is None else distil
    begin = (_Quantised if precision == "int8" else _Inherited)(run, evaluator, architecture, per_tensor)
    done = load_finetuned(run, architecture, precision)
    if done is not None and _is_done(done, recipe, seconds, distil) and begin.origin == done.origin:
        if done.score.metric == evaluator.metric.name:
            return done
        return _kept(run, begin, done.network, done.calibration, recipe, distil, seconds)
    teacher = as_teacher(begin.teacher) if distil else None
    checkpoint = finetuned_file(run, architecture, precision, ".checkpoint")

    def trainer_of(recipe: Recipe) -> Trainer:
        space = run.space.restricted_to(architecture)
        return Trainer(space, evaluator.dataset, recipe, own_device(), teacher, begin.supernet(space, recipe))

    if seconds is not None:
        recipe = replace(recipe, epochs=_epochs_begun(checkpoint, recipe) or epochs_in(trainer_of(recipe), seconds, track))
    trainer = trainer_of(recipe)
    with suppress(CheckpointError):  # there is none, or one of another recipe, which this one replaces
        trainer.load(checkpoint)

    def after_epoch(result: EpochResult) -> None:
        trainer.save(checkpoint)
        report(result)

    trainer.run(track, after_epoch)
    result = _kept(run, begin, *begin.trained(trainer), recipe, distil, seconds)
    checkpoint.unlink(missing_ok=True)
    return result


@dataclass(frozen=True)
class _Inherited:
    """What a training begins with: the weights that a subnet inherits."""

    run: Run
    evaluator: Evaluator
    architecture: Architecture
    per_tensor: bool = False

    @cached_property
    def network(self) -> Network:
        return self.evaluator.network(self.architecture)

    @property
    def calibration(self) -> Calibration | None:
        """To compute them in int8."""
        return None

    @property
    def teacher(self) -> Network:
        return self.evaluator.network(self.run.space.largest)

    @property
    def origin(self) -> str:
        """Names them, where they are not the same whenever they are asked for."""
        return ""

    def supernet(self, space: SearchSpace, recipe: Recipe) -> Supernet:
        """To be trained, with these weights. space: of this architecture alone."""
        supernet = new_supernet(space, recipe)
        supernet.adopt(self.network)
        return supernet

    def trained(self, trainer: Trainer) -> tuple[Network, Calibration | None]:
        supernet = trainer.trained()
        return Evaluator(supernet, self.evaluator.dataset).network(supernet.space.largest), None


class _Quantised(_Inherited):
    """The weights of the float files, calibrated."""

    @cached_property
    def network(self) -> Network:
        tuned = load_finetuned(self.run, self.architecture)
        return super().network if tuned is None or not tuned.is_used else tuned.network

    @cached_property
    def calibration(self) -> Calibration:
        return self.evaluator.calibration(self.network, per_tensor=self.per_tensor)

    @property
    def teacher(self) -> Network:
        return self.network

    @cached_property
    def origin(self) -> str:
        values = b"".join(tensor.cpu().numpy().tobytes() for tensor in self.network.state_dict().values())
        return hashlib.sha256(values + bytes(self.per_tensor)).hexdigest()[:12]

    def supernet(self, space: SearchSpace, recipe: Recipe) -> QuantisedSupernet:
        return QuantisedSupernet(space, self.network, self.calibration)

    def trained(self, trainer: Trainer) -> tuple[Network, Calibration | None]:
        learned = trainer.supernet
        assert isinstance(learned, QuantisedSupernet)
        return learned.extract(learned.space.largest).cpu(), learned.calibration


def _kept(
    run: Run, begin: _Inherited, network: Network, calibration: Calibration | None, recipe: Recipe, distil: bool,
    seconds: float | None,
) -> FineTuned:  # fmt: skip
    """A network that was trained on, beside what it began with; saved in the run."""
    evaluator, metric = begin.evaluator, begin.evaluator.metric
    before = evaluator.answers(begin.network, calibration=begin.calibration)
    after = evaluator.answers(network, calibration=calibration)
    _, standard_error = metric.difference(after, before)
    scores = score(before, metric), score(after, metric)
    result = FineTuned(network, recipe, distil, *scores, standard_error, seconds, calibration, begin.origin)
    save_finetuned(run, begin.architecture, result)
    return result


def _is_done(done: FineTuned, recipe: Recipe, seconds: float | None, distil: bool) -> bool:
    return (_asked(done.recipe, done.seconds), done.distilled) == (_asked(recipe, seconds), distil)


def _asked(recipe: Recipe, seconds: float | None) -> tuple[Recipe, float | None]:
    """What was asked for: the epochs that fit into a time are no part of it."""
    return (recipe if seconds is None else replace(recipe, epochs=1)), seconds


def _epochs_begun(checkpoint: Path, recipe: Recipe) -> int | None:
    """How many epochs an interrupted training of this recipe was to have."""
    with suppress(CheckpointError):
        _, about = load_tensors(checkpoint)
        begun = recipe_of(about.get("recipe"), checkpoint)
        if replace(begun, epochs=recipe.epochs) == recipe:
            return begun.epochs
    return None
