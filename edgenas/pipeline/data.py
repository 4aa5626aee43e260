"""Data: what is in a data set, before anything is trained on it."""

from __future__ import annotations

from pathlib import Path

from edgenas.data import DataReport
from edgenas.pipeline.train import load, space_settings
from edgenas.progress import Track, quiet


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
