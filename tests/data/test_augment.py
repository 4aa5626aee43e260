"""Augmentation: what each operation may do, image by image, and that a seed decides it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from edgenas.data import (
    Augmentation,
    Dataset,
    Split,
    cutout,
    normalise,
    random_affine,
    random_crop,
    random_flip,
    random_resized_crop,
    resize,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def images():
    return torch.randn(64, 3, 16, 16, generator=seeded(9)).contiguous(memory_format=torch.channels_last)


OPERATIONS = {
    "flip": random_flip,
    "crop": lambda images, generator: random_crop(images, 2, generator),
    "affine": lambda images, generator: random_affine(images, 15, 0.2, 0.1, generator),
    "resized crop": lambda images, generator: random_resized_crop(images, 0.3, generator),
    "cutout": lambda images, generator: cutout(images, 5, generator),
    "all": Augmentation(flip=True, crop_padding=2, degrees=10, scale=0.1, cutout=4, least_area=0.3),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_every_operation(images, operation):
    before = images.clone()
    result = operation(images, seeded(1))
    assert result.shape == images.shape and result.dtype == torch.float32
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(images, before)  # its input is not changed
    assert torch.equal(result, operation(images, seeded(1)))
    assert not torch.equal(result, operation(images, seeded(2)))
    same = images[:1].expand(64, -1, -1, -1).contiguous(memory_format=torch.channels_last)
    assert len({tuple(image.flatten().tolist()) for image in operation(same, seeded(1))}) > 1  # a draw for each


def test_normalise():
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (4, 5, 5, 3), dtype=np.uint8)).permute(0, 3, 1, 2)
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
    expected = (pixels / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    for images in (pixels, pixels.contiguous()):
        result = normalise(images, mean, std)
        assert result.dtype == torch.float32 and result.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-5, check_stride=False)


def test_resize(images):
    assert resize(images, 16) is images
    smaller = resize(images, 8)
    assert smaller.shape == (64, 3, 8, 8) and smaller.is_contiguous(memory_format=torch.channels_last)
    stripes = torch.zeros(1, 3, 16, 16)
    stripes[..., ::2] = 1
    assert (resize(stripes, 4) - 0.5).abs().max() < 0.1  # antialiased
    torch.testing.assert_close(resize(torch.full((1, 3, 16, 16), 0.7), 12), torch.full((1, 3, 12, 12), 0.7), check_stride=False)


def test_flip_mirrors_about_half(images):
    result = random_flip(images, seeded())
    mirrored = torch.tensor([torch.equal(a, b.flip(2)) for a, b in zip(result, images, strict=True)])
    kept = torch.tensor([torch.equal(a, b) for a, b in zip(result, images, strict=True)])
    assert (mirrored ^ kept).all() and 20 < mirrored.sum() < 44


def test_crop_is_a_window_of_the_padded_image(images):
    result, padded = random_crop(images, 1, seeded()), F.pad(images, (1, 1, 1, 1))
    windows = padded.unfold(2, 16, 1).unfold(3, 16, 1)  # (b, 3, 3, 3, 16, 16)
    matches = (windows == result[:, :, None, None]).all(dim=(1, 4, 5))
    assert (matches.sum(dim=(1, 2)) == 1).all()
    assert matches.any(0).all()  # every shift occurs


def test_affine_without_range_changes_nothing(images):
    torch.testing.assert_close(random_affine(images, 0, 0, 0, seeded()), images, rtol=1e-4, atol=1e-4)


def test_affine_stays_in_its_range():
    """A dot off the centre tells angle, scale and shift."""
    size = 65
    dots = torch.zeros(200, 3, size, size)
    dots[:, 0, 32, 52] = 1  # 20 to the right of the centre
    dots = F.avg_pool2d(dots, 5, 1, 2) * 25

    def places(result):
        weight = result[:, 0] / result[:, 0].sum((1, 2), keepdim=True)
        across = torch.arange(size) - 32.0
        return (weight.sum(1) * across).sum(1), (weight.sum(2) * across).sum(1)

    x, y = places(random_affine(dots, 30, 0, 0, seeded()))
    angles = torch.rad2deg(torch.atan2(y, x))
    assert angles.abs().max() < 31 and angles.max() > 25 and angles.min() < -25
    torch.testing.assert_close(x**2 + y**2, torch.full((200,), 400.0), rtol=0.03, atol=0)

    x, y = places(random_affine(dots, 0, 0.2, 0, seeded()))
    assert 15.8 < x.min() < 17 and 23 < x.max() < 24.2 and y.abs().max() < 0.1

    x, y = places(random_affine(dots, 0, 0, 0.1, seeded()))
    assert 13.4 < x.min() < 14.5 and 25.5 < x.max() < 26.6
    assert 5.5 < y.abs().max() < 6.6


def test_a_resized_crop_of_all_the_area_changes_nothing(images):
    torch.testing.assert_close(random_resized_crop(images, 1.0, seeded()), images, rtol=1e-4, atol=1e-4)


def test_resized_crops_are_rectangles_within_the_image():
    """A picture of its own coordinates shows which part of it became the whole."""
    place = torch.linspace(0, 1, 65)
    coordinates = torch.stack((*torch.meshgrid(place, place, indexing="ij"), torch.zeros(65, 65)))
    result = random_resized_crop(coordinates.expand(2000, -1, -1, -1), 0.25, seeded())
    top, bottom, left, right = (result[:, 0, 0, 5], result[:, 0, -1, 5], result[:, 1, 5, 0], result[:, 1, 5, -1])
    assert result[:, :2].min() >= 0 and result[:, :2].max() <= 1
    torch.testing.assert_close(result[:, 0, 40, 9], result[:, 0, 40, 50])  # rows stay rows,
    torch.testing.assert_close(result[:, 1, 9, 40], result[:, 1, 50, 40])  # columns columns,
    middle = (top + bottom)[:, None] / 2
    torch.testing.assert_close(result[:, 0, 32:33, 5], middle, rtol=0, atol=0.01)  # and distances equal
    height, width = bottom - top, right - left
    area, ratio = height * width, width / height
    assert 0.22 < area.min() < 0.28 and area.max() > 0.97
    assert abs(area.mean() - 0.625) < 0.02
    assert 0.74 < ratio.min() < 0.78 and 1.28 < ratio.max() < 1.36
    assert abs(ratio.log().mean()) < 0.01
    for first, last in ((top, bottom), (left, right)):
        assert first.min() < 0.02 and last.max() > 0.98
        assert abs((first + last).mean() - 1) < 0.02  # nowhere more often than elsewhere


def test_cutout_makes_one_square_hole():
    ones = torch.ones(200, 3, 16, 16)
    holes = (cutout(ones, 5, seeded()) == 0).all(1)
    heights, widths = holes.any(2).sum(1), holes.any(1).sum(1)
    assert (holes.sum((1, 2)) == heights * widths).all()
    assert heights.max() == widths.max() == 5 and heights.min() >= 3  # cut off at the border
    assert holes.any(0).all()


def dataset(flip):
    split = Split(np.zeros((1, 32, 32, 3), np.uint8), np.zeros(1, np.int64))
    return Dataset("x", "x", ("a", "b"), 32, split, split, split, (0.5,) * 3, (0.2,) * 3, flip=flip)


def test_augmentation_for_a_dataset():
    assert Augmentation.for_dataset(dataset(flip=True)) == Augmentation(flip=True, crop_padding=4)
    assert Augmentation.for_dataset(dataset(flip=False)) == Augmentation(crop_padding=4, degrees=10, scale=0.1)
    resized = Augmentation.for_dataset(dataset(flip=True), random_resized_crop=0.3)
    assert resized == Augmentation(flip=True, least_area=0.3)  # in place of shifts


def test_no_augmentation(images):
    assert Augmentation()(images, seeded()) is images
