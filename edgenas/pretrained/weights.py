"""`PretrainedWeights`: what a supernet may begin with, wherever it comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from edgenas.data import Channels
from edgenas.space import FixedBlock, SearchSpace, Stage


@dataclass(frozen=True, eq=False)
class PretrainedWeights:
    """Learned weights of a whole space: a published network is a space of one member, a published supernet and an earlier run
    are spaces of many.

    space: with the padding and the batch-norm epsilon that the weights were trained with.
    tensors: the state of a `Supernet` of that space.
    classes: the names of the classes, in the order of the scores. synonyms: other names of the same classes, to their index.
    mean, std: of red, green and blue in 0..1, by which images must be normalised.
    settings: the arguments of `get_space`, but classes and resolutions, for the space that suits these weights best.
    about: what a run remembers of them, as a section of its configuration.
    """

    name: str
    space: SearchSpace
    tensors: dict[str, Tensor]
    classes: tuple[str, ...]
    mean: Channels
    std: Channels
    settings: dict[str, Any]
    synonyms: dict[str, int] = field(default_factory=dict)
    about: dict[str, dict[str, str]] = field(default_factory=dict)

    def class_index(self, name: str) -> int | None:
        """The place of a class among the scores; None for one that these weights do not know."""
        return self.classes.index(name) if name in self.classes else self.synonyms.get(name)

    def space_settings(
        self, family: str | None = None, preset: str | None = None, width: float | None = None
    ) -> dict[str, Any]:
        """The arguments of `get_space`, but the classes, for a space that is to begin with these weights.

        family, preset, width: those that are asked for; None: what suits the weights. The resolutions are those of the
        description, if there are none here. Padding and epsilon are the weights' own, whatever the space's are.
        """
        own = family in (None, self.settings["family"])
        settings = dict(self.settings) if own else {"family": family}
        if own and preset not in (None, settings.get("preset")):
            settings = {"family": settings["family"]}
        given = {"preset": preset, "width": width}
        padded: tuple[FixedBlock | Stage, ...] = (*self.space.stem, *self.space.stages, *self.space.head)
        trained = {
            "padding": next(block.padding for block in padded if block.padding != "valid"),
            "batch_norm_epsilon": self.space.batch_norm_epsilon,
        }
        return {"width": 1.0} | settings | {name: value for name, value in given.items() if value is not None} | trained
