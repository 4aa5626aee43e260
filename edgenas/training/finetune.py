"""`finetune`: a subnet trained on by itself, from the weights that it inherits from the supernet.

The folder finetune/ of a run holds `<architecture id>.safetensors` for every subnet that was: the weights, and how it did on
the validation images before and after.

A winner of a search was chosen for its validation accuracy, which therefore flatters it: of 48 subnets of a supernet for 2,400
CIFAR-10 images, the best three had 48.8, 50.0 and 55.4 % of 240 validation images and 40.3, 44.0 and 46.4 % of 3,000 test
images. After fine-tuning, 50.0, 49.6 and 55.8 %: worse, it seemed, of one, and on the test images 44.6, 47.3 and 49.5 %. So
fine-tuned weights are dismissed only where they are worse by more than chance explains.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import Tensor

from edgenas.data import resize
from edgenas.errors import CheckpointError
from edgenas.metric import ACCURACY, Score
from edgenas.processes import own_device
from edgenas.progress import Track, quiet
from edgenas.run import Run
from edgenas.space import Architecture
from edgenas.supernet import Network
from edgenas.training.checkpoint import described, fill, load_tensors, save_tensors
from edgenas.training.evaluation import Evaluator, in_fastest_runtime, score
from edgenas.training.recipe import LEARNING_RATES, Recipe, recipe_of
from edgenas.training.timing import epochs_in
from edgenas.training.trainer import EpochResult, Trainer
from edgenas.values import Within, plain
from edgenas.values.kinds import Line, Seconds

SHARE = 1 / 3
"""Of the epochs that trained the supernet, and of the optimiser's usual learning rate: more would forget what is inherited."""
CHANCE = 2.0
"""By how many standard errors weights must be worse before they are dismissed."""


@dataclass(frozen=True)
class FineTuned:
    """A subnet trained on by itself, with its own batch-norm statistics.

    inherited, score: on the validation images before and after, by the metric that decides whether it is used.
    standard_error: of their difference, image by image. seconds: that it was given instead of a number of epochs.
    """

    network: Network
    recipe: Recipe
    distilled: bool
    inherited: Score
    score: Score
    standard_error: float = 0.0
    seconds: float | None = None

    @property
    def is_used(self) -> bool:
        """Whether it takes the place of the inherited weights."""
        return self.score.value >= self.inherited.value - CHANCE * self.standard_error


def finetune_recipe(run: Run, epochs: int | None = None, learning_rate: float | None = None, seed: int = 0) -> Recipe:
    """The run's recipe for one network, by default for a third of its epochs, at its learning rate but no more than 0.05.

    That is with SGD; with another optimiser a third of its usual rate. Two winners on 2,566 flowers, whose supernet began with
    learned weights: 91.1 and 87.3 % of the test photos at 0.02, 89.8 and 86.4 % at 0.007, 86.8 and 84.2 % as inherited.

    Without averaged weights: over so few steps they would mostly be those that were inherited.
    """
    epochs = epochs or max(1, round(SHARE * run.recipe.epochs))
    rate = learning_rate or min(run.recipe.peak, SHARE * LEARNING_RATES[run.recipe.optimizer])
    return replace(
        run.recipe, scheme="single-path", epochs=epochs, learning_rate=rate, warmup=0.1, macs=(), teacher="", ema=0.0, seed=seed
    )


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
    seconds: float | None = None,
    distil: bool = True,
    track: Track = quiet,
    report: Callable[[EpochResult], None] = lambda result: None,
) -> FineTuned:
    """Train one subnet on by itself and keep the result in the run.

    evaluator: of the run's supernet and images, by the metric that decides.
    seconds: how long to train, about, instead of for the recipe's epochs; one epoch at least.
    distil: learn from the labels and from the largest subnet (Hinton et al., arXiv:1503.02531), not from labels alone.

    What was done in the same way is not done again. May be interrupted at any time and called again: a checkpoint
    follows every epoch.
    """
    done = load_finetuned(run, architecture)
    if done is not None and (_asked(done.recipe, done.seconds), done.distilled) == (_asked(recipe, seconds), distil):
        if done.score.metric == evaluator.metric.name:
            return done
        return _kept(run, architecture, evaluator, evaluator.network(architecture), done.network, recipe, distil, seconds)
    inherited = evaluator.network(architecture)
    teacher = as_teacher(evaluator.network(run.space.largest)) if distil else None
    checkpoint = _file(run, architecture, ".checkpoint")

    def trainer_of(recipe: Recipe) -> Trainer:
        return Trainer(run.space.restricted_to(architecture), evaluator.dataset, recipe, own_device(), teacher)

    if seconds is not None:
        recipe = replace(recipe, epochs=_epochs_begun(checkpoint, recipe) or epochs_in(trainer_of(recipe), seconds, track))
    trainer = trainer_of(recipe)
    trainer.supernet.adopt(inherited)
    with suppress(CheckpointError):  # there is none, or one of another recipe, which this one replaces
        trainer.load(checkpoint)

    def after_epoch(result: EpochResult) -> None:
        trainer.save(checkpoint)
        report(result)

    trainer.run(track, after_epoch)
    network = Evaluator(trainer.trained(), evaluator.dataset).network(trainer.supernet.space.largest)
    result = _kept(run, architecture, evaluator, inherited, network, recipe, distil, seconds)
    checkpoint.unlink(missing_ok=True)
    return result


