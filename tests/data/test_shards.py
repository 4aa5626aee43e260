"""WebDataset shards: which are understood, and that they hold what a folder of the same images does."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import torch

from edgenas.data import Decoder, load_dataset
from edgenas.data.sources import open_source
from edgenas.data.sources.shards import expand_braces
from edgenas.errors import DataError, UsageError
from tests.data.images import shard_folder, write_folder, write_shard

SAMPLE = {"a.png": b"x", "a.cls": b"cat", "b.png": b"x", "b.cls": b"dog"}


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [
        ("a.tar", ["a.tar"]),
        ("a-{009..011}.tar", ["a-009.tar", "a-010.tar", "a-011.tar"]),
        ("a-{9..11}", ["a-9", "a-10", "a-11"]),
        ("{train,test}-{0..1}", ["train-0", "train-1", "test-0", "test-1"]),
    ],
)
def test_braces_expand_as_in_a_shell(pattern, paths):
    assert expand_braces(pattern) == paths


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("parts", [[""], ["train/", "val/", "test/"]])
def test_shards_hold_what_their_folder_holds(tmp_path, parts, stream):
    counts = {f"{part}{name}": count for part in parts for name, count in (("cat", 30), ("dog", 20))}
    folder = write_folder(tmp_path / "pets", counts)
    shards = shard_folder(folder, tmp_path / "shards")
    kept, sharded = load_dataset(str(folder), size=8), load_dataset(str(shards), size=8, stream=stream)
    assert sharded.classes == kept.classes and sharded.name == "shards" and sharded.source == str(shards)
    for part in ("train", "validation", "test"):
        images = [getattr(data, part).batch(np.arange(len(getattr(data, part))))[0] for data in (kept, sharded)]
        labels = [getattr(data, part).labels.tolist() for data in (kept, sharded)]
        assert labels[0] == labels[1]
        assert torch.equal(*images)


def test_a_pattern_takes_the_shards_that_it_names(tmp_path):
    shards = shard_folder(write_folder(tmp_path / "pets", {"cat": 30, "dog": 30}), tmp_path / "shards")
    few = open_source(str(shards / "train-{000..001}.tar")).listing()
    assert few.parts == {"train": 40}
    assert {file.split("/")[0] for file in few.files} == {"train-000.tar", "train-001.tar"}
    with pytest.raises(UsageError, match=r"1 of the 4 shards .* do not exist: 'train-003.tar'"):
        open_source(str(shards / "train-{000..003}.tar"))


def test_class_indices_are_sorted_by_value_and_only_images_are_images(tmp_path):
    samples = {f"x/{i}.png": b"" for i in range(11)} | {f"x/{i}.cls": str(i).encode() for i in range(11)}
    extra = {"x/0.json": b"{}", "x/.hidden.png": b"", "x/0.seg.png": b""}
    listing = open_source(str(write_shard(tmp_path / "s.tar", samples | extra))).listing()
    assert listing.classes == tuple(map(str, range(11)))
    assert [file for file in listing.files if "/0." in file] == ["s.tar/x/0.png"]


def test_a_changed_shard_is_another_source(tmp_path):
    path = write_shard(tmp_path / "s.tar", SAMPLE)
    before = open_source(str(path)).stamp()
    write_shard(path, SAMPLE | {"c.png": b"x" * 20_000, "c.cls": b"cat"})
    assert open_source(str(path)).stamp() != before


@pytest.mark.parametrize("stream", [False, True])
def test_a_corrupt_member_is_named_and_left_out(tmp_path, stream):
    folder = write_folder(tmp_path / "pets", {"cat": 30, "dog": 30})
    (folder / "cat" / "003.png").write_bytes(b"no image")
    shards = shard_folder(folder, tmp_path / "shards", count=1)
    for _ in range(2):  # decoded, then remembered
        data = load_dataset(str(shards), size=8, stream=stream)
        assert list(data.skipped) == ["train-000.tar/cat-003.png"]
        assert len(data.train) + len(data.validation) + len(data.test) == 59


@pytest.mark.parametrize(
    ("shards", "message"),
    [
        ({"s.tar": {"a.png": b"x", "a.cls": b"cat", "b.png": b"x"}}, "no class for 'b.png'.*00042.cls"),
        ({"s.tar": {"a.png": b"x", "a.cls": b"cat"}}, "only one class, 'cat'"),
        ({"s.tar": {"a.txt": b"x", "a.cls": b"cat"}}, "no images"),
        ({"train-0.tar": SAMPLE, "extra-0.tar": SAMPLE}, "what is extra-0.tar for"),
        ({"train-0.tar": SAMPLE, "val-0.tar": {"a.png": b"x", "a.cls": b"eel"}}, "same classes, but validation/ has 'eel'"),
    ],
)
def test_shards_that_cannot_be_used(tmp_path, shards, message):
    for name, samples in shards.items():
        write_shard(tmp_path / "shards" / name, samples)
    with pytest.raises(DataError, match=message):
        open_source(str(tmp_path / "shards")).listing()


def test_damaged_and_compressed_shards(tmp_path):
    path = write_shard(tmp_path / "s.tar", SAMPLE | {"c.png": b"x" * 20_000, "c.cls": b"cat"})
    whole = path.read_bytes()
    for content in (whole[:10_000], gzip.compress(whole), b"<html>404</html>" * 100):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"s\.tar is damaged, incomplete or compressed"):
            open_source(str(path)).listing()


def test_the_test_images_of_shards_are_decoded_anew(tmp_path):
    shards = shard_folder(write_folder(tmp_path / "pets", {"cat": 20, "dog": 20}), tmp_path / "shards")
    data = load_dataset(str(shards), size=8)
    indices = range(len(data.test))
    (again, labels), (kept, _) = (split.batch(list(indices)) for split in (data.test_from_files(Decoder(8)), data.test))
    assert np.array_equal(again, kept) and labels.tolist() == data.test.labels.tolist()
