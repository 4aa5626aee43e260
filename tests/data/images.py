"""Small generated image folders."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"cat": (200, 30, 30), "dog": (30, 200, 30), "eel": (30, 30, 200)}


PARTS = ("train", "val", "test")


def write_image(path: Path, colour: Sequence[int], number: int = 0, shape: tuple[int, int] = (24, 20)) -> None:
    """An image of one colour, told from its neighbours by `number`, which is added to its blue."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((*shape, 3), colour, dtype=np.uint8)
    pixels[:, :, 2] += np.uint8(number)
    Image.fromarray(pixels).save(path)


def write_folder(path: Path, counts: dict[str, int], suffix: str = ".png") -> Path:
    """A folder with `counts[sub-folder]` images, coloured after the last name of the sub-folder. No two are equal."""
    for place, (folder, count) in enumerate(counts.items()):
        (path / folder).mkdir(parents=True, exist_ok=True)
        first, *_, last = folder.split("/") * 2
        red, green, blue = COLOURS.get(last, (90 + 2 * place, 99, 99))
        part = PARTS.index(first) if first in PARTS else 0
        for i in range(count):
            write_image(path / folder / f"{i:03}{suffix}", (red, green + 9 * part, blue), i)
    return path


def zip_folder(folder: Path, top: str = "") -> Path:
    """A .zip beside a folder, with its content below `top`."""
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, top + file.relative_to(folder).as_posix())
    return path


def write_shard(path: Path, samples: dict[str, bytes]) -> Path:
    """A tar of members with these contents."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in samples.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def shard_folder(folder: Path, shards: Path, count: int = 3) -> Path:
    """The images of a folder as `count` WebDataset shards per part."""
    files = sorted(folder.rglob("*.*"))
    by_part: dict[str, list[Path]] = {}
    for file in files:
        parts = file.relative_to(folder).parts
        by_part.setdefault(parts[0] if len(parts) == 3 else "train", []).append(file)
    for part, members in by_part.items():
        for number, chosen in enumerate(np.array_split(np.arange(len(members)), count)):
            samples = {}
            for file in (members[i] for i in chosen):
                key = f"{file.parent.name}-{file.stem}"
                samples |= {f"{key}{file.suffix}": file.read_bytes(), f"{key}.cls": file.parent.name.encode() + b"\n"}
            write_shard(shards / f"{part}-{number:03}.tar", samples)
    return shards
