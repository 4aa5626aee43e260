"""Predict: an exported network, or a bundle of one, at work."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from edgenas.deployment.predict import Classifier, Failure
from edgenas.errors import EdgeNASError, UsageError
from edgenas.export import ExportedModel, load_exports
from edgenas.run import Run
from edgenas.values import checked
from edgenas.values.kinds import GivenPath, Threads

MOST_BYTES = 2**30
"""Of a bundle's content."""


@contextmanager
@checked
def open_classifier(
    source: GivenPath, *, architecture: str | None = None, runtime: str | None = None, threads: Threads = 1
) -> Iterator[Classifier]:
    """The network of a run's export, of a bundle (a .zip), or of a folder that one was unpacked into; open within the block.

    architecture: the id of one of a run's exported networks; by default the one of the highest validation accuracy.
    runtime: one of `edgenas.deployment.predict.RUNTIMES`; the first that is installed unless told otherwise.

    Raises UsageError where there is no exported network, EdgeNASError where no runtime here opens it.
    """
    with tempfile.TemporaryDirectory(prefix="edgenas-bundle-") as temporary:
        folder = _unpacked(source, Path(temporary)) if source.is_file() else source
        if not (folder / "model.json").exists():
            folder = _exported(Run.open(folder), architecture).folder
        ExportedModel.load(folder)  # which says what is wrong with it
        try:
            yield Classifier(folder, runtime, threads)
        except Failure as failure:
            raise EdgeNASError(str(failure)) from None


def _exported(run: Run, architecture: str | None) -> ExportedModel:
    models = {model.architecture.id: model for model in load_exports(run.path / "export")}
    if not models:
        raise UsageError(f"{run.path} has no exported network", f"run `export({run.path})` first.")
    if architecture is None:
        return max(models.values(), key=lambda model: model.validation_accuracy)
    if architecture not in models:
        raise UsageError(f"{architecture} is not exported: {run.path} has {' and '.join(models)}.")
    return models[architecture]


def _unpacked(path: Path, folder: Path) -> Path:
    """The files of a bundle, without the folders that they are in."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if sum(member.file_size for member in members) > MOST_BYTES:
                raise EdgeNASError(f"{path} holds more than {MOST_BYTES >> 30} GiB: it is no bundle of `export`.")
            for member in members:
                (folder / PurePosixPath(member.filename).name).write_bytes(archive.read(member))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise UsageError(f"{path} is no bundle that can be read: {error}.") from None
    if not (folder / "model.json").exists():
        raise UsageError(f"{path} is no bundle: it has no model.json. Make one with `export(bundle={path})`.")
    return folder
