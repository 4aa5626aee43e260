"""Labelled images: loaded, split, decoded once, and augmented as whole tensors."""

import edgenas.torch_setup  # noqa: F401 (before torch)
from edgenas.data.augment import (
    Augmentation,
    cutout,
    normalise,
    random_affine,
    random_crop,
    random_flip,
    random_resized_crop,
    resize,
)
from edgenas.data.batches import balanced_shares, epoch_batches, prefetch
from edgenas.data.dataset import Channels, Dataset, Split, load_dataset
from edgenas.data.decode import Decoder
from edgenas.data.known import KnownClasses
from edgenas.data.mixing import cutmix, mix, mixup
from edgenas.data.randaugment import rand_augment
from edgenas.data.recorded import RecordedSplit
from edgenas.data.report import DataReport
from edgenas.data.sources import SAMPLES, open_source

__all__ = [
    "SAMPLES",
    "Augmentation",
    "Channels",
    "DataReport",
    "Dataset",
    "Decoder",
    "KnownClasses",
    "RecordedSplit",
    "Split",
    "balanced_shares",
    "cutmix",
    "cutout",
    "epoch_batches",
    "load_dataset",
    "mix",
    "mixup",
    "normalise",
    "open_source",
    "prefetch",
    "rand_augment",
    "random_affine",
    "random_crop",
    "random_flip",
    "random_resized_crop",
    "resize",
]
