"""RandAugment (Cubuk et al., arXiv:1909.13719) on whole batches: a loop over operations, none over images."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

OPERATIONS = 2  # on each image, as in the paper
GREY = 128.0  # what comes in from outside the image
ROTATION, SHEAR, SHIFT, BLEND, BITS = 30.0, 0.3, 0.3, 0.9, 4  # at magnitude 10: degrees, share of the size, bits lost


def rand_augment(pixels: Tensor, magnitude: float, generator: Generator) -> Tensor:
    """Two of 13 operations on each image, drawn anew for each: `(b, 3, s, s)` uint8 -> float32 in 0..255, channels_last.

    The paper's operations but equalisation. magnitude: 0..10; the direction of an operation is a coin's.
    """
    images = pixels.to(torch.float32, memory_format=torch.channels_last)
    for _ in range(OPERATIONS):
        drawn = torch.randint(1 + len(GEOMETRIC) + len(PHOTOMETRIC), (len(images),), generator=generator)  # 0: the identity
        strength = (torch.randint(2, (len(images),), generator=generator) * 2 - 1) * (magnitude / 10)
        images = _move(images, drawn - 1, strength)
        for i, change in enumerate(PHOTOMETRIC):
            chosen = drawn == 1 + len(GEOMETRIC) + i
            if chosen.any():
                images[chosen] = change(images[chosen], strength[chosen, None, None, None].to(images.device))
        images = images.clamp_(0, 255)
    return images


# ---- geometry: all are one affine map ----

GEOMETRIC = ("rotate", "shear_x", "shear_y", "shift_x", "shift_y")


def _move(images: Tensor, drawn: Tensor, strength: Tensor) -> Tensor:
    rotate, shear_x, shear_y, shift_x, shift_y = (torch.where(drawn == i, strength, 0.0) for i in range(len(GEOMETRIC)))
    angle = torch.deg2rad(rotate * ROTATION)
    # The grid runs from -1 to 1, hence twice the share of the size.
    rows = (
        torch.stack((torch.cos(angle), shear_x * SHEAR - torch.sin(angle), 2 * SHIFT * shift_x), 1),
        torch.stack((shear_y * SHEAR + torch.sin(angle), torch.cos(angle), 2 * SHIFT * shift_y), 1),
    )
    grid = F.affine_grid(torch.stack(rows, 1).to(images.device), list(images.shape), align_corners=False)
    moved = F.grid_sample(images - GREY, grid, align_corners=False) + GREY
    return moved.contiguous(memory_format=torch.channels_last)


# ---- colours: images `(n, 3, s, s)` in 0..255, strength `(n, 1, 1, 1)` in -1..1 ----


def _luminance(images: Tensor) -> Tensor:
    return (images * torch.tensor([0.299, 0.587, 0.114], device=images.device).view(1, 3, 1, 1)).sum(1, keepdim=True)


def _blend(degenerate: Tensor, images: Tensor, strength: Tensor) -> Tensor:
    """Away from a degenerate image where the strength is above 0, towards it where it is below."""
    return degenerate + (1 + BLEND * strength) * (images - degenerate)


def brightness(images: Tensor, strength: Tensor) -> Tensor:
    return _blend(torch.zeros(()), images, strength)


def contrast(images: Tensor, strength: Tensor) -> Tensor:
    return _blend(_luminance(images).mean((2, 3), keepdim=True), images, strength)


def color(images: Tensor, strength: Tensor) -> Tensor:
    return _blend(_luminance(images), images, strength)


def sharpness(images: Tensor, strength: Tensor) -> Tensor:
    smooth = torch.tensor([[1.0, 1, 1], [1, 5, 1], [1, 1, 1]], device=images.device).expand(3, 1, 3, 3) / 13
    return _blend(F.conv2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), smooth, groups=3), images, strength)


def auto_contrast(images: Tensor, strength: Tensor) -> Tensor:
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    return torch.where(high > low, (images - low) * 255 / (high - low).clamp_min(1), images)


def solarize(images: Tensor, strength: Tensor) -> Tensor:
    return torch.where(images >= 256 * (1 - strength.abs()), 255 - images, images)


def posterize(images: Tensor, strength: Tensor) -> Tensor:
    step = 2 ** (BITS * strength.abs()).round()
    return torch.floor(images / step) * step


PHOTOMETRIC: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (
    brightness,
    contrast,
    color,
    sharpness,
    auto_contrast,
    solarize,
    posterize,
)
