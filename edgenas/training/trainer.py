"""The training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor

from edgenas.data import Augmentation, Dataset, balanced_shares, epoch_batches, mix, normalise, prefetch, rand_augment, resize
from edgenas.errors import CheckpointError, DivergenceError, UsageError
from edgenas.processes import own_part, own_share, sum_gradients, sum_over_processes, world_size
from edgenas.progress import Track, quiet
from edgenas.space import SearchSpace
from edgenas.supernet import Network, Supernet
from edgenas.training.checkpoint import described, fill, load_tensors, save_tensors
from edgenas.training.losses import distillation, supervised
from edgenas.training.optimizer import learning_rate, make_optimizer, set_learning_rate
from edgenas.training.recipe import Recipe, recipe_of
from edgenas.training.schemes import Draw, Phase, make_scheme
from edgenas.training.teacher import OnnxTeacher
from edgenas.values import Within
from edgenas.values.kinds import Count, Hex


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
    a checkpoint ends with the same weights as one that was never interrupted; on a GPU but for cuDNN's rounding, which is not
    the same every time.

    supernet: of this space, to be trained; one with new weights unless told otherwise.
    teacher: instead of the recipe's; it gives `(b, classes)` logits of `(b, 3, s, s)` normalised images, and is no part of
        checkpoints.

    Raises UsageError for a recipe whose precision is not settled, or whose teacher cannot teach this data set.
    """

    def __init__(
        self,
        space: SearchSpace,
        dataset: Dataset,
        recipe: Recipe,
        device: str = "cpu",
        teacher: Callable[[Tensor], Tensor] | None = None,
        supernet: Supernet | None = None,
    ):
        if recipe.precision == "auto":
            raise UsageError("The precision is still auto: edgenas.training.settled finds out which is the fastest here.")
        self.dataset = dataset
        self.recipe = recipe
        self.device = torch.device(device)
        self.scheme = make_scheme(space, recipe)
        self.augment = Augmentation.for_dataset(dataset, recipe.cutout, recipe.random_resized_crop)
        self.teacher = teacher or (OnnxTeacher(recipe.teacher, dataset) if recipe.teacher else None)
        self.supernet = (new_supernet(space, recipe) if supernet is None else supernet).to(self.device)
        if world_size() > 1:
            self._join()
        self.optimizer = make_optimizer(self.supernet, recipe)
        self.frozen: Network | None = None  # the largest subnet as it was when it stopped being trained alone
        self.average: dict[str, Tensor] | None = None
        self.epoch = 0  # epochs done
        self._entered: Phase | None = None  # the phase that the weights are in
        self.seconds = 0.0  # of training, over all interruptions

    def _join(self) -> None:
        """Train with the other processes of `edgenas.processes`: what they compute together is what one would alone."""
        fewest = min(
            round((draw.share[1] - draw.share[0]) * min(self.recipe.batch_size, len(self.dataset.train)))
            for phase in self.scheme.phases
            for draw in self.scheme.draw(phase, np.random.default_rng(0))
        )
        if fewest <= world_size():
            raise UsageError(
                f"{world_size()} processes are too many for batches of {self.recipe.batch_size}, of which the smaller subnets "
                "of a step see a part each: use a larger `batch_size`, or fewer processes."
            )
        self.supernet.synchronise_batch_norm()

    def copy(self) -> Trainer:
        """One at the beginning, with weights of its own."""
        return Trainer(self.supernet.space, self.dataset, self.recipe, str(self.device), self.teacher, deepcopy(self.supernet))

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
        # Closed whatever happens, Ctrl-C above all: a thread that makes batches must not outlive the interpreter.
        with closing(self._steps(first, after_epoch)) as steps:
            for step, loss in track(steps, "Training", self.steps - first):
                if not math.isfinite(loss):
                    raise DivergenceError(
                        f"The loss became {loss} at step {step}: training diverged. Start again with a lower `learning_rate` "
                        f"(it was {self.recipe.peak:g})."
                    )

    def _steps(self, first: int, after_epoch: Callable[[EpochResult], None]) -> Generator[tuple[int, float]]:
        step = first
        while self.epoch < self.recipe.epochs:
            started, losses = time.perf_counter(), []
            with closing(self.batches(self.epoch)) as batches:
                for images, labels in batches:
                    losses.append(self.step(step, images, labels))
                    yield step, losses[-1]
                    step += 1
            self.epoch += 1
            self.seconds += time.perf_counter() - started
            rate, phase = learning_rate(self.recipe, step - 1, self.steps), self.phase(step - 1).name
            after_epoch(EpochResult(self.epoch, phase, float(np.mean(losses)), rate, self.seconds))

    def batches(self, epoch: int) -> Generator[tuple[Tensor, Tensor]]:
        """The augmented batches of an epoch: `(b, 3, s, s)` float images at the largest resolution, and their labels.

        Labels are `(b,)` classes, or `(b, classes)` probabilities where the recipe mixes images.
        """
        recipe, dataset = self.recipe, self.dataset
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + epoch)
        rng = np.random.default_rng([recipe.seed, epoch, 1])

        def load() -> Iterator[tuple[Tensor, Tensor]]:
            shares = balanced_shares(dataset.train.labels) if recipe.balance else None
            batches = epoch_batches(len(dataset.train), recipe.batch_size, recipe.seed, epoch, shares)
            for images, labels in dataset.train.batches(batches):
                # As bytes, a quarter of what they are once normalised; from here on all is done where they are trained on.
                images, labels = images.to(self.device), labels.to(self.device)
                if recipe.randaugment:
                    images = rand_augment(images, recipe.randaugment, generator)
                images = self.augment(normalise(images, dataset.mean, dataset.std), generator)
                if recipe.mixup or recipe.cutmix:
                    images, labels = mix(
                        images,
                        labels,
                        len(dataset.classes),
                        mixup_alpha=recipe.mixup,
                        cutmix_alpha=recipe.cutmix,
                        rng=rng,
                    )
                yield images, labels

        yield from prefetch(load())

    def step(self, step: int, images: Tensor, labels: Tensor) -> float:
        """One update. Returns the loss of the step's first subnet."""
        phase = self.phase(step)
        if phase != self._entered:  # weights that were learned elsewhere may begin anywhere
            self._enter(phase)
        set_learning_rate(self.optimizer, learning_rate(self.recipe, step, self.steps))
        n = len(images)
        images, labels = (own_share(tensor).to(self.device, non_blocking=True) for tensor in (images, labels))

        self.supernet.train()
        self.optimizer.zero_grad(set_to_none=True)
        dropout = torch.Generator(self.device).manual_seed(self.recipe.seed * 1_000_003 + step)
        teacher_logits = self.teacher(images) if self.teacher else None
        first_loss, largest_logits = torch.zeros(()), None
        for draw in self.scheme.draw(phase, np.random.default_rng([self.recipe.seed, step])):
            begin, end = (round(share * n) for share in draw.share)
            if end - begin < 2:
                continue  # the batch is smaller than usual, and one image has no batch statistics
            part = own_part(begin, end)
            with self._precision(), torch.set_grad_enabled(draw.learns):
                logits = self.supernet(resize(images[part], draw.architecture.resolution), draw.architecture, dropout).float()
            if draw.teacher == "largest" and largest_logits is not None:
                loss = distillation(logits, largest_logits[part])
            else:
                soft = self._frozen_logits(draw, images[part]) if teacher_logits is None else teacher_logits[part]
                loss = supervised(logits, labels[part], self.recipe.label_smoothing, soft)
            loss = loss * len(logits) / (end - begin)  # its part of the mean over the images of all processes
            if draw.learns:
                (draw.weight * loss).backward()
            if largest_logits is None:
                first_loss, largest_logits = sum_over_processes(loss.detach()), logits.detach()
        sum_gradients(self.supernet.parameters())
        self.optimizer.step()
        self._update_average()
        return first_loss.item()  # waits for a GPU, so that who times steps times all of them

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bfloat16")

    @torch.no_grad()
    def _frozen_logits(self, draw: Draw, images: Tensor) -> Tensor | None:
        if draw.teacher != "frozen" or self.frozen is None:
            return None
        with self._precision():
            return self.frozen(resize(images, self.frozen.resolution)).float()

    def _enter(self, phase: Phase) -> None:
        """Begin a phase. Where channels move, momentum and average begin anew: theirs are those of other channels."""
        if self.frozen is None and self.scheme.freezes_teacher and phase.name != "largest":
            self.frozen = self.supernet.extract(self.supernet.space.largest)
        if phase.sorts:
            self.supernet.sort_channels()
            self.optimizer = make_optimizer(self.supernet, self.recipe)
            self.average = None
        self._entered = phase

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
        names: dict[Tensor, str] = {parameter: name for name, parameter in self.supernet.named_parameters()}
        for parameter, state in self.optimizer.state.items():
            tensors |= {f"optimizer.{names[parameter]}.{key}": value for key, value in state.items() if value is not None}
        if self.frozen is not None:
            tensors |= {f"frozen.{name}": tensor for name, tensor in self.frozen.state_dict().items()}
        tensors |= {f"average.{name}": tensor for name, tensor in (self.average or {}).items()}
        save_tensors(path, tensors, self._about() | {"epoch": self.epoch, "seconds": self.seconds})

    def load(self, path: Path) -> None:
        """Continue from a checkpoint. Raises CheckpointError when it is damaged or from another training."""
        tensors, about = load_tensors(path)
        found = described(_Progress, about, path)
        # A recipe that an older version wrote lacks what a recipe has been given since: defaults stand for that.
        of = {"space": found.space, "recipe": recipe_of(found.recipe, path).to_dict(), "images": found.images}
        if of != self._about() or found.epoch > self.recipe.epochs:
            raise CheckpointError(f"{path} belongs to a training with another space, data set or recipe.")
        parts: dict[str, dict[str, Tensor]] = {"supernet": {}, "optimizer": {}, "frozen": {}, "average": {}}
        try:
            for name, tensor in tensors.items():
                part, rest = name.split(".", 1)
                parts[part][rest] = tensor.to(self.device)
            fill(self.supernet, parts["supernet"], path)
            parameters = dict(self.supernet.named_parameters())
            for name, tensor in parts["optimizer"].items():
                parameter, key = name.rsplit(".", 1)
                self.optimizer.state[parameters[parameter]][key] = _in_layout_of(parameters[parameter], tensor)
            if parts["frozen"]:
                self.frozen = fill(self.supernet.extract(self.supernet.space.largest), parts["frozen"], path)
            self.average = {name: _in_layout_of(parameters[name], tensor) for name, tensor in parts["average"].items()} or None
        except (KeyError, ValueError) as error:
            raise CheckpointError(f"{path} is damaged: it holds tensors that no training has ({error}).") from None
        self.epoch, self.seconds = found.epoch, found.seconds
        self._entered = self.phase(self.epoch * self.steps_per_epoch - 1) if self.epoch else None

    def _about(self) -> dict[str, Any]:
        return {"space": self.supernet.space.fingerprint, "recipe": self.recipe.to_dict(), "images": len(self.dataset.train)}


def new_supernet(space: SearchSpace, recipe: Recipe) -> Supernet:
    with torch.random.fork_rng(devices=[]):  # torch's layers initialise themselves from the global generator alone
        torch.manual_seed(recipe.seed)
        return Supernet(space, recipe.initialisation, dropout=recipe.dropout, batch_norm_momentum=recipe.batch_norm_momentum)


@dataclass(frozen=True)
class _Progress:
    """What a checkpoint says of the training that it is of."""

    space: Hex
    recipe: dict[str, Any]
    images: Count
    epoch: Count
    seconds: Annotated[float, Within(0, 1e10)]


def _in_layout_of(parameter: Tensor, stored: Tensor) -> Tensor:
    """A tensor that belongs to a parameter, laid out in memory as the optimiser made it, so that it rounds alike."""
    return torch.empty_like(parameter).copy_(stored) if stored.shape == parameter.shape else stored
