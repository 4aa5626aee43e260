"""Streamed images are those of the cache, and the processes that decode them end when they should."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from edgenas.data import load_dataset, prefetch
from edgenas.errors import DataError
from tests.data.images import shard_folder, write_folder, zip_folder


@pytest.fixture
def pets(tmp_path):
    return write_folder(tmp_path / "pets", {"cat": 60, "dog": 60}, ".jpg")


BATCHES = [np.array([3, 1, 4]), np.array([1, 5]), np.array([90, 2, 6])]


def no_worker_is_left():
    until = time.monotonic() + 5
    while multiprocessing.active_children() and time.monotonic() < until:
        time.sleep(0.01)
    return not multiprocessing.active_children()


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
    assert no_worker_is_left()


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


def test_workers_end_with_their_consumer(pets):
    data = load_dataset(str(pets), size=8, stream=True)
    items = prefetch(data.train.batches([np.arange(8)] * 50))
    next(items)
    assert multiprocessing.active_children()
    items.close()
    assert no_worker_is_left()


def test_workers_never_hear_of_ctrl_c(pets):
    """From their first instruction on: between fork and a handler of their own there would be time for a traceback."""
    stream = load_dataset(str(pets), size=8, stream=True).train.images
    batches = stream.batches([np.array([0]), np.array([1])])
    next(batches)
    for process in multiprocessing.active_children():
        assert signal.SIGINT in blocked_signals(process.pid)
    assert signal.SIGINT not in blocked_signals(os.getpid())
    batches.close()


def blocked_signals(pid: int) -> set[int]:
    status = Path(f"/proc/{pid}/status").read_text()
    mask = int(re.search(r"SigBlk:\s*(\w+)", status)[1], 16)
    return {number for number in range(1, 64) if mask >> (number - 1) & 1}


def test_an_image_that_has_gone_is_told_of_in_one_sentence(pets):
    data = load_dataset(str(pets), size=8, stream=True)
    for file in pets.glob("*/*.jpg"):
        file.unlink()
    with pytest.raises(DataError, match=r"^\w+/\d+\.jpg in .*pets could be read before and now cannot") as caught:
        list(data.train.batches(BATCHES))
    assert "Traceback" not in str(caught.value)
    assert no_worker_is_left()
