"""`finetune`: a subnet trained on by itself, from the weights that it inherits from the supernet.

The folder finetune/ of a run holds `<architecture id>.safetensors` for every subnet that was: the weights, and the
validation accuracy before and after.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edgenas.data import resize
from edgenas.errors import CheckpointError
from edgenas.processes import own_device
from edgenas.progress import Track, quiet
from edgenas.space import Architecture
from edgenas.supernet import Network
from edgenas.training.checkpoint import load_tensors, save_tensors
from edgenas.training.evaluation import Evaluator
from edgenas.training.recipe import Recipe
from edgenas.training.run import Run
from edgenas.training.trainer import EpochResult, Trainer

EPOCHS = 5
LEARNING_RATE_SHARE = 0.1
"""Of the learning rate that trained the supernet: enough to move, too little to forget."""


@dataclass(frozen=True)
class FineTuned:
    """A subnet trained on by itself, with its own batch-norm statistics.

    inherited_accuracy, accuracy: on the validation images, in 0..1, before and after.
    """

    network: Network
    recipe: Recipe
    distilled: bool
    inherited_accuracy: float
    accuracy: float

    @property
    def is_better(self) -> bool:
        """Whether it is to be used in place of the inherited weights."""
        return self.accuracy >= self.inherited_accuracy


def finetune_recipe(run: Run, epochs: int = EPOCHS, learning_rate: float | None = None, seed: int = 0) -> Recipe:
    """The run's recipe for one network, by default at a tenth of its learning rate."""
    rate = learning_rate or LEARNING_RATE_SHARE * run.recipe.learning_rate
    return replace(
        run.recipe, scheme="single-path", epochs=epochs, learning_rate=rate, warmup=0.1, macs=(), teacher="", seed=seed
    )


def as_teacher(network: Network) -> Callable[[Tensor], Tensor]:
    """A network as a function from normalised images of any size to logits."""

    @torch.no_grad()
    def teacher(images: Tensor) -> Tensor:
        return network(resize(images, network.resolution))

    return teacher


def finetune(
    run: Run,
    evaluator: Evaluator,
    architecture: Architecture,
    recipe: Recipe,
    *,
    distil: bool = True,
    track: Track = quiet,
    report: Callable[[EpochResult], None] = lambda result: None,
) -> FineTuned:
    """Train one subnet on by itself and keep the result in the run.

    evaluator: of the run's supernet and images.
    distil: learn from the labels and from the largest subnet (Hinton et al., arXiv:1503.02531), not from labels alone.

    What was done with the same recipe is not done again. May be interrupted at any time and called again: a checkpoint
    follows every epoch.
    """
    done = load_finetuned(run, architecture)
    if done is not None and (done.recipe, done.distilled) == (recipe, distil):
        return done
    inherited = evaluator.network(architecture)
    teacher = as_teacher(evaluator.network(run.space.largest)) if distil else None
    trainer = Trainer(run.space.restricted_to(architecture), evaluator.dataset, recipe, own_device(), teacher)
    trainer.supernet.adopt(inherited)
    checkpoint = _file(run, architecture, ".checkpoint")
    with suppress(CheckpointError):  # there is none, or one of another recipe, which this one replaces
        trainer.load(checkpoint)

    def after_epoch(result: EpochResult) -> None:
        trainer.save(checkpoint)
        report(result)

    trainer.run(track, after_epoch)
    alone = Evaluator(trainer.trained(), evaluator.dataset)
    network = alone.network(trainer.supernet.space.largest)
    result = FineTuned(network, recipe, distil, evaluator.network_accuracy(inherited), alone.network_accuracy(network))
    save_finetuned(run, architecture, result)
    checkpoint.unlink(missing_ok=True)
    return result


def load_finetuned(run: Run, architecture: Architecture) -> FineTuned | None:
    """What `finetune` kept of a subnet; None where it did not. Raises CheckpointError when the file is damaged."""
    path = _file(run, architecture)
    if not path.exists():
        return None
    tensors, about = load_tensors(path)
    network = Network(run.space.blocks(architecture), run.space.batch_norm_epsilon)
    network.load_state_dict(tensors)
    return FineTuned(
        network.eval(), Recipe.from_dict(about["recipe"]), about["distilled"], about["inherited_accuracy"], about["accuracy"]
    )


def save_finetuned(run: Run, architecture: Architecture, result: FineTuned) -> None:
    about: dict[str, Any] = {
        "architecture": str(architecture),
        "recipe": result.recipe.to_dict(),
        "distilled": result.distilled,
        "inherited_accuracy": result.inherited_accuracy,
        "accuracy": result.accuracy,
    }
    save_tensors(_file(run, architecture), result.network.state_dict(), about)


def _file(run: Run, architecture: Architecture, kind: str = "") -> Path:
    return run.path / "finetune" / f"{architecture.id}{kind}.safetensors"
