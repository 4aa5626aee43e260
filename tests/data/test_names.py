"""Names that file systems and archives hold in other ways than they are meant, and folders that are no classes."""

from __future__ import annotations

import io
import os
import sys
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgenas.data import load_dataset
from edgenas.data.sources import open_source
from edgenas.data.sources.folders import UNICODE_NAME
from tests.data.images import shard_folder, write_folder, write_image

NFD, NFC = (unicodedata.normalize(form, "café") for form in ("NFD", "NFC"))
bytes_in_names = pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="file names are Unicode there")


@bytes_in_names
def test_a_class_whose_name_is_no_utf_8(tmp_path):
    latin = os.fsdecode(b"caf\xe9")
    data = load_dataset(str(write_folder(tmp_path / "pets", {latin: 10, "dog": 10})), size=8)
    assert data.classes == (r"caf\xe9", "dog")
    assert len(data.train) == 16 and data.skipped == ()


@bytes_in_names
def test_an_unreadable_image_whose_name_is_no_utf_8(tmp_path):
    folder = write_folder(tmp_path / "pets", {"cat": 10, "dog": 10})
    (folder / "cat" / os.fsdecode(b"gr\xfcn.jpg")).write_bytes(b"no image")
    for stream in (False, True):
        assert load_dataset(str(folder), size=8, stream=stream).skipped == (r"cat/gr\xfcn.jpg",)


@pytest.mark.parametrize("stream", [False, True])
def test_one_class_written_in_two_ways(tmp_path, stream):
    counts = {f"train/{NFD}": 10, "train/dog": 10, f"val/{NFC}": 3, "val/dog": 3}
    folder = write_folder(tmp_path / "pets", counts)
    data = load_dataset(str(folder), size=8, stream=stream)
    assert data.classes == (NFC, "dog")
    assert np.bincount(data.validation.labels).tolist() == [3, 3]
    assert data.train.batch([0, 1])[0].shape == (2, 3, 8, 8)
    sharded = load_dataset(str(shard_folder(folder, tmp_path / "shards")), size=8)
    assert sharded.classes == data.classes


class Unflagged(zipfile.ZipInfo):
    def _encodeFilenameFlags(self):
        return self.filename.encode(), self.flag_bits & ~UNICODE_NAME


def written(path: Path, members: list[tuple[str, int, bool]]) -> Path:
    """A zip of black images. members: name as it is stored, the system that wrote it, whether it says that names are UTF-8."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG")
    with zipfile.ZipFile(path, "w") as archive:
        for number, (name, system, flagged) in enumerate(members):
            info = (zipfile.ZipInfo if flagged else Unflagged)("x")
            info.filename, info.create_system = name, system
            archive.writestr(info, file.getvalue() + bytes([number]))
    return path


@pytest.mark.parametrize("system", [0, 3])
def test_a_zip_with_backslashes(tmp_path, system):
    names = [f"photos\\{name}\\{i}.png" for name in ("cat", "dog") for i in range(3)]
    listing = open_source(str(written(tmp_path / "photos.zip", [(name, system, True) for name in names]))).listing()
    assert listing.classes == ("cat", "dog")
    assert listing.files[0] == "photos/cat/0.png"
    with open_source(str(tmp_path / "photos.zip")).open("photos/cat/0.png") as image:
        assert image.size == (8, 8)


def test_a_backslash_is_a_letter_where_slashes_are_slashes(tmp_path):
    names = [f"photos/{name}/{i}.png" for name in ("a\\b", "dog") for i in range(3)]
    assert open_source(str(written(tmp_path / "p.zip", [(name, 3, True) for name in names]))).listing().classes == (
        r"a\b",
        "dog",
    )


def test_a_zip_without_the_flag_that_its_names_are_utf_8(tmp_path):
    names = [f"{name}/{i}.png" for name in (NFD, "dog") for i in range(3)]
    path = written(tmp_path / "p.zip", [(name, 3, False) for name in names])
    assert not any(info.flag_bits & UNICODE_NAME for info in zipfile.ZipFile(path).infolist())
    assert open_source(str(path)).listing().classes == (NFC, "dog")
    assert load_dataset(str(path), size=8).skipped == ()


def test_a_zip_in_the_code_page_of_the_format(tmp_path):
    path = written(tmp_path / "p.zip", [(f"{name}/{i}.png", 3, False) for name in ("xyz", "dog") for i in range(3)])
    path.write_bytes(path.read_bytes().replace(b"xyz", b"f\x94n"))
    assert open_source(str(path)).listing().classes == ("dog", "fön")


def test_what_edgenas_writes_among_the_photos_is_no_class(tmp_path):
    folder = write_folder(tmp_path / "photos", {"cat": 5, "dog": 5})
    before = open_source(str(folder)).stamp()
    for file in ("runs/photos/config.toml", "runs/photos/export/x/model.json", "runs/b/tune/trials.db", "mine/config.toml",
                 "devices/cpu/onnxruntime-fp32-1t.json"):  # fmt: skip
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text("")
    for file in ("runs/photos/training.png", "mine/front.png"):
        write_image(folder / file, (0, 0, 0))
    source = open_source(str(folder))
    assert source.listing().classes == ("cat", "dog")
    assert source.stamp() == before
    whys = [each.why for each in source.listing().left_out]
    assert "in runs/, which EdgeNAS wrote itself" in whys and "in mine/, which EdgeNAS wrote itself" in whys


@pytest.mark.parametrize("empty", ["runs", "devices"])
def test_empty_folders_of_edgenas_are_no_classes(tmp_path, empty):
    folder = write_folder(tmp_path / "photos", {"cat": 5, "dog": 5, empty: 0})
    assert open_source(str(folder)).listing().classes == ("cat", "dog")


def test_classes_may_be_called_as_its_folders_are(tmp_path):
    folder = write_folder(tmp_path / "photos", {"devices": 5, "runs": 5, "runs/first": 2})
    assert open_source(str(folder)).listing().classes == ("devices", "runs")
