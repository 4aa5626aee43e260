"""`warm_started`: a supernet that begins with what another one has learned."""

from __future__ import annotations

import torch

from edgenas.errors import UsageError
from edgenas.training.optimizer import is_classifier
from edgenas.training.run import Run
from edgenas.training.trainer import Trainer


@torch.no_grad()
def warm_started(trainer: Trainer, source: Run) -> Trainer:
    """The trainer with the weights of a trained run: all but the classifier, of which classes of the same name keep their rows.

    Resolutions may differ, all else of the space must be the same. Raises UsageError where it is not.
    """
    learned, weights = source.supernet().state_dict(), trainer.supernet.state_dict()
    if _shapes(learned) != _shapes(weights):
        space = source.config["space"]
        raise UsageError(
            f"The weights of {source.path} do not fit this space: theirs has --space {space['family']} "
            f"--preset {space['preset']} --width {space['width']:g}. Give the same, or leave --warm-start out."
        )
    classes = trainer.dataset.classes
    known = [name for name in classes if name in source.classes]
    new, old = ([names.index(name) for name in known] for names in (classes, source.classes))
    for name, tensor in weights.items():  # a view of the supernet's own
        if is_classifier(name):
            tensor[new] = learned[name][old].to(tensor.device)
        else:
            tensor.copy_(learned[name])
    return trainer


def _shapes(weights: dict[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in weights.items() if not is_classifier(name)}
