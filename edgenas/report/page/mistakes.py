"""The test photos that a network is most wrong about: what a person looks at first."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from edgenas.data import Dataset, Decoder
from edgenas.deployment.predict import Classifier
from edgenas.export import ExportedModel
from edgenas.progress import Track, quiet

SHOWN, SIDE = 24, 112
BATCH = 64


@dataclass(frozen=True)
class Mistake:
    """A test image that was taken for another class. probability: that the network gives to that class.

    thumbnail: as the network sees it, as a data URL. file: its name; empty where the images came from no files.
    """

    label: str
    taken_for: str
    probability: float
    file: str
    thumbnail: str


def worst_mistakes(model: ExportedModel, dataset: Dataset, track: Track = quiet, most: int = SHOWN) -> list[Mistake]:
    """Those of the largest probability for a wrong class, the worst first."""
    how, classifier = model.preprocessing, Classifier(model.folder)
    test = dataset.test_from_files(Decoder(how.resolution, how.fit, how.value_range))
    order = [model.classes.index(name) for name in dataset.classes]
    starts = range(0, len(test), BATCH)
    batches = test.batches(np.arange(begin, min(begin + BATCH, len(test))) for begin in starts)
    found: list[tuple[float, int, int, np.ndarray]] = []
    for begin, (images, labels) in track(zip(starts, batches, strict=True), "Looking for the worst mistakes", len(starts)):
        for i, (image, label) in enumerate(zip(images.permute(0, 2, 3, 1).numpy(), labels.tolist(), strict=True)):
            probabilities = classifier.probabilities(image)[order]
            if (guess := int(probabilities.argmax())) != label:
                found.append((float(probabilities[guess]), begin + i, guess, image.copy()))
    found.sort(key=lambda each: -each[0])
    return [_mistake(dataset, *each) for each in found[:most]]


def _mistake(dataset: Dataset, probability: float, index: int, guess: int, image: np.ndarray) -> Mistake:
    rows, pictures = dataset.test.rows, dataset.pictures
    file = pictures.files[index if rows is None else rows[index]] if pictures is not None else ""
    return Mistake(dataset.classes[dataset.test.labels[index]], dataset.classes[guess], probability, file, _thumbnail(image))


def _thumbnail(image: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
