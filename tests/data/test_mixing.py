"""Mixup and cutmix: pixels and labels are shared alike."""

import numpy as np
import pytest
import torch

from edgenas.data import mix

CLASSES = 4


@pytest.fixture
def batch():
    """Every image is filled with its class, so that pixels tell what labels must say."""
    labels = torch.arange(32) % CLASSES
    return labels.float().view(-1, 1, 1, 1).expand(-1, 3, 16, 16).contiguous(memory_format=torch.channels_last), labels


@pytest.mark.parametrize("alphas", [(0.4, 0.0), (0.0, 1.0), (0.4, 1.0)], ids=["mixup", "cutmix", "both"])
def test_labels_are_the_share_of_each_image(batch, alphas):
    images, labels = batch
    seen = set()
    for seed in range(20):
        mixed, soft = mix(
            images, labels, CLASSES, mixup_alpha=alphas[0], cutmix_alpha=alphas[1], rng=np.random.default_rng(seed)
        )
        assert mixed.shape == images.shape and mixed.is_contiguous(memory_format=torch.channels_last)
        assert soft.shape == (32, CLASSES)
        torch.testing.assert_close(soft.sum(1), torch.ones(32))
        # The mean pixel is the expected class.
        torch.testing.assert_close(mixed.mean((1, 2, 3)), soft @ torch.arange(CLASSES).float(), atol=1e-4, rtol=0)
        whole = all(torch.equal(pixel, pixel.round()) for pixel in mixed)
        seen.add("cutmix" if whole else "mixup")
    assert ("mixup" in seen) == bool(alphas[0])
    assert ("cutmix" in seen) == bool(alphas[1])


def test_the_generator_decides(batch):
    def once(seed):
        return mix(*batch, CLASSES, mixup_alpha=0.2, cutmix_alpha=1.0, rng=np.random.default_rng(seed))

    assert all(torch.equal(a, b) for a, b in zip(once(1), once(1), strict=True))
    assert not torch.equal(once(1)[0], once(2)[0])