def _kept(
    run: Run, architecture: Architecture, evaluator: Evaluator, inherited: Network, network: Network, recipe: Recipe,
    distil: bool, seconds: float | None,
) -> FineTuned:  # fmt: skip
    """A network that was trained on, beside the inherited one; saved in the run."""
    before, after = evaluator.answers(inherited), evaluator.answers(network)
    _, standard_error = evaluator.metric.difference(after, before)
    scores = score(before, evaluator.metric), score(after, evaluator.metric)
    result = FineTuned(network, recipe, distil, *scores, standard_error, seconds)
    save_finetuned(run, architecture, result)
    return result


def sweep_checkpoints(run: Run) -> None:
    """Delete the checkpoints of fine-tunings that ended: a process that is killed just then leaves one."""
    for path in (run.path / "finetune").glob("*.checkpoint.safetensors"):
        done = path.with_name(path.name.replace(".checkpoint", ""))
        with suppress(CheckpointError):
            _, checkpoint = load_tensors(path)
            if (
                done.exists()
                and load_tensors(done)[1].get("recipe") == checkpoint.get("recipe")
                and (checkpoint.get("epoch") == recipe_of(checkpoint.get("recipe"), path).epochs)
            ):
                path.unlink()


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


def load_finetuned(run: Run, architecture: Architecture) -> FineTuned | None:
    """What `finetune` kept of a subnet; None where it did not. Raises CheckpointError when the file is damaged."""
    path = _file(run, architecture)
    if not path.exists():
        return None
    tensors, about = load_tensors(path)
    network = Network(run.space.blocks(architecture), run.space.batch_norm_epsilon)
    for name, old in (("inherited", "inherited_accuracy"), ("score", "accuracy")):  # of earlier versions
        if old in about:
            about[name] = plain(Score.of_accuracy(about.pop(old), None))
    found = described(_About, about, path)
    return FineTuned(
        network=fill(network, tensors, path).eval(),
        recipe=recipe_of(found.recipe, path),
        distilled=found.distilled,
        inherited=_of_run(run, found.inherited),
        score=_of_run(run, found.score),
        standard_error=found.standard_error,
        seconds=found.seconds,
    )


def _of_run(run: Run, score: Score) -> Score:
    """A score on the run's validation images; earlier versions did not keep how many those were."""
    if score.images is None and score.metric == ACCURACY.name:
        return Score.of_accuracy(score.value, run.images("validation"))
    return score


@dataclass(frozen=True)
class _About:
    """What a file says of its weights; see `FineTuned`. Older ones say less."""

    architecture: Line
    recipe: dict[str, Any]
    distilled: bool
    inherited: Score
    score: Score
    standard_error: Annotated[float, Within(0, 1e3)] = 0.0
    seconds: Seconds | None = None


def save_finetuned(run: Run, architecture: Architecture, result: FineTuned) -> None:
    about = _About(str(architecture), result.recipe.to_dict(), result.distilled, result.inherited, result.score,
                   result.standard_error, result.seconds)  # fmt: skip
    save_tensors(_file(run, architecture), result.network.state_dict(), plain(about))


def _file(run: Run, architecture: Architecture, kind: str = "") -> Path:
    return run.path / "finetune" / f"{architecture.id}{kind}.safetensors"
