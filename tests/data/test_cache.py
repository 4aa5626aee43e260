"""Decoding, and a cache that is whole or absent."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import tempfile
from collections import namedtuple

import numpy as np
import pytest
import torch
from PIL import Image

from edgenas.data import decode as decode_module
from edgenas.data import load_dataset
from edgenas.data.decode import Decoder
from edgenas.errors import DataError, EdgeNASError
from edgenas.files import building
from tests.data.images import COLOURS, write_folder, zip_folder

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def pets(tmp_path):
    return write_folder(tmp_path / "pets", {"cat": 30, "dog": 30})


@pytest.fixture
def decoded_images(monkeypatch):
    """A list that grows by an entry with every image decoded."""
    calls, decode_one = [], Decoder.__call__
    monkeypatch.setattr(Decoder, "__call__", lambda self, image: calls.append(self.size) or decode_one(self, image))
    return calls


# ---- decoding ----


def test_shorter_side_is_resized_and_the_centre_kept():
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, 20:40] = (10, 200, 30)
    for array in (pixels, pixels.transpose(1, 0, 2)):
        image = Decoder(10)(Image.fromarray(array))
        assert image.shape == (10, 10, 3) and image.dtype == np.uint8
        assert (image[1:-1, 1:-1] == (10, 200, 30)).all()
    wide = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 60, 3), dtype=np.uint8))
    expected = np.asarray(wide.resize((30, 10), Image.Resampling.BILINEAR))[:, 10:20]
    assert (Decoder(10)(wide) == expected).all()


def test_downscaling_is_antialiased():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(Decoder(8)(Image.fromarray(stripes)).astype(int) - 127).max() < 16


def test_images_of_the_right_size_are_kept_to_the_bit():
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    assert (Decoder(16)(Image.fromarray(pixels)) == pixels).all()


def test_exif_orientation_is_honoured():
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:8] = 255  # light above
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", exif=exif)
    with Image.open(file) as image:
        assert (Decoder(16)(image) == pixels.transpose(1, 0, 2)[:, ::-1]).all()


def test_large_jpegs_look_the_same_as_when_decoded_in_full():
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((640, 480), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    smooth.save(file, "JPEG", quality=95)
    with Image.open(file) as image:
        quick = Decoder(32)(image)
    with Image.open(file) as image:
        assert np.abs(quick.astype(int) - Decoder(32)(image.copy()).astype(int)).max() <= 6


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA", "CMYK", "YCbCr", "I;16", "I"])
def test_every_mode_becomes_rgb(mode):
    grey = Image.fromarray(np.full((8, 8), 255, np.uint8))
    if mode.startswith("I"):
        image = Image.fromarray(np.full((8, 8), 65535, np.uint16 if mode == "I;16" else np.int32))
    else:
        image = grey.convert("RGB").convert(mode)
    assert image.mode == mode
    assert Decoder(4)(image).shape == (4, 4, 3)
    assert (Decoder(4)(image) >= 254).all()


@pytest.mark.parametrize("threaded_bytes", [0, 1 << 30])
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_every_image_is_in_its_row(tmp_path, monkeypatch, suffix, threaded_bytes):
    monkeypatch.setattr(decode_module, "THREADED_FILE_BYTES", threaded_bytes)
    folder = write_folder(tmp_path / "pets", {"cat": 50, "dog": 55, "eel": 40}, suffix)  # three chunks
    for source in (folder, zip_folder(folder)):
        data = load_dataset(str(source), size=8)
        images, labels = data.train.images, np.repeat([0, 1, 2], [50, 55, 40])
        numbers = np.concatenate([np.arange(50), np.arange(55), np.arange(40)])
        expected = np.array(list(COLOURS.values()))[labels]
        expected[:, 2] += numbers
        assert np.abs(images.astype(int) - expected[:, None, None]).max() <= (0 if suffix == ".png" else 3)


# ---- unreadable files ----


def spoil(path, how):
    if how == "truncated":
        path.write_bytes(path.read_bytes()[:-40])
    elif how == "no image":
        path.write_bytes(b"<html>404</html>")
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "bomb":
        Image.new("1", (12000, 12000)).save(path, "PNG")
    else:
        path.unlink()
        path.symlink_to("nothing")


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("truncated", "Truncated"),
        ("no image", "it is text such as HTML"),
        ("empty", "it is empty"),
        ("bomb", "its 12000 x 12000 pixels are more than 89 million"),
        ("dangling link", "it is a link to nothing"),
    ],
)
def test_an_unreadable_image_is_skipped_and_told_of(tmp_path, how, why):
    folder = write_folder(tmp_path / "pets", {"cat": 10, "dog": 10}, ".jpg")
    spoil(folder / "cat" / "003.jpg", how)
    for _ in range(2):  # decoded, then from the cache
        data = load_dataset(str(folder), size=8)
        assert list(data.skipped) == ["cat/003.jpg"] and why in data.skipped["cat/003.jpg"]
        assert len(data.train) + len(data.validation) + len(data.test) == 19
        assert all(3 not in split.rows for split in (data.train, data.validation, data.test))


def test_a_damaged_member_of_a_zip_is_skipped(tmp_path):
    path = zip_folder(write_folder(tmp_path / "pets", {"cat": 10, "dog": 10}))
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 6] ^= 255
    path.write_bytes(bytes(data))
    assert load_dataset(str(path), size=8).skipped.keys() == {"cat/000.png"}


def test_too_many_unreadable_images(pets, cache):
    for i in (3, 5, 7, 9):
        spoil(pets / "dog" / f"{i:03}.png", "empty")
    with pytest.raises(DataError, match=r"4 of 60 images .* cannot be read. 4 files such as dog/003.png: it is empty"):
        load_dataset(str(pets), size=8)
    assert list(cache.iterdir()) == []


def test_a_class_of_unreadable_images(tmp_path):
    counts = {f"{part}/{name}": 30 for part in ("train", "test") for name in ("cat", "dog")}
    folder = write_folder(tmp_path / "pets", counts | {"train/dog": 1, "val/cat": 2, "val/dog": 1})
    spoil(folder / "val" / "dog" / "000.png", "empty")
    assert load_dataset(str(folder), size=8).validation.labels.tolist() == [0, 0]
    spoil(folder / "val" / "dog" / "000.png", "empty")
    (folder / "val" / "dog" / "000.png").rename(folder / "train" / "dog" / "000.png")
    with pytest.raises(DataError, match=r"No training image of class 'dog' .* can be read. train/dog/000.png"):
        load_dataset(str(folder), size=8)


# ---- the cache ----


def test_a_second_load_decodes_nothing(pets, cache, decoded_images):
    first = load_dataset(str(pets), size=8)
    assert len(decoded_images) == 60
    second = load_dataset(str(pets), size=8, seed=1)
    assert len(decoded_images) == 60
    assert second.fingerprint == first.fingerprint
    assert [folder.name for folder in cache.iterdir()] == [first.fingerprint]
    assert isinstance(second.train.images.base, np.memmap) or isinstance(second.train.images, np.memmap)


def test_changed_images_or_another_size_are_decoded(pets, decoded_images):
    loads = [load_dataset(str(pets), size=8), load_dataset(str(pets), size=10)]
    os.utime(pets / "cat" / "000.png", (1, 1))
    loads.append(load_dataset(str(pets), size=8))
    (pets / "dog" / "029.png").unlink()
    loads.append(load_dataset(str(pets), size=8))
    os.utime(pets / "cat" / "000.png")
    path = zip_folder(pets)
    loads.append(load_dataset(str(path), size=8))
    os.utime(path, (1, 1))
    loads.append(load_dataset(str(path), size=8))
    assert len({data.fingerprint for data in loads}) == 6
    assert len(decoded_images) == 3 * 60 + 3 * 59


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("images.npy", b"short"),
        ("images.npy", None),
        ("labels.npy", b""),
        ("labels.npy", b"not an array at all"),
        ("facts.npy", b""),
        ("facts.npy", None),
        ("meta.json", b"{"),
        ("meta.json", b"[]"),
        ("meta.json", b'{"classes": ["cat", "dog"], "parts": {"train": 59}, "skipped": {}, "files": [], "value_range": null}'),
    ],
)
def test_a_damaged_cache_is_rebuilt(pets, cache, decoded_images, file, content):
    data = load_dataset(str(pets), size=8)
    images, damaged = np.array(data.train.images), cache / data.fingerprint / file
    if content is None:
        with damaged.open("r+b") as out:
            out.truncate(damaged.stat().st_size - 1)
    else:
        damaged.write_bytes(content)
    again = load_dataset(str(pets), size=8)
    assert len(decoded_images) == 120
    assert (again.train.images == images).all()
    assert [folder.name for folder in cache.iterdir()] == [data.fingerprint]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_load_leaves_nothing(pets, cache, error):
    def interrupted(items, description, total=None):
        for i, item in enumerate(items):
            if i == 30:
                raise error
            yield item

    with pytest.raises(error):
        load_dataset(str(pets), size=8, track=interrupted)
    assert list(cache.iterdir()) == []
    assert len(load_dataset(str(pets), size=8).train) == 48


def test_progress_counts_images(pets):
    seen = []

    def track(items, description, total=None):
        seen.append((description, total, 0))
        for item in items:
            seen[-1] = (description, total, seen[-1][2] + 1)
            yield item

    load_dataset(str(pets), size=8, track=track)
    load_dataset(str(pets), size=8, track=track)
    assert seen == [("Decoding images", 60, 60), ("Comparing pictures", 1, 1)]


def test_images_that_do_not_fit_on_the_disk_are_streamed(pets, cache, monkeypatch):
    fitting = load_dataset(str(pets), size=8)
    shutil.rmtree(cache)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**6, 10**6, 1000))
    streamed = load_dataset(str(pets), size=8)
    assert streamed.streamed and not fitting.streamed
    assert not list(cache.glob("*/images.npy"))
    assert torch.equal(streamed.test.batch([2, 0])[0], fitting.test.batch([2, 0])[0])


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up(pets, cache, monkeypatch, code):
    def fsync(descriptor):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(EdgeNASError, match=r"need 92,596 bytes in .*cache/data.*free some space"):
        load_dataset(str(pets), size=8)
    assert list(cache.iterdir()) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_failing_write_is_not_taken_for_an_unreadable_image(pets, cache, monkeypatch):
    def make_folder(prefix, dir):
        (dir / prefix).mkdir()
        (dir / prefix / "images.npy").symlink_to("/dev/full")
        return dir / prefix

    monkeypatch.setattr(tempfile, "mkdtemp", make_folder)
    with pytest.raises(EdgeNASError, match="the disk there is full"):
        load_dataset(str(pets), size=8)
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_written(pets, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EDGENAS_CACHE", str(tmp_path / "file"))
    with pytest.raises(EdgeNASError, match="set EDGENAS_CACHE to another folder"):
        load_dataset(str(pets), size=8)


def test_another_process_that_was_quicker(pets, cache):
    """The folder appears while this process decodes."""
    quick = load_dataset(str(pets), size=8)
    kept = cache / quick.fingerprint
    aside = shutil.copytree(kept, cache.parent / "aside")
    shutil.rmtree(kept)
    rmtree = shutil.rmtree

    def appears(path, **options):
        rmtree(path, **options)
        if path == kept:
            shutil.copytree(aside, kept)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shutil, "rmtree", appears)
        slow = load_dataset(str(pets), size=8)
    assert (slow.train.images == quick.train.images).all()
    assert [folder.name for folder in cache.iterdir()] == [quick.fingerprint]


def test_what_killed_processes_left_is_removed_and_what_is_at_work_is_not(pets, cache):
    left = cache / ".0123456789abcdef.x1_y2z3w"
    left.mkdir(parents=True)
    (left / "images.npy").write_bytes(b"")
    with building(cache / "fedcba9876543210") as at_work:
        data = load_dataset(str(pets), size=8)
        assert sorted(folder.name for folder in cache.iterdir()) == sorted([at_work.name, data.fingerprint])
    assert not at_work.exists()


def test_meta_is_plain_json(pets, cache):
    data = load_dataset(str(pets), size=8)
    meta = json.loads((cache / data.fingerprint / "meta.json").read_text())
    about = {"source": str(pets), "classes": ["cat", "dog"], "parts": {"train": 60}, "skipped": {}}
    files = [f"{name}/{i:03}.png" for name in ("cat", "dog") for i in range(30)]
    rest = {"value_range": None, "is_much_the_same": True, "left_out": [], "notes": [], "files": files}
    assert meta == about | rest
