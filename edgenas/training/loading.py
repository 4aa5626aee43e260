"""What a run's folder holds besides paths and configuration: its weights and, from wherever they are, its images."""

from __future__ import annotations

import logging

from edgenas import names
from edgenas.data import Dataset, Decoder, KnownClasses, RecordedSplit, load_dataset
from edgenas.errors import CheckpointError, UsageError
from edgenas.progress import Track, quiet
from edgenas.run import Run
from edgenas.supernet import Supernet
from edgenas.training.checkpoint import fill, load_tensors, save_tensors

log = logging.getLogger("edgenas")


def load_images(
    run: Run, data: str | Dataset | None = None, track: Track = quiet, *, at_least: int = 0, take_new: bool = False
) -> Dataset:
    """The images of a run, from where they were or from `data`, where they are now, or which are they.

    at_least: the least size of theirs in pixels, for a network that takes larger ones than the run's.
    take_new: split the images that the run's record does not know, too; they are left aside unless told so.

    Raises UsageError when they are not there, DataError or, of a run without a record, CheckpointError when they are others.
    """
    if isinstance(data, Dataset):
        return data
    recorded = recorded_split(run)
    about, how = run.config["data"], decoder_of(run)
    try:
        dataset = load_dataset(
            data or names.to_file(about["source"]),
            size=max(how.size, at_least),
            seed=about["seed"],
            stream=about.get("streamed", False),  # older runs do not say
            fit=how.fit,
            value_range=how.value_range,
            equal_together="fit" in about,  # older versions did not see that images were equal
            known=KnownClasses(run.classes, about["folders"]) if "folders" in about else None,
            # What the weights were trained with, which need not be the images' own.
            normalisation=(tuple(about["mean"]), tuple(about["std"])),
            recorded=recorded,
            take_new=take_new,
            track=track,
        )
    except UsageError as error:
        raise UsageError(f"The images of this run are not to be had. {error} Say where they are with `data`.") from None
    for change in dataset.changes:
        log.warning(f"Warning: {change}")
    if recorded is not None:
        return dataset
    counts = {"train": len(dataset.train), "validation": len(dataset.validation), "test": len(dataset.test)}
    if dataset.classes != run.classes or counts != about["images"]:
        raise CheckpointError(f"{dataset.source} does not hold the images that {run.path} was trained on: "
                              f"{counts} images in {len(dataset.classes)} classes instead of {about['images']} in "
                              f"{len(run.classes)}.")  # fmt: skip
    return dataset


def recorded_split(run: Run) -> RecordedSplit | None:
    """Which images it is trained and judged on; None of a run of an older version, which has its seed alone.

    Raises CheckpointError where the record is missing or damaged.
    """
    about = run.config["data"]
    if not about.get("recorded", False):
        return None
    recorded = RecordedSplit.load(run.images_file, run.classes)
    if any(count < about["images"][part] for part, count in recorded.counts().items()):
        raise CheckpointError(
            f"{run.images_file} lists fewer images than the run was trained on: copy it again from where the run was trained."
        )
    return recorded.apart()


def decoder_of(run: Run) -> Decoder:
    """How a run's images are decoded."""
    about = run.config["data"]
    if "fit" not in about:  # of an older version
        return Decoder(about["size"])
    return Decoder(about["size"], about["fit"], tuple(about["value_range"]) if "value_range" in about else None)


def save_supernet(run: Run, supernet: Supernet) -> None:
    save_tensors(run.weights, supernet.state_dict(), {"space": supernet.space.fingerprint})


def load_supernet(run: Run) -> Supernet:
    """The trained supernet. Raises CheckpointError when training has not ended or the weights are damaged."""
    run.require_trained()
    tensors, about = load_tensors(run.weights)
    supernet = Supernet(run.space)
    if about.get("space") != supernet.space.fingerprint:
        raise CheckpointError(f"{run.weights} belongs to another search space than {run.path / 'config.toml'} describes.")
    return fill(supernet, tensors, run.weights).eval()
