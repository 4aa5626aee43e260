"""What a model's files must compute, by their precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from edgenas.data import normalise
from edgenas.errors import CheckpointError
from edgenas.export.parity import HALF_TOLERANCE, NOISE_SHARE, Parity, compare, root_mean_square
from edgenas.graph import PLAIN, Ends, get_format
from edgenas.graph.ends import Channels
from edgenas.progress import Track, quiet
from edgenas.quantisation import IMAGE, Quantisation
from edgenas.quantisation.calibration import Calibration
from edgenas.quantisation.computation import simulate
from edgenas.supernet import Network, fold

AT_ONCE = 32
LEAST_PROBABILITY = 1e-30
"""That is told from zero: there float32 still has all its digits, which it has not where numbers are denormal."""


@dataclass(frozen=True)
class Reference:
    """scores: `(n, classes)` that a file is held to. floats: those of the torch network that float files are of.

    allowed: see `Parity`. quantisation: of a file in int8.

    A file in int8 is held to a simulation of its own integers, so that a broken kernel is told from what int8 costs. It may
    be one and a half times as far from that as that is from float32, or one step.
    """

    scores: np.ndarray
    floats: np.ndarray
    allowed: float | None = None
    quantisation: Quantisation | None = None

    def compare(self, outputs: np.ndarray) -> Parity:
        return compare(self.scores, outputs, self.allowed)


@dataclass(frozen=True)
class References:
    """What a model's files must compute on some images, by their precision: each worked out when it is first asked for.

    network: in floats. images: `(n, 3, r, r)`, normalised. ends: of the files.

    calibration: of the int8 files, which need one. quantised: the network that they are of, where it may be another.

    Probabilities are compared by their logarithms, which are logits but for a constant: a difference of the smallest counts.
    """

    network: Network
    images: Tensor
    calibration: Calibration | None = None
    ends: Ends = PLAIN
    quantised: Network | None = None
    track: Track = quiet
    _known: dict[str, Reference] = field(default_factory=dict, init=False, repr=False)

    def of(self, precision: str) -> Reference:
        """Raises CheckpointError for int8 without a calibration."""
        if precision not in self._known:
            found = self._of(precision)
            if self.ends.probabilities:
                found = replace(found, scores=_log_softmax(found.scores), floats=_log_softmax(found.floats))
            self._known[precision] = found
        return self._known[precision]

    @cached_property
    def floats(self) -> np.ndarray:
        """`(n, classes)` logits of the network."""
        return _scores(self.network, self.images, self.track)

    def _of(self, precision: str) -> Reference:
        floats = self.floats
        if precision == "fp16":
            return Reference(floats, floats, HALF_TOLERANCE * max(1.0, float(np.abs(floats).max())))
        if precision != "int8":
            return Reference(floats, floats)
        if self.calibration is None:
            raise CheckpointError("How this model's int8 files were calibrated is not known any more. Export them again.")
        quantisation, network, unrounded = self.calibration.quantisation(self.network.specs), self.network, floats
        if self.quantised is not None and not _same(network, self.quantised):
            network, unrounded = self.quantised, _scores(self.quantised, self.images, self.track)
        scores = _scores(simulate(quantisation, fold(network)), self.images, self.track)
        allowed = max(float(quantisation.scores.scale), NOISE_SHARE * root_mean_square(scores - unrounded))
        return Reference(scores, floats, allowed, quantisation)


def _log_softmax(scores: np.ndarray) -> np.ndarray:
    logarithms = torch.log_softmax(torch.from_numpy(scores).double(), 1).numpy()
    found: np.ndarray = np.maximum(logarithms, np.log(LEAST_PROBABILITY)).astype(np.float32)
    return found


@torch.no_grad()
def _scores(compute: Callable[[Tensor], Tensor], images: Tensor, track: Track) -> np.ndarray:
    batches = images.split(AT_ONCE)
    return torch.cat([compute(batch) for batch in track(batches, "Computing what files must", len(batches))]).numpy()


def _same(one: Network, other: Network) -> bool:
    return one is other or all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))


def as_input(images: Tensor, format_name: str, quantisation: Quantisation | None = None, ends: Ends = PLAIN) -> np.ndarray:
    """`(n, 3, r, r)` normalised images in the layout and the type that files of a format take.

    quantisation: of a file in int8. ends: of the file; where it takes pixels, the images are those of whole ones.
    """
    form = get_format(format_name)
    if ends.normalisation is not None:
        images = as_pixels(images, *ends.normalisation)
    array = images.permute(["NCHW".index(letter) for letter in form.layout]).numpy()
    if ends.normalisation is not None:
        return np.ascontiguousarray(array, dtype=form.pixels)
    if quantisation is not None and quantisation.integer_ends:
        return np.ascontiguousarray(quantisation.ranges[IMAGE].steps(array, form.integers))
    return np.ascontiguousarray(array, dtype=form.dtype)


def as_pixels(images: Tensor, mean: Channels, std: Channels) -> Tensor:
    """The nearest pixels, uint8, to normalised images: those that were normalised, where they come from such."""
    shift, scale = (255 * torch.tensor(values).view(3, 1, 1) for values in (mean, std))
    return (images * scale + shift).round_().clamp_(0, 255).to(torch.uint8)


def of_whole_pixels(images: Tensor, mean: Channels, std: Channels) -> Tensor:
    """What a file that takes pixels makes of the nearest ones. Images that were resized are no whole pixels."""
    return normalise(as_pixels(images, mean, std), mean, std)


def as_scores(outputs: np.ndarray, quantisation: Quantisation | None = None, ends: Ends = PLAIN) -> np.ndarray:
    """A file's outputs as logits, and probabilities as their logarithms."""
    if ends.probabilities:
        return np.log(np.maximum(outputs, LEAST_PROBABILITY))
    if quantisation is None or outputs.dtype.kind == "f":
        return outputs
    return quantisation.scores.values(outputs)
