"""Augmentation on whole batches: every image its own random draw, no loop over images.

Images are `(b, 3, s, s)` float tensors in channels_last, normalised, so that 0 is the mean colour. Randomness comes from
a CPU `torch.Generator`: the same state gives the same images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from edgenas.data.dataset import Dataset


def normalise(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """`(b, 3, h, w)` uint8 -> float32 in channels_last: values in 0..1, minus the mean, by the standard deviation."""
    shift, scale = (torch.tensor(values, device=images.device).view(1, 3, 1, 1) * 255 for values in (mean, std))
    return images.to(torch.float32, memory_format=torch.channels_last).sub_(shift).div_(scale)


def resize(images: Tensor, resolution: int) -> Tensor:
    """`(b, 3, s, s)` -> `(b, 3, resolution, resolution)`, antialiased bilinear; the images themselves when they fit."""
    if images.shape[-1] == resolution:
        return images
    resized = F.interpolate(images, (resolution, resolution), mode="bilinear", antialias=True)
    return resized.contiguous(memory_format=torch.channels_last)


def random_flip(images: Tensor, generator: Generator) -> Tensor:
    """Mirror each image left to right with probability 1/2."""
    flipped = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
    return torch.where(flipped.to(images.device), images.flip(3), images).contiguous(memory_format=torch.channels_last)


def random_crop(images: Tensor, padding: int, generator: Generator) -> Tensor:
    """Shift each image by up to `padding` pixels both ways, filling with 0: pad and crop, as is usual on CIFAR."""
    size = images.shape[-1]
    top, left = torch.randint(2 * padding + 1, (2, len(images), 1), generator=generator).to(images.device)
    padded = F.pad(images, (padding,) * 4).permute(0, 2, 3, 1)
    image, offset = (torch.arange(n, device=images.device) for n in (len(images), size))
    return padded[image[:, None, None], (top + offset)[:, :, None], (left + offset)[:, None, :]].permute(0, 3, 1, 2)


def random_affine(images: Tensor, degrees: float, scale: float, translate: float, generator: Generator) -> Tensor:
    """Rotate each image by up to `degrees`, scale it by 1-scale..1+scale and shift it by up to `translate` of its size."""
    angle, factor, right, down = torch.rand(4, len(images), generator=generator) * 2 - 1
    angle, factor = torch.deg2rad(angle * degrees), 1 + factor * scale
    cos, sin = torch.cos(angle) / factor, torch.sin(angle) / factor
    # The grid runs from -1 to 1, hence twice the share of the size.
    rows = [torch.stack(row, 1) for row in ((cos, -sin, 2 * translate * right), (sin, cos, 2 * translate * down))]
    grid = F.affine_grid(torch.stack(rows, 1).to(images), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False).contiguous(memory_format=torch.channels_last)


def cutout(images: Tensor, size: int, generator: Generator) -> Tensor:
    """Set a square of `size` pixels around a random point of each image to 0 (DeVries & Taylor, arXiv:1708.04552)."""
    side = images.shape[-1]
    first = torch.randint(side, (2, len(images), 1), generator=generator) - size // 2
    offset = torch.arange(side)
    row, column = (offset >= first) & (offset < first + size)
    hole = (row[:, :, None] & column[:, None, :])[:, None]
    return images.masked_fill(hole.to(images.device), 0).contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Augmentation:
    """What is done to training images: flip, then rotation and scaling, then crop, then cutout. 0 leaves one out.

    crop_padding, cutout: in pixels. degrees: the largest rotation. scale: the largest relative change of size.
    """

    flip: bool = False
    crop_padding: int = 0
    degrees: float = 0.0
    scale: float = 0.0
    cutout: int = 0

    @classmethod
    def for_dataset(cls, dataset: Dataset, cutout: float = 0.0) -> Augmentation:
        """Flips and crops; rotation and scaling instead of flips where a mirrored image is another thing, as with digits.

        cutout: side of the square as a share of the image's.
        """
        hole = round(cutout * dataset.size)
        if dataset.flip:
            return cls(flip=True, crop_padding=dataset.size // 8, cutout=hole)
        return cls(crop_padding=dataset.size // 8, degrees=10.0, scale=0.1, cutout=hole)

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """`(b, 3, s, s)` normalised float images -> as many of the same shape."""
        if self.flip:
            images = random_flip(images, generator)
        if self.degrees or self.scale:
            images = random_affine(images, self.degrees, self.scale, 0.0, generator)
        if self.crop_padding:
            images = random_crop(images, self.crop_padding, generator)
        if self.cutout:
            images = cutout(images, self.cutout, generator)
        return images
