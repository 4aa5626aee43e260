"""The accuracy of subnets: extracted, recalibrated, and measured on images they were not trained on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from edgenas.data import Dataset, Split, normalise, resize
from edgenas.space import Architecture
from edgenas.supernet import Network, Supernet, recalibrate

BATCH = 128


class Evaluator:
    """Evaluates architectures of one supernet on one data set.

    Every architecture is recalibrated on the same `calibration` training images, so that accuracies can be compared.
    """

    def __init__(self, supernet: Supernet, dataset: Dataset, *, calibration: int = 512, seed: int = 0):
        self.supernet = supernet
        self.dataset = dataset
        count = min(calibration, len(dataset.train))
        count -= count % BATCH if count > BATCH else 0  # whole batches, since each counts the same
        self._calibration = np.random.default_rng(seed).choice(len(dataset.train), count, replace=False)

    def network(self, architecture: Architecture) -> Network:
        """The subnet with its own batch-norm statistics, ready to be used and exported."""
        network = self.supernet.extract(architecture)
        recalibrate(
            network, (images for images, _ in self.images(self.dataset.train, architecture.resolution, self._calibration))
        )
        return network

    def accuracy(self, architecture: Architecture, split: Split | None = None) -> float:
        """Top-1 accuracy in 0..1 after recalibration, on the validation split unless told otherwise."""
        return self.network_accuracy(self.network(architecture), split)

    @torch.no_grad()
    def network_accuracy(self, network: Network, split: Split | None = None) -> float:
        split = split or self.dataset.validation
        correct = sum(
            int((network(images).argmax(1) == labels.to(images.device)).sum())
            for images, labels in self.images(split, network.resolution)
        )
        return correct / len(split)

    def images(self, split: Split, resolution: int, indices: np.ndarray | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches as a device would see them: `(b, 3, r, r)` normalised images, `(b,)` labels."""
        device = next(self.supernet.parameters()).device
        indices = np.arange(len(split)) if indices is None else indices
        for images, labels in split.batches(indices[begin : begin + BATCH] for begin in range(0, len(indices), BATCH)):
            yield resize(normalise(images, self.dataset.mean, self.dataset.std), resolution).to(device), labels
