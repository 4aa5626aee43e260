"""Predict: an exported network, or a bundle of one, at work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edgenas.deployment import unpack_bundle
from edgenas.deployment.predict import Classifier, Failure
from edgenas.errors import EdgeNASError, UsageError
from edgenas.export import ExportedModel, load_exports
from edgenas.files import scratch
from edgenas.run import Run
from edgenas.values import checked
from edgenas.values.kinds import GivenPath, Threads


@contextmanager
@checked
def open_classifier(
    source: GivenPath, *, architecture: str | None = None, runtime: str | None = None, threads: Threads = 1
) -> Iterator[Classifier]:
    """The network of a run's export, of a bundle (a .zip), or of a folder that one was unpacked into; open within the block.

    architecture: the id of one of a run's exported networks; by default the one that does best on validation images.
    runtime: one of `edgenas.deployment.predict.RUNTIMES`; the first that is installed unless told otherwise.

    Raises UsageError where there is no exported network, EdgeNASError where no runtime here opens it.
    """
    with scratch("bundle") as temporary:
        folder = unpack_bundle(source, temporary) if source.is_file() else source
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
        return max(models.values(), key=lambda model: model.validation.value)
    if architecture not in models:
        raise UsageError(f"{architecture} is not exported: {run.path} has {' and '.join(models)}.")
    return models[architecture]
