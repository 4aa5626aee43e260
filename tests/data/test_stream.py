"""Streamed images are those of the cache, and the threads that decode them end when they should."""

from __future__ import annotations

import threading
import time
import warnings
from contextlib import ExitStack

import numpy as np
import pytest
import torch
from PIL import Image

from edgenas.data import load_dataset, prefetch, stream
from edgenas.data.decode import pillow
from edgenas.data.stream import StreamedImages
from edgenas.errors import DataError
from tests.conftest import wait_until
from tests.data.images import shard_folder, write_folder, zip_folder


@pytest.fixture
def pets(tmp_path):
    return write_folder(tmp_path / "pets", {"cat": 60, "dog": 60}, ".jpg")


BATCHES = [np.array([3, 1, 4]), np.array([1, 5]), np.array([90, 2, 6])]


def decoding() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


@pytest.mark.parametrize("pack", ["folder", "zip", "shards", "digits"])
def test_batches_are_those_of_the_cache_to_the_bit(pets, tmp_path, cache, pack):
    packed = {"folder": lambda: pets, "zip": lambda: zip_folder(pets), "shards": lambda: shard_folder(pets, tmp_path / "s")}
    source = str(packed.get(pack, lambda: pack)())
    streamed, kept = (load_dataset(source, size=12, stream=stream) for stream in (True, False))
    assert streamed.streamed and not kept.streamed
    assert (streamed.mean, streamed.std, streamed.fingerprint) == (kept.mean, kept.std, kept.fingerprint)
    assert len(list(cache.glob("*/images.npy"))) == 1
    for _ in range(2):
        results = [list(data.train.batches(iter(BATCHES))) for data in (streamed, kept)]
        for (images, labels), (expected, expected_labels) in zip(*results, strict=True):
            assert torch.equal(images, expected) and torch.equal(labels, expected_labels)
            assert images.is_contiguous(memory_format=torch.channels_last)
    assert not decoding()


def test_images_are_checked_once(pets):
    seen = []

    def track(items, description, total=None):
        seen.append((description, total))
        yield from items

    (pets / "cat" / "007.jpg").write_bytes(b"")
    for _ in range(2):
        data = load_dataset(str(pets), size=8, stream=True, track=track)
        assert data.skipped == {"cat/007.jpg": "it is empty"}
        assert sum(map(len, data.splits.values())) == 119
    assert seen == [("Checking images", 120), ("Comparing pictures", 1)]


def test_streaming_draws_nothing_from_the_global_generator(pets):
    data = load_dataset(str(pets), size=8, stream=True)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    list(data.train.batches(BATCHES))
    assert torch.equal(torch.get_rng_state(), before)


def test_threads_end_with_their_consumer(pets):
    data = load_dataset(str(pets), size=8, stream=True)
    items = prefetch(data.train.batches([np.arange(8)] * 50))
    next(items)
    assert decoding()
    items.close()
    assert not decoding()


def test_no_more_is_decoded_ahead_than_is_told(pets, monkeypatch):
    """What is decoded lies in memory until it is asked for."""
    images, made = load_dataset(str(pets), size=8, stream=True).train.images, []
    decode = StreamedImages.__getitem__
    monkeypatch.setattr(StreamedImages, "__getitem__", lambda self, rows: made.append(rows) or decode(self, rows))
    monkeypatch.setattr(stream, "_cores", lambda: 2)
    batches = images.batches([np.arange(8)] * 50)
    next(batches)
    wait_until(lambda: len(made) == 5)  # the one that was asked for, and two for each thread
    time.sleep(0.1)
    assert len(made) == 5
    batches.close()


def test_what_is_changed_in_pillow_is_shared_by_threads():
    """The first of them to be done leaves the others their Pillow, and the last one leaves it as it was."""
    limit, filters = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    first, second = ExitStack(), ExitStack()
    first.enter_context(pillow)
    second.enter_context(pillow)
    first.close()
    assert Image.MAX_IMAGE_PIXELS is None
    second.close()
    assert limit == Image.MAX_IMAGE_PIXELS
    assert warnings.filters == filters


def test_an_image_that_has_gone_is_told_of_in_one_sentence(pets):
    data = load_dataset(str(pets), size=8, stream=True)
    for file in pets.glob("*/*.jpg"):
        file.unlink()
    with pytest.raises(DataError, match=r"^\w+/\d+\.jpg in .*pets could be read before and now cannot") as caught:
        list(data.train.batches(BATCHES))
    assert "Traceback" not in str(caught.value)
    assert not decoding()
