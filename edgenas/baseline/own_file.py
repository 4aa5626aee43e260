"""A user's own ONNX file as a baseline: verified and timed, not trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from edgenas.baseline.record import ABOUT, FILE, OwnFile, folder_of
from edgenas.errors import UsageError
from edgenas.export import VERIFIED, Preprocessing, Verification, load_verifications, verify_classifier
from edgenas.files import write_bytes
from edgenas.latency import LatencyTable
from edgenas.progress import Track, quiet
from edgenas.run import Run
from edgenas.training import OnnxClassifier, load_images


def add_file(
    run: Run, path: Path, source: str | None = None, tables: Sequence[LatencyTable] = (), track: Track = quiet
) -> list[Verification]:
    """Copy a file into the run's baselines, under its name, and verify it; what was verified before is not verified again.

    Its images are prepared as its metadata says where EdgeNAS wrote it, else as those of the run.

    A newer file at the same path takes the place of the older one.

    Raises UsageError where it is no classifier of the run's classes, or its name is taken by another baseline.
    """
    folder = folder_of(run, path.stem)
    if (folder / "config.toml").exists():
        raise UsageError(f"{path.stem} is a baseline of this run already, and no file: give {path} another name.")
    dataset = load_images(run, source, track)
    file = OnnxClassifier.read(path, dataset)
    resolution = file.resolution or max(run.space.resolutions)
    content = file.for_one_image(resolution)
    digest = sha256(content).hexdigest()
    if (folder / ABOUT).exists():
        before = OwnFile.load(folder)
        if before.sha256 == digest and (done := load_verifications(folder)):
            return done
        if before.sha256 != digest and before.source != str(path.resolve()):
            raise UsageError(f"{path.stem} is a baseline of this run already, of {before.source}: give {path} another name.")
    copy = folder / FILE
    (folder / VERIFIED).unlink(missing_ok=True)  # of another file of this name
    write_bytes(copy, content)
    preprocessing = Preprocessing(resolution, file.mean, file.std, file.fit, file.value_range)
    OwnFile(str(path.resolve()), digest, preprocessing).save(folder)
    return verify_classifier(replace(file, path=copy, resolution=resolution), folder, dataset, tables, track)
