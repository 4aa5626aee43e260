"""`PretrainedWeights`: what a supernet may begin with, wherever it comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from edgenas.space import SearchSpace


@dataclass(frozen=True, eq=False)
class PretrainedWeights:
    """Learned weights of a whole space: a published network is a space of one member, a published supernet and an earlier run
    are spaces of many.

    space: with the padding and the batch-norm epsilon that the weights were trained with.
    tensors: the state of a `Supernet` of that space.
    classes: the names of the classes, in the order of the scores. synonyms: other names of the same classes, to their index.
    mean, std: of red, green and blue in 0..1, by which images must be normalised.
    settings: the arguments of `get_space`, but classes and resolutions, for the space that suits these weights best.
    about: what a run remembers of them: name, file, sha256, licence.
    """

    name: str
    space: SearchSpace
    tensors: dict[str, Tensor]
    classes: tuple[str, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    settings: dict[str, Any]
    synonyms: dict[str, int] = field(default_factory=dict)
    about: dict[str, str] = field(default_factory=dict)

    def class_index(self, name: str) -> int | None:
        """The place of a class among the scores; None for one that these weights do not know."""
        return self.classes.index(name) if name in self.classes else self.synonyms.get(name)
