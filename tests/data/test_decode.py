"""What is learned of images while they are decoded."""

import hashlib

import numpy as np
import pytest
from PIL import Image

from edgenas.data.decode import AT_ONCE, FACTS, SKETCH, area_weights, sketches, with_pixels


@pytest.mark.parametrize("size", [3, 8, 12, 20, 32, 100])
def test_a_sketch_has_the_means_of_areas(size):
    pixels = np.random.default_rng(size).integers(0, 256, (5, size, size, 3), dtype=np.uint8)
    for sketch, image in zip(sketches(pixels), pixels, strict=True):
        by_pillow = np.asarray(Image.fromarray(image).resize((SKETCH, SKETCH), Image.Resampling.BOX))
        if size >= SKETCH and size % SKETCH == 0:  # else Pillow takes or leaves pixels on the borders of areas whole
            assert np.abs(sketch.astype(int) - by_pillow).max() <= 1
        assert np.abs(sketch.mean((0, 1)) - image.mean((0, 1))).max() < 1
    assert np.allclose(area_weights(size).sum(1), 1)


def test_large_images_are_sketched_one_by_one():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 640, 640, 3), dtype=np.uint8)
    assert pixels[0].size > AT_ONCE
    assert np.array_equal(sketches(pixels), np.concatenate([sketches(pixels[i : i + 1]) for i in range(3)]))


def test_facts_of_pixels():
    pixels = np.random.default_rng(0).integers(10, 90, (4, 16, 16, 3), dtype=np.uint8)
    facts = np.zeros(4, FACTS)
    facts["width"] = range(4)
    made = with_pixels(facts, pixels)
    assert made["width"].tolist() == [0, 1, 2, 3] and not facts["high"].any()
    assert made["low"].tolist() == pixels.min((1, 2, 3)).tolist() and made["high"].tolist() == pixels.max((1, 2, 3)).tolist()
    assert [bytes(each) for each in made["picture"]] == [hashlib.sha256(each.tobytes()).digest()[:16] for each in pixels]
    assert len(with_pixels(facts[:0], pixels[:0])) == 0
