"""Weights that others trained: what there is, how its tensors are named, how it is embedded into a supernet."""

import edgenas.torch_setup  # noqa: F401 (before torch)
from edgenas.pretrained.alignment import align
from edgenas.pretrained.catalogue import PUBLISHED, Published, published_for
from edgenas.pretrained.embedding import embed
from edgenas.pretrained.source import how_to_get, open_weights
from edgenas.pretrained.weights import PretrainedWeights

__all__ = [
    "PUBLISHED",
    "PretrainedWeights",
    "Published",
    "align",
    "embed",
    "how_to_get",
    "open_weights",
    "published_for",
]
