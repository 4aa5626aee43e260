"""What a training takes on this machine, found by trial steps on a copy that leave no trace."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from itertools import count, pairwise

import numpy as np
from torch import Tensor

from edgenas.data import Dataset
from edgenas.progress import Track, quiet
from edgenas.space import SearchSpace
from edgenas.training.recipe import Recipe
from edgenas.training.trainer import Trainer

TRIAL_STEPS = 5
PHASE_STEPS = 10
WORTH = 1.1
"""How much faster bfloat16 must be to be chosen: its rounding has a price, and timings are noisy."""


def settled(space: SearchSpace, dataset: Dataset, recipe: Recipe, device: str = "cpu", track: Track = quiet) -> Recipe:
    """The recipe with `auto` replaced by the precision whose steps are the fastest on this machine.

    Steps of the last phase, those with smaller subnets, are timed in turn. Which wins depends on the processor.
    """
    if recipe.precision != "auto":
        return recipe
    if not recipe.epochs:
        return replace(recipe, precision="float32")
    trials = {p: Trainer(space, dataset, replace(recipe, precision=p), device) for p in ("float32", "bfloat16")}
    times: dict[str, list[float]] = {precision: [] for precision in trials}
    images, labels = next(iter(trials["float32"].batches(0)))
    for i in track(range(1 + TRIAL_STEPS), "Timing float32 and bfloat16"):
        for precision, trial in trials.items():
            started = time.perf_counter()
            trial.step(trial.steps - 1 - i % trial.steps_per_epoch, images, labels)
            times[precision].append(time.perf_counter() - started)
    # The first is not counted: memory is allocated and code loaded.
    ratio = np.median(np.array(times["float32"][1:]) / np.array(times["bfloat16"][1:]))
    return replace(recipe, precision="bfloat16" if ratio > WORTH else "float32")


def epochs_in(trainer: Trainer, seconds: float, track: Track = quiet) -> int:
    """How many epochs of this training fit into a time, found by timing a few steps of every phase on a copy.

    Batches are made meanwhile, as in training. The mean counts, since random subnets take unequal times.
    """
    trial = trainer.copy()
    starts = [phase.start for phase in trainer.scheme.phases] + [1.0]
    per_step = 0.0
    trials = [(phase, i) for phase in pairwise(starts) for i in range(PHASE_STEPS)]
    with closing(_endless(trainer)) as batches:
        for (start, end), i in track(trials, "Timing a few steps", len(trials)):
            step = min(round((start + end) / 2 * trainer.steps), trainer.steps - 1)
            if i == 0:
                trial.step(step, *next(batches))  # not timed: the phase begins, memory is allocated and code loaded
            started = time.perf_counter()
            trial.step(step + i, *next(batches))
            per_step += (end - start) * (time.perf_counter() - started) / PHASE_STEPS
    return max(1, int(seconds / (per_step * trainer.steps_per_epoch)))


def _endless(trainer: Trainer) -> Generator[tuple[Tensor, Tensor]]:
    for epoch in count():
        with closing(trainer.batches(epoch)) as batches:
            yield from batches
