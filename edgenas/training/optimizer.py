"""The optimisers, and the schedule of their learning rate."""

from __future__ import annotations

import math
from functools import partial

import torch

from edgenas.supernet import Supernet
from edgenas.training.recipe import Recipe


def make_optimizer(supernet: Supernet, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser. Weight decay spares norms, biases and kernel transforms."""
    decayed, plain = [], []
    for name, parameter in supernet.named_parameters():
        (plain if parameter.ndim < 2 or "kernel_transforms" in name else decayed).append(parameter)
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    make = {
        "sgd": partial(torch.optim.SGD, momentum=recipe.momentum, nesterov=recipe.nesterov and recipe.momentum > 0),
        "adagrad": torch.optim.Adagrad,
        "rmsprop": partial(torch.optim.RMSprop, momentum=recipe.momentum),
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
    }
    return make[recipe.optimizer](groups, lr=recipe.learning_rate)


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Linear warm-up, then cosine to 0 (SGDR, arXiv:1608.03983, without restarts)."""
    warmup = max(1, round(recipe.warmup * steps))
    if step < warmup:
        return recipe.learning_rate * (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return recipe.learning_rate * (1 + math.cos(math.pi * done)) / 2
