"""Hugging Face: a network as a folder that a model hub takes."""

from __future__ import annotations

import tempfile
from pathlib import Path

from edgenas.data import Dataset
from edgenas.deployment.huggingface import write_model_folder
from edgenas.errors import UsageError
from edgenas.export import load_verifications
from edgenas.pipeline.export import export_run
from edgenas.progress import Track, quiet
from edgenas.run import Run
from edgenas.values import checked
from edgenas.values.kinds import GivenText, NewFolder


@checked
def model_folder(
    run: Run, folder: NewFolder, *, architecture: str | None = None, data: GivenText | Dataset | None = None,
    track: Track = quiet,
) -> Path:  # fmt: skip
    """Export, verify and write one network of a run as a folder: `huggingface-cli upload` takes it as it is.

    It has the model files, README.md (the model card with its metadata), config.json (the classes), preprocessor_config.json,
    and what a bundle has: `predict.py --self-test` works in it. architecture: as for `edgenas.pipeline.export.export_run`.
    data: where the run's images are now, or they. Returns the folder.

    Raises UsageError where the folder holds something, or the searches chose several networks and none is named.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty: name another folder.")
    with tempfile.TemporaryDirectory() as temporary:
        bundle = Path(temporary) / "model.zip"
        (model,) = export_run(run, architecture=architecture, bundle=bundle, data=data, track=track).models
        write_model_folder(folder, bundle, run, model, load_verifications(model.folder, len(model.classes)))
    return folder
