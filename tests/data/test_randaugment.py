"""RandAugment: operations on whole batches, each image its own draw."""

import pytest
import torch

from edgenas.data import rand_augment
from edgenas.data.randaugment import GEOMETRIC, PHOTOMETRIC, _move, auto_contrast, brightness, color, posterize, solarize


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def pixels():
    return torch.randint(256, (64, 3, 16, 16), generator=seeded(9), dtype=torch.uint8)


def test_it_is_bounded_and_decided_by_the_generator(pixels):
    before = pixels.clone()
    result = rand_augment(pixels, 9, seeded(1))
    assert result.shape == pixels.shape and result.dtype == torch.float32
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert result.min() >= 0 and result.max() <= 255
    assert torch.equal(pixels, before)
    assert torch.equal(result, rand_augment(pixels, 9, seeded(1)))
    assert not torch.equal(result, rand_augment(pixels, 9, seeded(2)))


def test_each_image_has_operations_of_its_own(pixels):
    same = pixels[:1].expand(300, -1, -1, -1)
    results = rand_augment(same, 9, seeded()).flatten(1)
    assert len(torch.unique(results, dim=0)) > 100  # of (1 + 5 * 2 + ...) squared pairs


def test_the_magnitude_is_how_much_changes(pixels):
    def change(magnitude):
        return (rand_augment(pixels, magnitude, seeded(3)) - pixels).abs().mean()

    assert change(2) < change(9)


def test_geometry_moves_as_its_name_says():
    images = torch.full((len(GEOMETRIC), 3, 33, 33), 128.0)
    images[:, :, 16, 24] = 255  # 8 to the right of the centre
    moved = _move(images, torch.arange(len(GEOMETRIC)), torch.full((len(GEOMETRIC),), 0.5)) - 128
    weight = moved[:, 0] / moved[:, 0].sum((1, 2), keepdim=True)
    across = torch.arange(33) - 16.0
    places = torch.stack(((weight.sum(1) * across).sum(1), (weight.sum(2) * across).sum(1)), 1)
    rotate, shear_x, shear_y, shift_x, shift_y = places
    assert rotate.norm() == pytest.approx(8, abs=0.2) and abs(rotate[1]) > 1.5
    assert shear_x.tolist() == pytest.approx([8, 0], abs=0.1)  # on the horizontal axis a shear along it moves nothing
    assert abs(shear_y[1]) == pytest.approx(8 * 0.15, abs=0.2)
    assert abs(shift_x[0] - 8) == pytest.approx(0.15 * 33, abs=0.2) and abs(shift_x[1]) < 0.1
    assert abs(shift_y[1]) == pytest.approx(0.15 * 33, abs=0.2) and shift_y[0] == pytest.approx(8, abs=0.1)


def test_colours_change_as_their_names_say():
    images = torch.rand(4, 3, 8, 8, generator=seeded()) * 200 + 20
    half = torch.full((4, 1, 1, 1), 0.5)
    assert torch.allclose(brightness(images, -half), images * 0.55)
    grey = images.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    torch.testing.assert_close(color(grey, half), grey)
    stretched = auto_contrast(images, half)
    assert stretched.amin((2, 3)).abs().max() < 1e-3 and (stretched.amax((2, 3)) - 255).abs().max() < 1e-3
    assert torch.equal(solarize(images, half)[images < 128], images[images < 128])
    assert torch.equal(solarize(images, half)[images >= 128], 255 - images[images >= 128])
    assert torch.equal(posterize(images, half), (images // 4) * 4)
    for change in PHOTOMETRIC:
        assert change(images, half).shape == images.shape
