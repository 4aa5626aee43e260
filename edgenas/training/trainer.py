"""The training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgenas.data import Augmentation, Dataset, balanced_shares, epoch_batches, normalise, prefetch, resize
from edgenas.errors import CheckpointError, DivergenceError
from edgenas.progress import Track, quiet
from edgenas.space import SearchSpace
from edgenas.supernet import Network, Supernet
from edgenas.training.checkpoint import load_tensors, save_tensors
from edgenas.training.losses import distillation, supervised
from edgenas.training.optimizer import learning_rate, make_optimizer
from edgenas.training.recipe import Recipe
from edgenas.training.schemes import Draw, Phase, make_scheme


@dataclass(frozen=True)
class EpochResult:
    """What one epoch did. `loss` is the mean training loss of the largest subnet of each step."""

    epoch: int
    phase: str
    loss: float
    learning_rate: float
    seconds: float


class Trainer:
    """Trains a supernet on a data set after a recipe.

    All randomness of an epoch follows from the recipe's seed and the epoch's number, so a training that continues from
    a checkpoint ends with the same weights as one that was never interrupted.
    """

    def __init__(self, space: SearchSpace, dataset: Dataset, recipe: Recipe, device: str = "cpu"):
        torch.manual_seed(recipe.seed)
        self.dataset = dataset
        self.recipe = recipe
        self.device = torch.device(device)
        self.scheme = make_scheme(space, recipe)
        self.augment = Augmentation.for_dataset(dataset)
        self.supernet = Supernet(space, recipe.initialisation).to(self.device)
        self.optimizer = make_optimizer(self.supernet, recipe)
        self.teacher: Network | None = None
        self.average: dict[str, Tensor] | None = None
        self.epoch = 0  # epochs done
        self.seconds = 0.0  # of training, over all interruptions

    # ---- schedule ----

    @property
    def steps_per_epoch(self) -> int:
        return max(1, len(self.dataset.train) // self.recipe.batch_size)

    @property
    def steps(self) -> int:
        return self.recipe.epochs * self.steps_per_epoch

    def phase(self, step: int) -> Phase:
        return [phase for phase in self.scheme.phases if round(phase.start * self.steps) <= step][-1]

    # ---- training ----

    def run(self, track: Track = quiet, after_epoch: Callable[[EpochResult], None] = lambda result: None) -> None:
        """Train to the end of the recipe. `after_epoch` is called when an epoch is done, to record and to save."""
        first = self.epoch * self.steps_per_epoch
        for step, loss in track(self._steps(first, after_epoch), "Training", self.steps - first):
            if not math.isfinite(loss):
                raise DivergenceError(
                    f"The loss became {loss} at step {step}: training diverged. Start again with a lower --learning-rate "
                    f"(it was {self.recipe.learning_rate:g})."
                )

    def _steps(self, first: int, after_epoch: Callable[[EpochResult], None]) -> Iterator[tuple[int, float]]:
        step = first
        while self.epoch < self.recipe.epochs:
            started, losses = time.perf_counter(), []
            for images, labels in self.batches(self.epoch):
                losses.append(self.step(step, images, labels))
                yield step, losses[-1]
                step += 1
            self.epoch += 1
            self.seconds += time.perf_counter() - started
            rate, phase = learning_rate(self.recipe, step - 1, self.steps), self.phase(step - 1).name
            after_epoch(EpochResult(self.epoch, phase, float(np.mean(losses)), rate, self.seconds))

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The augmented batches of an epoch: `(b, 3, s, s)` float images at the largest resolution, `(b,)` labels."""
        generator = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + epoch)

        def load() -> Iterator[tuple[Tensor, Tensor]]:
            shares = balanced_shares(self.dataset.train.labels) if self.recipe.balance else None
            batches = epoch_batches(len(self.dataset.train), self.recipe.batch_size, self.recipe.seed, epoch, shares)
            for images, labels in self.dataset.train.batches(batches):
                yield self.augment(normalise(images, self.dataset.mean, self.dataset.std), generator), labels

        yield from prefetch(load())

    def step(self, step: int, images: Tensor, labels: Tensor) -> float:
        """One update. Returns the loss of the step's first subnet."""
        phase = self.phase(step)
        if step > 0 and phase != self.phase(step - 1):
            self._enter(phase)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.recipe, step, self.steps)
        images, labels = images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)

        self.supernet.train()
        self.optimizer.zero_grad(set_to_none=True)
        first_loss, largest_logits = 0.0, None
        for draw in self.scheme.draw(phase, np.random.default_rng([self.recipe.seed, step])):
            part = slice(round(draw.share[0] * len(images)), round(draw.share[1] * len(images)))
            if part.stop - part.start < 2:
                continue  # the batch is smaller than usual, and one image has no batch statistics
            inputs = resize(images[part], draw.architecture.resolution)
            logits = self.supernet(inputs, draw.architecture)
            if draw.teacher == "largest" and largest_logits is not None:
                loss = distillation(logits, largest_logits[part])
            else:
                loss = supervised(logits, labels[part], self.recipe.label_smoothing, self._teacher_logits(draw, images[part]))
            (draw.weight * loss).backward()
            if largest_logits is None:
                first_loss, largest_logits = loss.item(), logits.detach()
        self.optimizer.step()
        self._update_average()
        return first_loss

    @torch.no_grad()
    def _teacher_logits(self, draw: Draw, images: Tensor) -> Tensor | None:
        if draw.teacher != "frozen" or self.teacher is None:
            return None
        return self.teacher(resize(images, self.teacher.resolution))

    def _enter(self, phase: Phase) -> None:
        """Begin a phase. Where channels move, momentum and average begin anew: theirs are those of other channels."""
        if self.teacher is None and self.scheme.freezes_teacher:
            self.teacher = self.supernet.extract(self.supernet.space.largest)
        if phase.sorts:
            self.supernet.sort_channels()
            self.optimizer = make_optimizer(self.supernet, self.recipe)
            self.average = None

    def _update_average(self) -> None:
        if not self.recipe.ema:
            return
        if self.average is None:
            self.average = {name: p.detach().clone() for name, p in self.supernet.named_parameters()}
        for name, parameter in self.supernet.named_parameters():
            self.average[name].lerp_(parameter.detach(), 1 - self.recipe.ema)

    # ---- results and state ----

    def trained(self) -> Supernet:
        """The supernet to use: with averaged weights where the recipe asks for them."""
        if self.average is None:
            return self.supernet
        averaged = deepcopy(self.supernet)
        averaged.load_state_dict(self.average, strict=False)
        return averaged

    def save(self, path: Path) -> None:
        """Write all that the next epoch depends on."""
        tensors = {f"supernet.{name}": tensor for name, tensor in self.supernet.state_dict().items()}
        names = {parameter: name for name, parameter in self.supernet.named_parameters()}
        for parameter, state in self.optimizer.state.items():
            tensors |= {f"optimizer.{names[parameter]}.{key}": value for key, value in state.items() if value is not None}
        if self.teacher is not None:
            tensors |= {f"teacher.{name}": tensor for name, tensor in self.teacher.state_dict().items()}
        tensors |= {f"average.{name}": tensor for name, tensor in (self.average or {}).items()}
        save_tensors(path, tensors, self._about() | {"epoch": self.epoch, "seconds": self.seconds})

    def load(self, path: Path) -> None:
        """Continue from a checkpoint. Raises CheckpointError when it is damaged or from another training."""
        tensors, about = load_tensors(path)
        if {key: about.get(key) for key in self._about()} != self._about():
            raise CheckpointError(f"{path} belongs to a training with another space, data set or recipe.")
        parts: dict[str, dict[str, Tensor]] = {"supernet": {}, "optimizer": {}, "teacher": {}, "average": {}}
        for name, tensor in tensors.items():
            part, rest = name.split(".", 1)
            parts[part][rest] = tensor.to(self.device)
        self.supernet.load_state_dict(parts["supernet"])
        parameters = dict(self.supernet.named_parameters())
        for name, tensor in parts["optimizer"].items():
            parameter, key = name.rsplit(".", 1)
            self.optimizer.state[parameters[parameter]][key] = _in_layout_of(parameters[parameter], tensor)
        if parts["teacher"]:
            self.teacher = self.supernet.extract(self.supernet.space.largest)
            self.teacher.load_state_dict(parts["teacher"])
        self.average = {name: _in_layout_of(parameters[name], tensor) for name, tensor in parts["average"].items()} or None
        self.epoch, self.seconds = about["epoch"], about["seconds"]

    def _about(self) -> dict[str, Any]:
        return {"space": self.supernet.space.fingerprint, "recipe": self.recipe.to_dict(), "images": len(self.dataset.train)}


def _in_layout_of(parameter: Tensor, stored: Tensor) -> Tensor:
    """A tensor that belongs to a parameter, laid out in memory as the optimiser made it, so that it rounds alike."""
    return torch.empty_like(parameter).copy_(stored) if stored.shape == parameter.shape else stored
