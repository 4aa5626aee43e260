"""Labelled images: loaded, split, decoded once, and augmented as whole tensors."""

from edgenas.data.augment import Augmentation, cutout, normalise, random_affine, random_crop, random_flip, resize
from edgenas.data.batches import epoch_batches, prefetch
from edgenas.data.dataset import Dataset, Split, load_dataset
from edgenas.data.mixing import cutmix, mix, mixup
from edgenas.data.randaugment import rand_augment
from edgenas.data.sources import SAMPLES

__all__ = [
    "SAMPLES",
    "Augmentation",
    "Dataset",
    "Split",
    "cutmix",
    "cutout",
    "epoch_batches",
    "load_dataset",
    "mix",
    "mixup",
    "normalise",
    "prefetch",
    "rand_augment",
    "random_affine",
    "random_crop",
    "random_flip",
    "resize",
]
