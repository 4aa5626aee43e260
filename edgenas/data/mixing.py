"""Two images in one, with labels to match. Labels are `(b, classes)` probabilities; randomness is one draw per batch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def mixup(images: Tensor, labels: Tensor, alpha: float, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Each image blended with another one of the batch (Zhang et al., arXiv:1710.09412); shares from Beta(alpha, alpha)."""
    share, partner = float(rng.beta(alpha, alpha)), rng.permutation(len(images))
    return share * images + (1 - share) * images[partner], share * labels + (1 - share) * labels[partner]


def cutmix(images: Tensor, labels: Tensor, alpha: float, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A rectangle of each image replaced by another image's (Yun et al., arXiv:1905.04899), and its share of the label.

    Where the rectangle lies partly outside, the share is of what is inside.
    """
    size, partner = images.shape[-1], rng.permutation(len(images))
    half = size * np.sqrt(1 - rng.beta(alpha, alpha)) / 2
    edges = rng.integers(size, size=(2, 1)) + np.array([-half, half])
    (top, bottom), (left, right) = np.clip(np.rint(edges), 0, size).astype(int)
    mixed = images.clone()
    mixed[:, :, top:bottom, left:right] = images[partner, :, top:bottom, left:right]
    share = 1 - (bottom - top) * (right - left) / size**2
    return mixed, share * labels + (1 - share) * labels[partner]


def mix(
    images: Tensor, labels: Tensor, classes: int, *, mixup_alpha: float, cutmix_alpha: float, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Mixup or cutmix, whichever has an alpha above 0; a coin's choice where both have.

    `(b, 3, s, s)` images, `(b,)` labels -> images of the same shape, `(b, classes)` probabilities.
    """
    probabilities = F.one_hot(labels, classes).to(images.dtype)
    if mixup_alpha and (not cutmix_alpha or rng.random() < 0.5):
        images, probabilities = mixup(images, probabilities, mixup_alpha, rng)
    else:
        images, probabilities = cutmix(images, probabilities, cutmix_alpha, rng)
    return images.contiguous(memory_format=torch.channels_last), probabilities
