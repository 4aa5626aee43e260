"""`Run`: the folder of one supernet. Plain files, to be read, copied and moved to another machine.

Here are its paths and its configuration, which need no torch. `edgenas.training` loads its weights and its images, and
`edgenas.pipeline` has the steps of the story: a run's methods call both, and import them when they are called.

config.toml            space, data set and recipe
images.csv             the split of its images, by their content
metrics.jsonl          one line for every epoch
commands.log           one line for every command that ended well
checkpoint.safetensors the state of an unfinished training
supernet.safetensors   the trained weights
search/  export/       what later commands add
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np

from edgenas import names
from edgenas.errors import CheckpointError, UsageError
from edgenas.files import append_line, now, sweep, write_text, write_toml
from edgenas.names import pasted
from edgenas.space import SearchSpace, get_space
from edgenas.values import Within, decoded_json, decoded_toml, fit, read, read_text
from edgenas.values.kinds import (
    ClassName,
    ClassNames,
    Count,
    Deviations,
    GivenPath,
    Hex,
    Line,
    Means,
    Resolution,
    Seed,
    Share,
    Text,
)

if TYPE_CHECKING:
    from edgenas.data import Dataset, RecordedSplit
    from edgenas.device import DeviceProfile
    from edgenas.latency import LatencyTable
    from edgenas.pipeline.baseline import Compared
    from edgenas.pipeline.data import Added
    from edgenas.pipeline.devices import SearchedDevices
    from edgenas.pipeline.export import Exported
    from edgenas.pipeline.finetune import FineTunedWinners
    from edgenas.pipeline.report import Report
    from edgenas.pipeline.search import Searched
    from edgenas.pipeline.train import Trained
    from edgenas.pipeline.verify import Verified
    from edgenas.supernet import Supernet
    from edgenas.training import Recipe

VERSION = 1
PARTS = ("search", "finetune", "tune")
COMMANDS = "commands.log"


@dataclass(frozen=True)
class Run:
    path: Path
    config: dict[str, Any]

    @classmethod
    def create(
        cls, path: Path, space: dict[str, Any], dataset: Dataset, seed: int, recipe: Recipe,
        begins_with: dict[str, dict[str, str]] | None = None, metric: str = "accuracy",
    ) -> Run:  # fmt: skip
        """Write the configuration of a new run. `space` holds the arguments of `get_space` but the classes.

        begins_with: what is to be remembered of the weights that it begins with: `PretrainedWeights.about`.
        metric: what it is judged by, see `edgenas.metric`.

        Raises UsageError when the folder holds a run already, or has a name that cannot be written.
        """
        require_text(path)
        if (path / "config.toml").exists():
            raise UsageError(f"{path} holds a run already", "continue it with `resume`, or choose another `out`.")
        data = {
            "source": dataset.source,
            "seed": seed,
            "size": dataset.size,
            "classes": list(dataset.classes),
            "images": {part: len(split) for part, split in dataset.splits.items()},
            "mean": list(dataset.mean),
            "std": list(dataset.std),
            "skipped": [f"{file}: {why}" for file, why in dataset.skipped.items()],
            "streamed": dataset.streamed,
            "fit": dataset.fit,
            "majority": _majority({part: split.labels for part, split in dataset.splits.items()}),
        }
        if dataset.value_range:
            data["value_range"] = list(dataset.value_range)
        if dataset.folders:
            data["folders"] = dict(dataset.folders)
        if dataset.record:
            data["recorded"] = True
        config = {"version": VERSION, "metric": metric, "space": space, "data": data, "recipe": recipe.to_dict()}
        config |= begins_with or {}
        run = cls(path, config)
        if dataset.record:
            dataset.record.save(run.images_file)
        write_toml(path / "config.toml", config)
        return run

    @classmethod
    def open(cls, path: Path | str) -> Run:
        """Raises UsageError where there is no run, CheckpointError where it is damaged or too new."""
        run = cls.peek(path)
        run._sweep()
        return run

    @classmethod
    def peek(cls, path: Path | str) -> Run:
        """As `open`, but to be looked at: nothing in it is touched, whoever is at work there."""
        path = Path(fit(GivenPath, path, "run"))
        file = path / "config.toml"
        require_text(path)
        try:
            is_there = file.exists()
        except OSError as error:
            raise UsageError(f"{path} is no run: {error.strerror}.") from None
        if not is_there:
            raise UsageError(f"{path} is no run: it has no config.toml. Make one with `train_supernet(out={pasted(path)})`.")
        try:
            config = decoded_toml(read_text(file, "configuration of a run", error=CheckpointError))
            if read(int, config.get("version"), "version") > VERSION:
                raise CheckpointError(f"{path} was made by a newer EdgeNAS: update EdgeNAS to use it.")
            read(_Settings, config)
        except ValueError as error:
            raise CheckpointError(f"{file} is damaged: {str(error).rstrip('.')}.") from None
        return cls(path, config)

    def _sweep(self) -> None:
        """Delete what killed processes left: files half written, and the checkpoint of a training that ended."""
        parts = [self.path / name for name in PARTS]
        for folder in (self.path, *parts, *self.path.glob("export/*"), *self.path.glob("baselines/*")):
            sweep(folder)
        if self.weights.exists():
            with suppress(OSError):
                self.checkpoint.unlink(missing_ok=True)

    @classmethod
    def latest(cls, folder: Path = Path("runs")) -> Run:
        """The run in `folder` whose training ended last. Raises UsageError when there is none."""
        trained = sorted(folder.glob("*/supernet.safetensors"), key=lambda file: file.stat().st_mtime)
        if not trained:
            raise UsageError(f"There is no trained run in {folder}/: name one, or make one with `train_supernet()`.")
        return cls.open(trained[-1].parent)

    # ---- what was done ----

    def remember(self, command: str) -> None:
        """Add a command that ended well to commands.log, with its date; a folder that cannot be written is left as it is."""
        with suppress(OSError):
            append_line(self.path / COMMANDS, f"{now()} {names.storable(command)}")

    def commands(self) -> list[str]:
        """Those that were remembered, each after its date."""
        path = self.path / COMMANDS
        return read_text(path, "list of commands", error=CheckpointError).splitlines() if path.exists() else []

    # ---- parts ----

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(map(names.of_class, self.config["data"]["classes"]))

    def images(self, part: str) -> int:
        """How many images are in `train`, `validation` or `test`."""
        return self.config["data"]["images"][part]

    def majority(self, part: str) -> float:
        """The share of the largest class among the images of `validation` or `test`; older runs know the least it can be."""
        return self.config["data"].get("majority", {}).get(part, 1 / len(self.classes))

    def with_images(self, record: RecordedSplit) -> Run:
        """With this record of its images in place of the one that it had; both are written."""
        labels = {part: record.labels_of(part) for part in record.counts()}
        about = {"images": record.counts(), "majority": _majority(labels), "split": record.digest()}
        config = self.config | {"data": self.config["data"] | about}
        record.save(self.images_file)
        write_toml(self.path / "config.toml", config)
        return Run(self.path, config)

    @property
    def split(self) -> str:
        """Names the split, where images were added to it after the training: accuracies from before are of other images."""
        found: str = self.config["data"].get("split", "")
        return found

    @property
    def metric(self) -> str:
        """The name of what it is judged by, see `edgenas.metric`; of older runs accuracy."""
        return self.config.get("metric", "accuracy")

    @property
    def provenance(self) -> dict[str, Any]:
        """What stays with files made of this run: its name, and whose weights it began with, with their licence."""
        begun = {name: dict(self.config[name]) for name in ("pretrained", "warm_start") if name in self.config}
        for about in begun.values():
            about.pop("file", None)
        return {"run": names.of_file(self.path.name)} | begun

    @cached_property
    def space(self) -> SearchSpace:
        try:
            return space_of(self.config["space"], len(self.classes))
        except (UsageError, TypeError) as error:
            raise CheckpointError(f"{self.path / 'config.toml'} is damaged: {error}") from None

    @property
    def recipe(self) -> Recipe:
        from edgenas.training.recipe import recipe_of  # here, since it brings torch

        return recipe_of(self.config["recipe"], self.path / "config.toml")

    @property
    def images_file(self) -> Path:
        return self.path / "images.csv"

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint.safetensors"

    @property
    def weights(self) -> Path:
        return self.path / "supernet.safetensors"

    @property
    def picture(self) -> Path:
        return self.path / "training.png"

    def require_trained(self) -> None:
        """Raises CheckpointError when training has not ended."""
        if not self.weights.exists():
            how = f"`train_supernet(resume={pasted(self.path)})` does that."
            raise CheckpointError(f"{self.path} is not trained to its end", how)

    # ---- metrics ----

    def record(self, metrics: dict[str, Any]) -> None:
        append_line(self.path / "metrics.jsonl", json.dumps(metrics))

    def metrics(self, up_to_epoch: int | None = None) -> list[dict[str, Any]]:
        """The recorded epochs; those after `up_to_epoch` were lost with an interrupted process and are left out.

        So are lines that are none: the last one, where a process was killed while it wrote.
        """
        file = self.path / "metrics.jsonl"
        rows = []
        for line in read_text(file, "record of a training").splitlines() if file.exists() else []:
            row = _epoch(line)
            if row is not None and (up_to_epoch is None or row["epoch"] <= up_to_epoch):
                rows.append(row)
        return rows

    def keep_metrics(self, rows: list[dict[str, Any]]) -> None:
        write_text(self.path / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows))

    # ---- what is in it, and the steps of the story ----

    def dataset(self, data: str | None = None) -> Dataset:
        """Its images, from where they were or from `data`, where they are now: `edgenas.training.load_images`."""
        from edgenas.training import load_images

        return load_images(self, data)

    def add_images(self, **options: Any) -> Added:
        """Take images that are new into its splits: `edgenas.pipeline.data.add_images`."""
        from edgenas.pipeline.data import add_images

        return add_images(self, **options)

    def supernet(self) -> Supernet:
        """Its trained supernet: `edgenas.training.load_supernet`."""
        from edgenas.training import load_supernet

        return load_supernet(self)

    def train(self, **options: Any) -> Trained:
        """Train it to its end, from where it was interrupted: `edgenas.pipeline.train.train`."""
        from edgenas.pipeline.train import train
        from edgenas.processes import together

        with together():
            return train(self, **options)

    def profile(self, device: DeviceProfile | str = "cpu", **options: Any) -> LatencyTable:
        """Measure a device for its space: `edgenas.pipeline.profile.profile_device`."""
        from edgenas.pipeline.profile import profile_device

        return profile_device(device, self.space, **options)

    def search(self, *budgets_ms: float, device: str | LatencyTable = "cpu", **options: Any) -> Searched:
        """Find the most accurate subnets within each of some latencies on a device: `edgenas.pipeline.search.search_run`."""
        from edgenas.pipeline.search import search_run

        return search_run(self, budgets_ms, device, **options)

    def search_devices(self, budgets_ms: dict[str, tuple[float, ...]], **options: Any) -> SearchedDevices:
        """Find the best subnets for several devices, and what each loses on the others:
        `edgenas.pipeline.devices.search_devices`."""
        from edgenas.pipeline.devices import search_devices

        return search_devices(self, budgets_ms, **options)

    def finetune(self, **options: Any) -> FineTunedWinners:
        """Train the winners of its searches on, each by itself: `edgenas.pipeline.finetune.finetune_run`."""
        from edgenas.pipeline.finetune import finetune_run

        return finetune_run(self, **options)

    def export(self, *formats: str, **options: Any) -> Exported:
        """Write the winners as files, in all formats or those named: `edgenas.pipeline.export.export_run`."""
        from edgenas.pipeline.export import export_run

        return export_run(self, formats, **options)

    def verify(self, **options: Any) -> Verified:
        """Prove its files: `edgenas.pipeline.verify.verify_run`. Raises ParityError where one computes something else."""
        from edgenas.pipeline.verify import verify_run

        verified = verify_run(self, **options)
        verified.require_passed()
        return verified

    def compare(self, **options: Any) -> Compared:
        """Train networks that people pick by hand on its images, too: `edgenas.pipeline.baseline.compare_by_hand`."""
        from edgenas.pipeline.baseline import compare_by_hand

        return compare_by_hand(self, **options)

    def report(self, **options: Any) -> Report:
        """Gather, write and draw what it has come to: `edgenas.pipeline.report.report_run`, whose options it takes."""
        from edgenas.pipeline.report import report_run

        return report_run(self, **options)


@dataclass(frozen=True)
class _Counts:
    """How many images are in each part."""

    train: Count
    validation: Count
    test: Count


@dataclass(frozen=True)
class _Data:
    source: Text
    seed: Seed
    size: Resolution
    classes: ClassNames
    images: _Counts
    mean: Means
    std: Deviations
    folders: dict[ClassName, ClassName] = field(default_factory=dict)
    majority: dict[str, Share] = field(default_factory=dict)
    streamed: bool = False
    recorded: bool = False
    split: Hex | None = None
    skipped: list[Text] = field(default_factory=list)
    takes_others: ClassVar = True


@dataclass(frozen=True)
class _Begun:
    """The weights that a run began with."""

    name: Line = ""
    run: Text = ""
    file: Text = ""
    takes_others: ClassVar = True


@dataclass(frozen=True)
class _Settings:
    """What config.toml has to hold. What the space and the recipe are, they say themselves."""

    space: dict[str, Any]
    data: _Data
    recipe: dict[str, Any]
    pretrained: _Begun | None = None
    warm_start: _Begun | None = None
    metric: Text = "accuracy"
    takes_others: ClassVar = True


@dataclass(frozen=True)
class _Epoch:
    """What a line of metrics.jsonl has to hold."""

    epoch: Count
    phase: Line
    loss: Annotated[float, Within(-1e30, 1e30)]
    learning_rate: Annotated[float, Within(0, 1e6)]
    seconds: Annotated[float, Within(0, 1e10)]
    largest_validation_accuracy: Share = 0.0
    smallest_validation_accuracy: Share = 0.0
    never_found: list[ClassName] = field(default_factory=list)
    takes_others: ClassVar = True


def _epoch(line: str) -> dict[str, Any] | None:
    """What a line records; None of one that is none."""
    try:
        row = decoded_json(line)
        read(_Epoch, row)
    except ValueError:
        return None
    return row if ("largest_validation_accuracy" in row) == ("smallest_validation_accuracy" in row) else None


def require_text(path: Path) -> None:
    """Raises UsageError for the path of a run that is no text: what writes its files takes UTF-8 alone."""
    if str(path).isascii() or not any("\ud800" <= c <= "\udfff" for c in str(path)):
        return
    raise UsageError(
        f"{names.of_file(str(path))} is no name that this system's character set ({sys.getfilesystemencoding()}) can write",
        "choose another `out`, or set PYTHONUTF8=1 where names are UTF-8.",
    )


def space_of(settings: dict[str, Any], classes: int) -> SearchSpace:
    """The space of a run's settings: the arguments of `get_space` but the classes, as its configuration keeps them."""
    arguments: dict[str, Any] = {"preset": None, "resolutions": None} | settings
    resolutions = arguments.pop("resolutions")
    return get_space(**arguments, classes=classes, resolutions=tuple(resolutions) if resolutions else None)


def _majority(labels: dict[str, np.ndarray]) -> dict[str, float]:
    """The share of the largest class among the images that networks are judged by."""
    return {part: float(np.bincount(labels[part]).max() / len(labels[part])) for part in ("validation", "test")}
