"""Small generated image folders."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"cat": (200, 30, 30), "dog": (30, 200, 30), "eel": (30, 30, 200)}


def write_image(path: Path, colour: tuple[int, int, int], number: int = 0, shape: tuple[int, int] = (24, 20)) -> None:
    """An image of one colour, told from its neighbours by `number`, which is added to its blue."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((*shape, 3), colour, dtype=np.uint8)
    pixels[:, :, 2] += np.uint8(number)
    Image.fromarray(pixels).save(path)


def write_folder(path: Path, counts: dict[str, int], suffix: str = ".png") -> Path:
    """A folder with `counts[sub-folder]` images, coloured after the last name of the sub-folder."""
    for folder, count in counts.items():
        (path / folder).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            write_image(path / folder / f"{i:03}{suffix}", COLOURS.get(folder.split("/")[-1], (99, 99, 99)), i)
    return path


def zip_folder(folder: Path, top: str = "") -> Path:
    """A .zip beside a folder, with its content below `top`."""
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, top + file.relative_to(folder).as_posix())
    return path
