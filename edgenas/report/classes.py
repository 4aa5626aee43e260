"""How well each class is told from the others, by every verified file."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from edgenas.export import ExportedModel, Verification, load_exports, load_verifications
from edgenas.files import write_text
from edgenas.run import Run


@dataclass(frozen=True)
class ClassRow:
    """One class of the test images and one file in one runtime.

    recall: share of the class's images that are recognised; None where there are none, as may be of classes that were given by
    weights. precision: share of the images called so that are it; None
    where none is called so. taken_for: what most of the others are taken for; None where all are recognised.
    """

    id: str
    file: str
    runtime: str
    label: str
    images: int
    recall: float | None
    precision: float | None
    taken_for: str | None


def class_rows(run: Run) -> list[ClassRow]:
    """The rows of all verified exports, the worst recall first."""
    rows: list[ClassRow] = []
    for model in load_exports(run.path / "export"):
        for v in load_verifications(model.folder, len(model.classes)):
            rows += rows_of(model, v)
    return sorted(rows, key=lambda row: math.inf if row.recall is None else row.recall)


def write_classes(folder: Path, run: Run, rows: list[ClassRow]) -> None:
    """classes.csv has the rows, confusion.csv the confusion matrices as far as they are not 0."""
    _write_csv(folder / "classes.csv", [field.name for field in fields(ClassRow)], (asdict(row).values() for row in rows))
    columns = ["id", "file", "runtime", "label", "predicted", "images"]
    _write_csv(folder / "confusion.csv", columns, _confusions(run))


def rows_of(model: ExportedModel, verification: Verification) -> Iterator[ClassRow]:
    """Of one model's file in one runtime, in the order of its classes."""
    v = verification
    return _rows(model.architecture.id, v.file, v.execution.runtime, np.array(v.confusion), model.classes)


def _rows(id_: str, file: str, runtime: str, confusion: np.ndarray, classes: tuple[str, ...]) -> Iterator[ClassRow]:
    right, images, called = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
    mistaken = confusion - np.diag(right)
    for i, label in enumerate(classes):
        yield ClassRow(
            id_,
            file,
            runtime,
            label,
            int(images[i]),
            recall=float(right[i] / images[i]) if images[i] else None,
            precision=float(right[i] / called[i]) if called[i] else None,
            taken_for=classes[mistaken[i].argmax()] if mistaken[i].any() else None,
        )


def _confusions(run: Run) -> Iterator[list]:
    for model in load_exports(run.path / "export"):
        for v in load_verifications(model.folder, len(model.classes)):
            confusion = np.array(v.confusion)
            for i, j in np.argwhere(confusion):
                names = [model.classes[i], model.classes[j]]
                yield [model.architecture.id, v.file, v.execution.runtime, *names, int(confusion[i, j])]


def _write_csv(path: Path, columns: list[str], rows: Iterator) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_text(path, text.getvalue())
