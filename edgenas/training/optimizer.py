"""The optimisers, and the schedule of their learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch

from edgenas.supernet import Supernet
from edgenas.training.recipe import Recipe


def make_optimizer(supernet: Supernet, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser. Weight decay spares norms, biases and kernel transforms.

    Every group has a `rate`: the factor of the recipe's learning rate by which it learns.
    """
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, parameter in supernet.named_parameters():
        spared = parameter.ndim < 2 or "kernel_transforms" in name
        rate = recipe.classifier_rate if is_classifier(name) else 1.0
        groups.setdefault((0.0 if spared else recipe.weight_decay, rate), []).append(parameter)
    make: dict[str, Callable[..., torch.optim.Optimizer]] = {
        "sgd": partial(torch.optim.SGD, momentum=recipe.momentum, nesterov=recipe.nesterov and recipe.momentum > 0),
        "adagrad": torch.optim.Adagrad,
        "rmsprop": partial(torch.optim.RMSprop, momentum=recipe.momentum),
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
    }
    described = [{"params": some, "weight_decay": decay, "rate": rate} for (decay, rate), some in groups.items()]
    return make[recipe.optimizer](described, lr=recipe.peak)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate * group["rate"]


def is_classifier(name: str) -> bool:
    """Whether a supernet's parameter of this name belongs to the last layer, which knows the classes."""
    return ".classify." in name


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Linear warm-up, then cosine to 0 (SGDR, arXiv:1608.03983, without restarts)."""
    warmup = max(1, round(recipe.warmup * steps))
    if step < warmup:
        return recipe.peak * (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return recipe.peak * (1 + math.cos(math.pi * done)) / 2
