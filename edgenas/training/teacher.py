"""`OnnxTeacher`: a trained classifier, from wherever, whose soft labels a supernet learns."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor

from edgenas.data import Dataset, resize
from edgenas.errors import UsageError
from edgenas.latency.device_timer import open_session


class OnnxTeacher:
    """An ONNX classifier that sees the training images as augmented (Beyer et al., arXiv:2106.05237).

    Its input is `(batch or 1, 3, s, s)` float32 and its first output `(batch, classes)` logits, of the data set's classes
    in their order. An exported EdgeNAS model tells in its metadata how images are normalised and what its classes are; of
    others the normalisation is taken to be the data set's. Images are resized to its input where that has a size.

    Raises UsageError where the file is none of this.
    """

    def __init__(self, path: Path | str, dataset: Dataset):
        path = Path(path)
        if not path.is_file():
            raise UsageError(f"There is no teacher at {path}.")
        try:
            model = onnx.load(path)
            self._session = open_session("onnxruntime", str(path), threads=torch.get_num_threads())
        except Exception as error:  # the runtime's and protobuf's own errors have no other base in common
            raise UsageError(f"The teacher {path} cannot be opened as an ONNX model: {str(error).splitlines()[0]}") from None
        shapes = [
            [size.dim_value or None for size in value.type.tensor_type.shape.dim]
            for value in (model.graph.input[0], model.graph.output[0])
        ]
        self._batch, self._resolution = _checked_input(path, shapes[0])
        about = {entry.key: entry.value for entry in model.metadata_props}
        _check_classes(path, shapes[1], json.loads(about.get("classes", "null")), dataset.classes)
        how = json.loads(about.get("preprocessing", "{}"))
        self._theirs = [torch.tensor(how.get(name, ours)).view(3, 1, 1) for name, ours in _normalisation(dataset)]
        self._ours = [torch.tensor(ours).view(3, 1, 1) for _, ours in _normalisation(dataset)]

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Logits `(b, classes)` of `(b, 3, s, s)` images that are normalised by the data set's mean and deviation."""
        (mean, std), (own_mean, own_std) = self._ours, self._theirs
        inputs = ((images.cpu() * std + mean) - own_mean) / own_std
        array = resize(inputs, self._resolution or images.shape[-1]).contiguous().numpy()
        pieces = [array] if self._batch is None else np.split(array, len(array))
        return torch.from_numpy(np.concatenate([self._session.run(piece) for piece in pieces])).to(images.device)


def _normalisation(dataset: Dataset) -> tuple[tuple[str, tuple[float, ...]], ...]:
    return ("mean", dataset.mean), ("std", dataset.std)


def _checked_input(path: Path, shape: list[int | None]) -> tuple[int | None, int | None]:
    """Batch and resolution, None where they are free."""
    fits = len(shape) == 4 and shape[0] in (None, 1) and shape[1] in (None, 3) and shape[2] == shape[3]
    if not fits:
        raise UsageError(f"The teacher {path} takes inputs of shape {shape}: it must take (batch or 1, 3, size, size) images.")
    return shape[0], shape[2]


def _check_classes(path: Path, shape: list[int | None], theirs: list[str] | None, ours: tuple[str, ...]) -> None:
    if len(shape) != 2 or shape[1] not in (None, len(ours)):
        raise UsageError(f"The teacher {path} gives outputs of shape {shape}: it must give (batch, {len(ours)}), "
                         f"one logit for each class of the data set.")  # fmt: skip
    if theirs is not None and tuple(theirs) != ours:
        raise UsageError(f"The teacher {path} has other classes than the data set, or another order of them: "
                         f"{', '.join(theirs[:5])}, ... instead of {', '.join(ours[:5])}, ...")  # fmt: skip
