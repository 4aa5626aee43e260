"""Augmentation on whole batches: every image its own random draw, no loop over images.

Images are `(b, 3, s, s)` float tensors in channels_last, normalised, so that 0 is the mean colour. Randomness comes from
a CPU `torch.Generator`: the same state gives the same images.
"""

from __future__ import annotations

import math
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
    return _sampled(images, rows)


def random_resized_crop(images: Tensor, least_area: float, generator: Generator) -> Tensor:
    """A random rectangle of each image, stretched to the image's size (Szegedy et al., arXiv:1409.4842).

    Its share of the area is uniform between `least_area` and 1, the logarithm of its aspect ratio between those of 3/4 and
    4/3, as far as such a rectangle lies within the image. Bilinear: since nothing shrinks, nothing aliases.
    """
    area, ratio, right, down = torch.rand(4, len(images), generator=generator)
    area = least_area + area * (1 - least_area)
    steepest = (-area.log()).clamp(max=math.log(4 / 3))  # a longer side would not fit
    ratio = ((2 * ratio - 1) * steepest).exp()
    width, height = (area * ratio).sqrt(), (area / ratio).sqrt()
    zero = torch.zeros_like(width)
    # The grid runs from -1 to 1, of which the rectangle keeps its share and leaves the rest to be shifted by.
    rows = [(width, zero, (1 - width) * (2 * right - 1)), (zero, height, (1 - height) * (2 * down - 1))]
    return _sampled(images, [torch.stack(row, 1) for row in rows], outside="border")


def cutout(images: Tensor, size: int, generator: Generator) -> Tensor:
    """Set a square of `size` pixels around a random point of each image to 0 (DeVries & Taylor, arXiv:1708.04552)."""
    side = images.shape[-1]
    first = torch.randint(side, (2, len(images), 1), generator=generator) - size // 2
    offset = torch.arange(side)
    row, column = (offset >= first) & (offset < first + size)
    hole = (row[:, :, None] & column[:, None, :])[:, None]
    return images.masked_fill(hole.to(images.device), 0).contiguous(memory_format=torch.channels_last)


def _sampled(images: Tensor, rows: Sequence[Tensor], outside: str = "zeros") -> Tensor:
    """Each image seen through its affine map: two rows of it, `(b, 3)` each, for the output's grid of -1..1."""
    grid = F.affine_grid(torch.stack(tuple(rows), 1).to(images), list(images.shape), align_corners=False)
    sampled = F.grid_sample(images, grid, padding_mode=outside, align_corners=False)
    return sampled.contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Augmentation:
    """What is done to training images: flip, then rotation and scaling, then crop, then cutout. 0 leaves one out.

    crop_padding, cutout: in pixels. degrees: the largest rotation. scale: the largest relative change of size.
    least_area: of a random resized crop, as a share of the image's.
    """

    flip: bool = False
    crop_padding: int = 0
    degrees: float = 0.0
    scale: float = 0.0
    cutout: int = 0
    least_area: float = 0.0

    @classmethod
    def for_dataset(cls, dataset: Dataset, cutout: float = 0.0, random_resized_crop: float = 0.0) -> Augmentation:
        """Flips and crops; rotation and scaling instead of flips where a mirrored image is another thing, as with digits.

        cutout: side of the square as a share of the image's.
        random_resized_crop: least share of the area, for rectangles that are stretched instead of shifted images.
        """
        crop = {"least_area": random_resized_crop} if random_resized_crop else {"crop_padding": dataset.size // 8}
        turn = {"flip": True} if dataset.flip else {"degrees": 10.0, "scale": 0.1}
        return cls(**crop, **turn, cutout=round(cutout * dataset.size))

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """`(b, 3, s, s)` normalised float images -> as many of the same shape."""
        if self.flip:
            images = random_flip(images, generator)
        if self.degrees or self.scale:
            images = random_affine(images, self.degrees, self.scale, 0.0, generator)
        if self.crop_padding:
            images = random_crop(images, self.crop_padding, generator)
        if self.least_area:
            images = random_resized_crop(images, self.least_area, generator)
        if self.cutout:
            images = cutout(images, self.cutout, generator)
        return images
