"""Data: what is in a data set, before anything is trained on it, and images that come to a run later."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgenas.data import DataReport
from edgenas.errors import UsageError
from edgenas.pipeline.train import load, space_settings
from edgenas.progress import Track, quiet
from edgenas.run import Run
from edgenas.training import load_images, recorded_split
from edgenas.values import checked
from edgenas.values.kinds import GivenText


def survey(
    data: str | Path, *, resolutions: tuple[int, ...] | None = None, fit: str = "crop", seed: int = 0, stream: bool = False,
    track: Track = quiet,
) -> DataReport:  # fmt: skip
    """What is in a data set, what was left out, and what of it will mislead.

    resolutions, fit, seed, stream: as for `edgenas.pipeline.train.create`, which then finds the images decoded.

    Raises UsageError where there are no images, DataError where they cannot be used.
    """
    _, dataset = load(str(data), space_settings(None, None, None, resolutions), seed, stream, fit=fit, track=track)
    report = DataReport.of(dataset)
    assert report is not None  # it was loaded from files
    return report


@dataclass(frozen=True)
class Added:
    """A run with the images that were new to it. counts: how many of these are in each part."""

    run: Run
    counts: dict[str, int]


@checked
def add_images(run: Run, *, data: GivenText | None = None, track: Track = quiet) -> Added:
    """Take images that a run's record does not know into its splits, by the shares that the splits were made by.

    No image that was recorded moves, and new images that are equal to one when decoded go where that one is.
    data: where the run's images are now, with the new ones.

    Raises UsageError of a run of an older version, which recorded none.
    """
    before = recorded_split(run)
    if before is None:
        raise UsageError(f"{run.path} is of an older version, which recorded no images: train anew to add some.")
    after = load_images(run, data, track, take_new=True).record
    assert after is not None  # the images were loaded by one
    known = before.counts()
    added = {part: count - known[part] for part, count in after.counts().items()}
    # Whoever was killed while they were taken has written the record alone.
    is_told = after.counts() == {part: run.images(part) for part in known}
    return Added(run if is_told and len(after.names) == len(before.names) else run.with_images(after), added)
