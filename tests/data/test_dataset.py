"""Splits and batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgenas.data import Split, load_dataset
from edgenas.data.dataset import channel_statistics
from edgenas.data.splitting import split_rows
from edgenas.errors import DataError, UsageError
from tests.data.images import write_folder

SHARES = {"validation": 0.1, "test": 0.1}
PARTS = ("train", "validation", "test")


def counts_of(data):
    return [
        np.bincount(split.labels, minlength=len(data.classes)).tolist() for split in (data.train, data.validation, data.test)
    ]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"cat": 30, "dog": 20}, [[24, 16], [3, 2], [3, 2]]),
        ({"cat": 3, "dog": 3}, [[1, 1], [1, 1], [1, 1]]),
        ({"train/cat": 30, "train/dog": 20}, [[24, 16], [3, 2], [3, 2]]),
        ({"train/cat": 30, "train/dog": 20, "test/cat": 1, "test/dog": 4}, [[27, 18], [3, 2], [1, 4]]),
        ({"train/cat": 30, "train/dog": 20, "val/cat": 1, "val/dog": 4}, [[27, 18], [1, 4], [3, 2]]),
        ({"train/cat": 3, "train/dog": 1, "val/cat": 1, "val/dog": 4, "test/cat": 1, "test/dog": 1}, [[3, 1], [1, 4], [1, 1]]),
    ],
)
def test_splits_of_folders(tmp_path, counts, expected):
    data = load_dataset(str(write_folder(tmp_path / "pets", counts)), size=4)
    assert counts_of(data) == expected
    assert (data.name, data.source, data.size) == ("pets", str(tmp_path / "pets"), 4)
    assert data.flip and data.classes == ("cat", "dog") and not data.skipped
    rows = np.concatenate([data.train.rows, data.validation.rows, data.test.rows])
    assert sorted(rows) == list(range(sum(counts.values())))  # disjoint and complete


def test_mnist5k():
    data = load_dataset("mnist5k", size=28)
    assert counts_of(data) == [[350] * 10, [50] * 10, [100] * 10]
    assert not data.flip and data.source == data.name == "mnist5k"
    assert data.mean[0] == data.mean[1] == data.mean[2] == pytest.approx(0.1307, abs=0.005)  # of MNIST
    assert data.std[0] == pytest.approx(0.3081, abs=0.005)
    images, labels = data.train.batch(range(64))
    assert (images[:, 0] == images[:, 2]).all() and images.max() == 255
    assert len(labels.unique()) == 10


def test_digits():
    data = load_dataset("digits", size=16)
    assert [len(split) for split in (data.train, data.validation, data.test)] == [1259, 179, 359]
    assert not data.flip


@pytest.mark.parametrize(
    ("counts", "needed"),
    [({"cat": 2, "dog": 9}, 3), ({"train/cat": 1, "train/dog": 9, "test/cat": 1, "test/dog": 9}, 2)],
)
def test_a_class_with_too_few_images(tmp_path, counts, needed):
    with pytest.raises(DataError, match=f"Class 'cat' .* has only {needed - 1} images? to .* at least {needed} are needed"):
        load_dataset(str(write_folder(tmp_path / "pets", counts)), size=4)
    assert not (tmp_path / "cache").exists()  # found before anything was decoded


def test_too_few_images_because_one_is_unreadable(tmp_path):
    folder = write_folder(tmp_path / "pets", {"cat": 3, "dog": 9})
    (folder / "cat" / "001.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"Class 'cat' .* has only 2 images"):
        load_dataset(str(folder), size=4)


def test_size_must_be_positive():
    with pytest.raises(UsageError, match="at least 1 pixel"):
        load_dataset("digits", size=0)


def test_the_same_seed_gives_the_same_split(tmp_path):
    folder = write_folder(tmp_path / "pets", {"cat": 40, "dog": 40})
    first, again, other = (load_dataset(str(folder), size=4, seed=seed) for seed in (3, 3, 4))
    for part in PARTS:
        assert getattr(first, part).rows.tolist() == getattr(again, part).rows.tolist()
    assert set(first.test.rows) != set(other.test.rows)
    assert (first.mean, first.std) == (again.mean, again.std)


def test_rows_of_class_sorted_images_are_shuffled():
    labels = np.repeat([0, 1, 2], 100)
    rows = split_rows(labels, {"train": 200, "test": 100}, SHARES, seed=0)
    assert len(set(labels[rows["train"][:20]])) == 2
    assert rows["test"].tolist() != sorted(rows["test"]) and sorted(rows["test"]) == list(range(200, 300))


def test_images_of_one_class_do_not_move_those_of_another():
    few, many = np.repeat([0, 1], [50, 50]), np.repeat([0, 1], [50, 90])
    tests = [split_rows(labels, {"train": len(labels)}, SHARES, seed=5)["test"] for labels in (few, many)]
    assert {row for row in tests[0] if row < 50} == {row for row in tests[1] if row < 50}


def test_unreadable_rows_are_in_no_split():
    labels = np.array([0, -1, 0, 0, 1, 1, 1, -1, 0, 1, -1])
    rows = split_rows(labels, {"train": 8, "test": 3}, SHARES, seed=0)
    assert sorted(np.concatenate([rows["train"], rows["validation"]])) == [0, 2, 3, 4, 5, 6]
    assert sorted(rows["test"]) == [8, 9]


def test_batch():
    images = np.random.default_rng(0).integers(0, 256, (6, 5, 5, 3), dtype=np.uint8)
    images.flags.writeable = False
    labels = np.array([4, 2, 0])
    split = Split(images, labels, rows=np.array([5, 1, 3]))
    batch, batch_labels = split.batch([2, 0])
    assert len(split) == 3
    assert batch.shape == (2, 3, 5, 5) and batch.dtype == torch.uint8 and batch_labels.dtype == torch.int64
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert (batch.permute(0, 2, 3, 1).numpy() == images[[3, 5]]).all() and batch_labels.tolist() == [0, 4]
    batch.zero_()  # a copy
    assert images[3].any()
    assert (Split(images, np.arange(6)).batch(np.array([4]))[0][0].permute(1, 2, 0).numpy() == images[4]).all()


def test_channel_statistics():
    images = np.random.default_rng(0).integers(0, 256, (300, 4, 4, 3), dtype=np.uint8) // np.array([1, 2, 4], np.uint8)
    mean, std = channel_statistics(Split(images, np.zeros(300, np.int64)))
    assert mean == pytest.approx((images / 255).mean((0, 1, 2)))
    assert std == pytest.approx((images / 255).std((0, 1, 2)))


def test_black_images_have_no_zero_deviation():
    mean, std = channel_statistics(Split(np.zeros((3, 2, 2, 3), np.uint8), np.zeros(3, np.int64)))
    assert mean == (0, 0, 0) and min(std) > 0
