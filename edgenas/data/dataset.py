"""`Dataset`: labelled images, decoded and split."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor

from edgenas.data.cache import DecodedImages, decoded
from edgenas.data.copies import count_different, picture_groups
from edgenas.data.decode import Decoder
from edgenas.data.known import SHARES, KnownClasses
from edgenas.data.matching import Present, find, on_new
from edgenas.data.recorded import RecordedSplit
from edgenas.data.sources import PARTS, LeftOut, Source, open_source
from edgenas.data.splitting import first_of_groups, split_rows
from edgenas.data.stream import StreamedImages
from edgenas.errors import DataError, UsageError
from edgenas.names import quoted
from edgenas.progress import Track, quiet
from edgenas.words import counted

STATISTICS_IMAGES, STATISTICS_VALUES = 10_000, 150_000_000

Channels = tuple[float, float, float]
"""Red, green and blue."""


@dataclass(frozen=True, eq=False)
class Split:
    """Some of the images of a data set.

    images: `(m, size, size, 3)` uint8, usually the images of the whole data set, memory-mapped or streamed.
    labels: `(n,)` int64.
    rows: `(n,)` int64, where in `images` those of the split are; None when they are all of them.
    """

    images: np.ndarray | StreamedImages
    labels: np.ndarray
    rows: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: np.ndarray | Sequence[int]) -> tuple[Tensor, Tensor]:
        """Copies of the images with these indices in 0..n-1: `(b, 3, size, size)` uint8 in channels_last, `(b,)` int64."""
        indices = np.asarray(indices, dtype=np.int64)
        return _tensors(self.images[self._rows(indices)], self.labels[indices])

    def batches(self, batches: Iterable[np.ndarray]) -> Iterator[tuple[Tensor, Tensor]]:
        """`batch` of one `(b,)` int64 after the other. Streamed images are decoded ahead, by several threads."""
        if not isinstance(self.images, StreamedImages):
            yield from map(self.batch, batches)
            return
        batches = list(batches)
        images = self.images.batches([self._rows(indices) for indices in batches])
        for indices, pixels in zip(batches, images, strict=True):
            yield _tensors(pixels, self.labels[indices])

    def _rows(self, indices: np.ndarray) -> np.ndarray:
        return indices if self.rows is None else self.rows[indices]


def _tensors(pixels: np.ndarray, labels: np.ndarray) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(np.asarray(pixels)).permute(0, 3, 1, 2), torch.from_numpy(labels)


@dataclass(frozen=True, eq=False)
class Pictures:
    """The images of a data set in the order of its rows, also those that are in no split.

    labels: `(n,)` int64, -1 where one could not be read, or is not in the record that was asked for. parts: how many the source
    gives to each part, in this order.
    facts, alike: as in `edgenas.data.cache.DecodedImages`. left_out, notes: of the source's `Listing`.
    """

    files: tuple[str, ...]
    labels: np.ndarray
    parts: dict[str, int]
    facts: np.ndarray
    alike: np.ndarray | None
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Dataset:
    """Square RGB images with labels for image classification.

    source: what `load_dataset` takes to load it again. size: side of the images in pixels.
    mean, std: of red, green and blue in 0..1, by which images are normalised: those of the training images, or some weights'.
    skipped: the files that could not be read, with the reasons. flip: whether a mirrored image keeps its class.
    fingerprint: changes when the files or the size do. streamed: whether images are decoded whenever they are asked for.
    folders: where the classes were given beforehand, the folders with images, and the class of each. Other classes have none.
    fit, value_range: how images were decoded (`edgenas.data.decode.Decoder`).
    pictures: what is known of every image; None of a data set that was made otherwise.
    record: which images are in which split, by their content; None as above. changes: sentences on how the images differ from
    those of the record that was asked for.
    """

    name: str
    source: str
    classes: tuple[str, ...]
    size: int
    train: Split
    validation: Split
    test: Split
    mean: Channels
    std: Channels
    skipped: Mapping[str, str] = field(default_factory=dict)
    flip: bool = False
    fingerprint: str = ""
    streamed: bool = False
    folders: Mapping[str, str] = field(default_factory=dict)
    fit: str = "crop"
    value_range: tuple[float, float] | None = None
    pictures: Pictures | None = None
    record: RecordedSplit | None = None
    changes: tuple[str, ...] = ()

    @property
    def splits(self) -> dict[str, Split]:
        return {part: getattr(self, part) for part in PARTS}

    def test_from_files(self, decoder: Decoder) -> Split:
        """The test images decoded anew, at one resolution, as a device decodes the files that it is handed.

        Training keeps one size and resizes it. Of 551 photos of flowers 551, 546 and 546 were classified alike both ways.
        The test images as they are where they came from no files.
        """
        if self.pictures is None:
            return self.test
        source = open_source(self.source)
        source.listing()  # shards learn by it where their members are
        images = StreamedImages(source, self.pictures.files, decoder)
        return Split(images, self.test.labels, self.test.rows)


def load_dataset(
    source: str, *, size: int, seed: int = 0, stream: bool = False, fit: str = "crop",
    value_range: tuple[float, float] | None = None, known: KnownClasses | None = None,
    normalisation: tuple[Channels, Channels] | None = None, equal_together: bool = True, recorded: RecordedSplit | None = None,
    take_new: bool = False, earlier: RecordedSplit | None = None, track: Track = quiet,
) -> Dataset:  # fmt: skip
    """Load a folder of images, a .zip of one, WebDataset shards, or a sample by name (`mnist5k`, `digits`).

    A folder has one sub-folder per class, or `train/`, `val/` and `test/` with these; shards are a folder of tar files or a
    pattern such as `train-{000..009}.tar`. A missing validation or test split is carved out of the training images by
    `seed`, from every class the same share: 10 %, and 20 % for a sample's test. Equal images stay in one split.

    stream: keep no decoded images on the disk. So it is, too, where they would not fit. Batches are the same either way.
    fit: how pictures become squares: `crop` (the centre), `pad` (with grey) or `squeeze`.
    value_range: the values of 12-bit, 16-bit and floating-point images that become black and white, by default what most of
    the data set's images lie within.
    known: the classes, where they are those of a classifier that is not trained any more; some may have no images. Then 40 %
    are carved out for validation and test each.
    normalisation: mean and std by which some weights want their images, in place of those of the training images, which take
    as long to measure as everything else here where images are decoded already.
    recorded: the split of a run, which is taken in place of another, whatever its images are called now. Images that are not
    recorded are left aside, or take_new: are split by the seed, with those that they are equal to.
    earlier: the split of a run whose weights a training begins with: its images stay in their parts.
    equal_together: equal images stay in one split; False: they are split as if they were different ones.
    size: side of the images in pixels, usually the largest resolution of the search space.
    Raises UsageError when there is no such source, DataError when its images cannot be used, EdgeNASError when the cache
    cannot be written.
    """
    if size < 1:
        raise UsageError(f"images must have at least 1 pixel, not {size}")
    opened = open_source(source)
    check = partial(_check_split, opened) if recorded is None else None
    data = decoded(opened, Decoder(size, fit, value_range), stream=stream, check=check, track=track)
    _require_different(opened, data)
    folders = known.folders(data.classes, opened.location) if known else {}
    how = SHARES if known else opened.shares, seed
    if recorded is None:
        chosen = _anew(opened, data, known, folders, how, equal_together, earlier)
    else:
        chosen = _as_recorded(opened, data, folders, how if take_new else None, recorded)
    splits = {part: Split(data.images, chosen.labels[rows], rows) for part, rows in chosen.rows.items()}
    mean, std = normalisation or channel_statistics(splits["train"])
    return Dataset(
        name=opened.name,
        source=opened.location,
        classes=chosen.record.classes,
        size=size,
        **splits,
        mean=mean,
        std=std,
        skipped=data.skipped,
        flip=opened.flip,
        fingerprint=data.fingerprint,
        streamed=isinstance(data.images, StreamedImages),
        folders=folders,
        fit=fit,
        value_range=data.value_range,
        pictures=Pictures(data.files, chosen.labels, data.parts, data.facts, data.alike, data.left_out, data.notes),
        record=chosen.record,
        changes=chosen.changes,
    )


_Shares = tuple[Mapping[str, float], int]
"""How images are split: the shares of the parts that are not given, and the seed."""


@dataclass(frozen=True, eq=False)
class _Chosen:
    """labels: `(n,)` of all images, -1 of those left aside. rows: of each part. changes: as in `Dataset`."""

    record: RecordedSplit
    labels: np.ndarray
    rows: dict[str, np.ndarray]
    changes: tuple[str, ...] = ()


def _anew(
    source: Source, data: DecodedImages, known: KnownClasses | None, folders: Mapping[str, str], how: _Shares,
    equal_together: bool, earlier: RecordedSplit | None,
) -> _Chosen:  # fmt: skip
    groups, contents = picture_groups(data.facts) if equal_together else None, data.facts["content"]
    _check_split(source, data.labels, data.parts, data.classes, groups)
    labels = known.labels(data.labels, folders) if known else data.labels
    fixed = earlier.parts_of(contents) if earlier else None
    rows = split_rows(labels, data.parts, *how, groups, fixed)
    _require_images(source, rows)
    classes = known.names if known else data.classes
    return _Chosen(RecordedSplit.of(classes, contents, labels, rows, data.files), labels, rows)


def _as_recorded(
    source: Source, data: DecodedImages, folders: Mapping[str, str], how_new: _Shares | None, record: RecordedSplit
) -> _Chosen:
    """how_new: how images that are not recorded are split; None: they are left aside."""
    contents, names = data.facts["content"], [folders.get(name, name) for name in data.classes]
    present = Present(source.location, data.files, contents, data.labels, names)
    found = find(record, present)
    rows, kept, changes = found.rows, [*found.rows.values(), found.aside], found.notes
    if how_new is None:
        changes += tuple(on_new(found.new, present))
    else:
        split = split_rows(found.labels, data.parts, *how_new, picture_groups(data.facts), record.parts_of(contents))
        added = {part: of_it[np.isin(of_it, found.new)] for part, of_it in split.items()}
        labels = np.full(len(contents), -1)
        labels[found.new] = found.labels[found.new]
        record = record.plus(RecordedSplit.of(record.classes, contents, labels, added, data.files))
        rows = {part: np.concatenate([rows[part], added[part]]) for part in rows}
        kept.append(found.new)
    is_kept = np.isin(np.arange(len(contents)), np.concatenate(kept))
    return _Chosen(record, np.where(is_kept, found.labels, -1), rows, changes)


def _require_different(source: Source, data: DecodedImages) -> None:
    """Raises DataError where different files have all become the same picture."""
    facts = data.facts[data.labels >= 0]
    files, pictures = count_different(facts["content"]), count_different(facts["picture"])
    if files > 1 and pictures == 1:
        raise DataError(
            f"The {len(facts)} images in {source.location} are {files} different files, and all become the same picture of "
            f"{data.images.shape[1]} pixels: there is nothing to learn from them. Look at one of them, {data.files[0]}."
        )


def _require_images(source: Source, rows: Mapping[str, np.ndarray]) -> None:
    for part, of_it in rows.items():
        if not len(of_it):
            raise DataError(f"All {part} images in {source.location} are for training, too: none is left to judge by.")


def _check_split(
    source: Source, labels: np.ndarray, parts: dict[str, int], classes: tuple[str, ...], groups: np.ndarray | None = None
) -> None:
    """Raises DataError when a class has too few training images to give one to each split that is carved out of them.

    groups: as in `split_rows`; none are known before images are decoded.
    """
    train = first_of_groups(labels, parts["train"], groups)
    counts = np.bincount(labels[train], minlength=len(classes))
    needed = 1 + sum(part not in parts for part in source.shares)
    if counts.min() < needed:
        few = int(counts.argmin())
        files = np.count_nonzero(labels[: parts["train"]] == few)
        copies = f" ({counted(int(files), 'file')}, of which the others are copies once decoded)" if files > counts[few] else ""
        raise DataError(
            f"Class {quoted(classes[few])} of {source.location} has only {counted(int(counts[few]), 'image')} to train with"
            f"{copies}: at least {needed} are needed to split them."
        )


def channel_statistics(split: Split) -> tuple[Channels, Channels]:
    """Mean and standard deviation of red, green and blue in 0..1, over at most 10,000 images (fewer of large ones)."""
    count = min(len(split), STATISTICS_IMAGES, max(1, STATISTICS_VALUES // math.prod(split.images.shape[1:])))
    histogram = np.zeros((3, 256), dtype=np.int64)  # whole numbers: the same to the last digit on every machine
    for images, _ in split.batches(np.arange(begin, min(begin + 256, count)) for begin in range(0, count, 256)):
        histogram += [np.bincount(images[:, channel].ravel(), minlength=256) for channel in range(3)]
    values, weights = np.arange(256) / 255, histogram / histogram[0].sum()
    mean = (weights * values).sum(1)
    variance = (weights * values**2).sum(1) - mean**2
    std = np.sqrt(np.maximum(variance, (1 / 255) ** 2))  # never 0: images may all be black
    return tuple(mean.tolist()), tuple(std.tolist())
