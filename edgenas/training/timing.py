"""What a training takes on this machine, found by trial steps on a copy that leave no trace."""

from __future__ import annotations

import time

import numpy as np

from edgenas.training.trainer import Trainer


def epochs_in(trainer: Trainer, seconds: float) -> int:
    """How many epochs of this training fit into a time, found by timing a few steps of every phase on a copy."""
    trial = Trainer(trainer.supernet.space, trainer.dataset, trainer.recipe, str(trainer.device))
    images, labels = next(iter(trainer.batches(0)))
    starts = [phase.start for phase in trainer.scheme.phases] + [1.0]
    per_step = 0.0
    for phase, start, end in zip(trainer.scheme.phases, starts, starts[1:], strict=False):
        step = min(round((start + end) / 2 * trainer.steps), trainer.steps - 1)
        if trial.scheme.freezes_teacher and phase != trainer.scheme.phases[0]:
            trial.teacher = trial.supernet.extract(trial.supernet.space.largest)
        trial.step(step, images, labels)  # not timed: memory is allocated and code loaded
        times = []
        for i in range(7):
            started = time.perf_counter()
            trial.step(step + i, images, labels)
            times.append(time.perf_counter() - started)
        per_step += (end - start) * float(np.median(times))
    return max(1, int(seconds / (per_step * trainer.steps_per_epoch)))
