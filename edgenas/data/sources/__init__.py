"""Where images come from: folders, zipped folders, WebDataset shards, samples in packages. Nothing is decoded here."""

from __future__ import annotations

import re
from pathlib import Path

from edgenas.data.sources.folders import ImageFolder, ZippedFolder
from edgenas.data.sources.samples import SAMPLES
from edgenas.data.sources.shards import Shards
from edgenas.data.sources.source import PARTS, LeftOut, Listing, Source
from edgenas.errors import UsageError
from edgenas.values import unknown


def open_source(source: str) -> Source:
    """The source with a name (`mnist5k`, `digits`), at a path, or at a pattern of paths such as `train-{000..009}.tar`.

    Raises UsageError when there is none, DataError when a zip is damaged.
    """
    path = Path(source).expanduser()
    if source in SAMPLES:
        return SAMPLES[source]
    if path.is_dir():
        return Shards.in_folder(path.resolve()) or ImageFolder(path.resolve())
    if path.suffix.lower() == ".tar":
        return Shards.of_pattern(path)
    if path.is_file():
        if path.suffix.lower() != ".zip":
            raise UsageError(f"{path} is neither a folder of images, nor a .zip of one, nor a .tar of WebDataset samples.")
        zipped = ZippedFolder(path.resolve())
        zipped.archive  # noqa: B018 (opened now, so that damage is found now)
        return zipped
    if re.fullmatch(r"[\w-]+", source):
        raise UsageError(f"{unknown('data set', source, SAMPLES)} A folder of images or a .zip of one is given by its path.")
    raise UsageError(f"There is no folder, no .zip and no .tar at {path}.")


__all__ = ["PARTS", "SAMPLES", "ImageFolder", "LeftOut", "Listing", "Shards", "Source", "ZippedFolder", "open_source"]
