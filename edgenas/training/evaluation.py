"""How good subnets are: extracted, recalibrated, and measured on images they were not trained on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from copy import copy, deepcopy
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from torch import Tensor

from edgenas.data import Dataset, Split, normalise, resize
from edgenas.device import Execution, open_session
from edgenas.graph import BlockWeights, build_int8_onnx, build_onnx
from edgenas.metric import ACCURACY, Answers, Metric, Score
from edgenas.processes import own_device
from edgenas.quantisation import IMAGE, Quantisation, Range
from edgenas.quantisation.calibration import Calibration, calibrate
from edgenas.quantisation.computation import simulate
from edgenas.quantisation.ranges import STEPS
from edgenas.space import Architecture, BlockSpec
from edgenas.supernet import Network, Supernet, fold, recalibrate

BATCH = 128
CACHED = 16
"""Images that a CPU computes at once: their features stay in its cache."""
OBSERVED = 256
"""Training images by which int8 is calibrated."""
JUDGED = 128
"""Validation images by which one way of calibration is preferred to another."""


class Evaluator:
    """Evaluates architectures of one supernet on one data set. metric: of `score`.

    calibration_images: `(n,)` indices of training images, in random order.

    Every architecture is recalibrated on the same `calibration` training images, so that accuracies can be compared. That is
    most of an evaluation's time: 512 photos of up to 192 px took 9.1 s a subnet on one busy core, 1,024 took 16.2 s, 256 took
    5.3 s. Accuracies by 512 differed from those by 1,024 by 0.4 points, up or down, those by 256 by 0.9 and were 0.7 lower.
    """

    def __init__(
        self, supernet: Supernet, dataset: Dataset, *, calibration: int = 512, seed: int = 0, metric: Metric = ACCURACY
    ):
        self.supernet = supernet
        self.dataset = dataset
        self.metric = metric
        self._seed = seed
        count = min(calibration, len(dataset.train))
        count -= count % BATCH if count > BATCH else 0  # whole batches, since each counts the same
        self.calibration_images = np.random.default_rng(seed).choice(len(dataset.train), count, replace=False)

    def by(self, metric: Metric) -> Evaluator:
        """The same with another metric."""
        other = copy(self)
        other.metric = metric
        return other

    def network(self, architecture: Architecture) -> Network:
        """The subnet with its own batch-norm statistics, ready to be used and exported; on the CPU, wherever they are made."""
        device = own_device()
        network = self.supernet.extract(architecture).to(device)
        batches = self.images(self.dataset.train, architecture.resolution, self.calibration_images, device)
        recalibrate(network, (images for images, _ in batches))
        return network.cpu()

    def accuracy(self, architecture: Architecture, split: Split | None = None, *, share: float = 1.0) -> float:
        """Top-1 accuracy in 0..1 after recalibration, on the validation split unless told otherwise.

        share: of the split's images that are looked at: the same for every architecture, a larger share with all of a smaller.
        """
        return self.network_accuracy(self.network(architecture), split, share=share)

    def network_accuracy(self, network: Network, split: Split | None = None, *, share: float = 1.0) -> float:
        return self.answers(network, split, share=share).accuracy

    def evaluate(self, architecture: Architecture, *, share: float = 1.0) -> Answers:
        """What an architecture calls the validation images, or a share of them."""
        return self.answers(self.network(architecture), share=share)

    def evaluate_in(self, architecture: Architecture, precisions: Collection[str], *, share: float = 1.0) -> dict[str, Answers]:
        """What it calls them by precision, `fp32` or `int8`, after one recalibration.

        In int8 it is what the files answer that `export` writes of the same weights.
        """
        network = self.network(architecture)
        calibrations = {precision: self.calibration(network) if precision == "int8" else None for precision in precisions}
        return {precision: self.answers(network, share=share, calibration=how) for precision, how in calibrations.items()}

    def calibration(self, network: Network, *, per_tensor: bool = False, integer_ends: bool = False) -> Calibration:
        """The int8 ranges of a subnet, by some of the training images that its batch norms were recalibrated on."""
        count = len(self.dataset.validation)
        judged = np.linspace(0, count - 1, min(JUDGED, count)).astype(int)

        def batches(split: Split, indices: np.ndarray) -> Callable[[], Iterator[Tensor]]:
            kept = torch.cat([images for images, _ in self.images(split, network.resolution, indices)])
            return lambda: iter(kept.split(CACHED))

        training = batches(self.dataset.train, self.calibration_images[:OBSERVED])
        return calibrate(
            network.specs, fold(network), training, batches(self.dataset.validation, judged), per_tensor=per_tensor,
            integer_ends=integer_ends, computing=in_fastest_int8,
        )  # fmt: skip

    def score(self, network: Network, split: Split | None = None) -> Score:
        """Raises UsageError where the metric is of a class that the split has no image of."""
        return score(self.answers(network, split), self.metric)

    @torch.no_grad()
    def answers(
        self, network: Network, split: Split | None = None, *, share: float = 1.0, calibration: Calibration | None = None
    ) -> Answers:
        """What a network calls the images, in the same order for every network. calibration: to compute it in int8."""
        split = split or self.dataset.validation
        compute = in_fastest_runtime(network) if calibration is None else in_int8(network, calibration)
        indices = np.random.default_rng(self._seed).permutation(len(split))[: max(1, round(share * len(split)))]
        batches = self.images(split, network.resolution, np.sort(indices), own_device() if calibration is None else "cpu")
        pairs = [(labels.numpy(), compute(images).argmax(1).cpu().numpy()) for images, labels in batches]
        labels, predicted = (np.concatenate(column) for column in zip(*pairs, strict=True))
        return Answers(labels, predicted, len(self.dataset.classes))

    def images(
        self, split: Split, resolution: int, indices: np.ndarray | None = None, device: str = "cpu"
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """`as_seen`."""
        return as_seen(self.dataset, split, resolution, indices, device)


def score(answers: Answers, metric: Metric) -> Score:
    """Raises UsageError where the metric is of a class that there is no image of."""
    metric.require_images(answers.labels)
    found = metric.score(answers.tally)
    assert found is not None
    return found


def as_seen(
    dataset: Dataset, split: Split, resolution: int, indices: np.ndarray | None = None, device: str = "cpu"
) -> Iterator[tuple[Tensor, Tensor]]:
    """Images of a data set's split as a device would see them: batches of `(b, 3, r, r)` normalised images, `(b,)` labels.

    device: of torch's, where the images are made and stay; labels stay on the CPU.
    """
    indices = np.arange(len(split)) if indices is None else indices
    for images, labels in split.batches(indices[begin : begin + BATCH] for begin in range(0, len(indices), BATCH)):
        yield resize(normalise(images.to(device), dataset.mean, dataset.std), resolution), labels


def in_fastest_runtime(network: Network) -> Callable[[Tensor], Tensor]:
    """The network as a function from `(n, 3, r, r)` images to `(n, classes)` logits that are equal but for rounding.

    On a CPU it runs in ONNX Runtime with its batch norm folded: measured 2 to 3 times as fast as torch, which stays for GPUs.
    Wherever it runs, logits come back to where the images are.
    """
    device = own_device()
    if device == "cpu":
        return _in_onnxruntime(build_onnx(network.specs, fold(network), batch="batch").SerializeToString())
    there = deepcopy(network).to(device)
    return lambda images: there(images.to(device)).to(images.device)


def in_int8(network: Network, calibration: Calibration) -> Callable[[Tensor], Tensor]:
    """The int8 network as a function from `(n, 3, r, r)` images to `(n, classes)` logits: what its files compute."""
    quantisation = replace(calibration.quantisation(network.specs), integer_ends=False)
    return in_fastest_int8(quantisation, fold(network))


def in_fastest_int8(quantisation: Quantisation, weights: Sequence[Mapping[str, np.ndarray]]) -> Callable[[Tensor], Tensor]:
    """Where ONNX Runtime has exact int8 kernels it computes the file that would be exported, in a sixth of the simulation's
    time. Of 551 flowers both called all by the same name."""
    if not has_exact_kernels():
        return simulate(quantisation, weights)
    tensors = [dict(arrays) for arrays in weights]
    model = build_int8_onnx(quantisation.blocks, tensors, batch="batch", quantisation=quantisation)
    return _in_onnxruntime(model.SerializeToString())


@cache
def has_exact_kernels() -> bool:
    """Whether ONNX Runtime's int8 kernels add up all products here. On x86 without VNNI two large ones are cut off."""
    spec = BlockSpec("conv", 8, 32, 0, 8, kernel=1)
    weights: BlockWeights = {"conv.weight": np.ones((8, 32, 1, 1), np.float32), "conv.bias": np.zeros(8, np.float32)}
    ranges = {IMAGE: Range(0, 1), "block0.conv.relu": Range(0, 32)}
    quantisation, images = Quantisation((spec,), ranges, integer_ends=False), np.ones((1, 32, 8, 8), np.float32)
    content = build_int8_onnx([spec], [weights], quantisation=quantisation).SerializeToString()
    session = open_session(Execution("onnxruntime"), content)
    steps = session.run(quantisation.ranges[IMAGE].steps(images, "uint8"))
    return bool((steps == STEPS).all())


def _in_onnxruntime(model: bytes) -> Callable[[Tensor], Tensor]:
    session = open_session(Execution("onnxruntime", torch.get_num_threads()), model)

    def compute(images: Tensor) -> Tensor:
        pieces = (piece.contiguous().numpy() for piece in images.split(CACHED))
        return torch.from_numpy(np.concatenate([session.run(piece) for piece in pieces]))

    return compute
