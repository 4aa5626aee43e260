"""`OnnxTeacher`: a trained classifier, from wherever, whose soft labels a supernet learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edgenas.data import Dataset, resize
from edgenas.device import Execution, open_session
from edgenas.training.onnx_classifier import OnnxClassifier


class OnnxTeacher:
    """An ONNX classifier that sees the training images as augmented (Beyer et al., arXiv:2106.05237).

    What it must be and how it says what it takes: see `OnnxClassifier`. Images are resized to its input where that has a size.

    Raises UsageError where the file is no such classifier.
    """

    def __init__(self, path: Path | str, dataset: Dataset):
        self._file = OnnxClassifier.read(path, dataset, "teacher")
        self._session = open_session(Execution("onnxruntime", torch.get_num_threads()), path)
        self._theirs, self._ours = (
            [torch.tensor(values).view(3, 1, 1) for values in (normalised.mean, normalised.std)]
            for normalised in (self._file, dataset)
        )

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Logits `(b, classes)` of `(b, 3, s, s)` images that are normalised by the data set's mean and deviation."""
        (mean, std), (own_mean, own_std) = self._ours, self._theirs
        inputs = ((images.cpu() * std + mean) - own_mean) / own_std
        array = resize(inputs, self._file.resolution or images.shape[-1]).contiguous().numpy()
        pieces = [array] if self._file.batch is None else np.split(array, len(array))
        return torch.from_numpy(np.concatenate([self._session.run(piece) for piece in pieces])).to(images.device)
