"""`Baseline`: what is known of a network beside a run, as read from `baselines/<name>/` of the run.

Of a network that EdgeNAS trained the folder is a run: config.toml, metrics.jsonl, supernet.safetensors, export/<id>/ and so on.
Of a file that the user brought:

model.onnx   a copy, for one image at a time
file.json    where it came from, and how images become its input
verify.json  what verification measured
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgenas.export import Preprocessing, Verification, load_exports, load_verifications
from edgenas.run import Run
from edgenas.values import Format
from edgenas.values.kinds import Hex, Text

FILE, ABOUT = "model.onnx", "file.json"
SCRATCH, OWN = "scratch", "your file"


@dataclass(frozen=True)
class Baseline:
    """A network beside a run, verified.

    begins_with: `scratch`, the name of the pretrained weights, or `your file`.
    training_seconds: None of a file, whose training nobody saw. validation_accuracy: so, too.
    """

    name: str
    resolution: int
    begins_with: str
    training_seconds: float | None
    validation_accuracy: float | None
    verifications: tuple[Verification, ...]


@dataclass(frozen=True)
class OwnFile:
    """source: the path that it was copied from. sha256: of the copy."""

    source: Text
    sha256: Hex
    preprocessing: Preprocessing

    def save(self, folder: Path) -> None:
        FORMAT.save(folder / ABOUT, self)

    @classmethod
    def load(cls, folder: Path) -> OwnFile:
        """Raises EdgeNASError where it is missing, CheckpointError where it is damaged."""
        return FORMAT.load(folder / ABOUT)


FORMAT = Format("baseline", OwnFile, remedy="Delete its folder and add the file again.")


def begins_with(run: Run) -> str:
    """What a run's weights were before its training."""
    if name := run.config.get("pretrained", {}).get("name"):
        return name
    return Path(run.config["warm_start"]["run"]).name if "warm_start" in run.config else SCRATCH


def trained_seconds(run: Run) -> float:
    """How long a run's own training took, without evaluations."""
    metrics = run.metrics()
    return metrics[-1]["seconds"] if metrics else 0.0


def folder_of(run: Run, name: str) -> Path:
    return run.path / "baselines" / name


def load_baselines(run: Run) -> list[Baseline]:
    """All baselines of a run that were verified and passed, by name; those that were only begun are left out."""
    found = [_load(folder) for folder in sorted((run.path / "baselines").glob("*"))]
    return [baseline for baseline in found if baseline is not None and baseline.verifications]


def _load(folder: Path) -> Baseline | None:
    if (folder / "config.toml").exists():
        return _network(Run.peek(folder))
    if (folder / ABOUT).exists():
        about = OwnFile.load(folder)
        return Baseline(folder.name, about.preprocessing.resolution, OWN, None, None, tuple(load_verifications(folder)))
    return None


def _network(run: Run) -> Baseline | None:
    models = load_exports(run.path / "export")
    if not models:
        return None
    verified = load_verifications(models[0].folder)
    return Baseline(
        run.path.name,
        models[0].preprocessing.resolution,
        begins_with(run),
        trained_seconds(run),
        models[0].validation.accuracy,
        tuple(v for v in verified if v.passed),
    )
