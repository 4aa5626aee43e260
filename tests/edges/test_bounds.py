"""What little data asks for much memory: it is refused in one sentence, with little and at once."""

from __future__ import annotations

import io
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

from edgenas.data import load_dataset
from edgenas.errors import DataError
from tests.data.images import write_folder, zip_folder
from tests.edges.conftest import bounded

HUGE = 3 * 2**30


@pytest.fixture(scope="module")
def bomb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """5 MB, with an image of 1 GB among small ones."""
    folder = tmp_path_factory.mktemp("bomb")
    path = zip_folder(write_folder(folder / "pets", {"cat": 5, "dog": 5}))
    chunk = bytes(2**24)
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("cat/bomb.png", "w", force_zip64=True) as member,
    ):
        for _ in range(2**30 // len(chunk)):
            member.write(chunk)
    return path


def test_a_member_of_1_gb_in_a_zip_of_few(bomb: Path) -> None:
    assert bomb.stat().st_size < 20 * 2**20
    with bounded():
        dataset = load_dataset(str(bomb), size=8)
    assert dataset.skipped == {"cat/bomb.png": "it has 1,024 MiB, and 256 are the most that are read of an image"}


def sparse_shard(path: Path, name: str) -> Path:
    """A tar whose last member takes no room on the disk."""
    small = write_folder(path.parent / "pets", {"cat": 5, "dog": 5})
    with tarfile.open(path, "w") as tar:
        for number, image in enumerate(sorted(small.rglob("*.png"))):
            for suffix, content in ((".png", image.read_bytes()), (".cls", image.parent.name.encode())):
                info = tarfile.TarInfo(f"{number:05d}{suffix}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        shutil.rmtree(small)
        if name.endswith(".png"):
            info = tarfile.TarInfo(name.replace(".png", ".cls"))
            info.size = 3
            tar.addfile(info, io.BytesIO(b"cat"))
        info = tarfile.TarInfo(name)
        info.size = HUGE
        assert tar.fileobj is not None
        end = tar.offset + tar.fileobj.write(info.tobuf())  # from Python 3.13 on addfile wants the content
    with path.open("r+b") as file:
        file.truncate(end + HUGE + 1024)
    return path


def test_an_image_of_3_gb_in_a_shard(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    sparse_shard(tmp_path / "shards" / "a.tar", "99999.png")
    with bounded():
        dataset = load_dataset(str(tmp_path / "shards"), size=8)
    assert list(dataset.skipped.values()) == ["it has 3,072 MiB, and 256 are the most that are read of an image"]


def test_a_label_of_3_gb_in_a_shard(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    sparse_shard(tmp_path / "shards" / "a.tar", "00001.cls")
    with (
        bounded(),
        pytest.raises(DataError, match=r"00001.cls in .* has 3,221,225,472 bytes: it is to hold a class"),
    ):
        load_dataset(str(tmp_path / "shards"), size=8)
