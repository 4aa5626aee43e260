"""`Run`: the folder of one supernet. Plain files, to be read, copied and moved to another machine.

config.toml            space, data set and recipe
metrics.jsonl          one line for every epoch
checkpoint.safetensors the state of an unfinished training
supernet.safetensors   the trained weights
search/  export/       what later commands add
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from edgenas.data import Dataset, KnownClasses, load_dataset
from edgenas.errors import CheckpointError, UsageError
from edgenas.files import write_text
from edgenas.progress import Track, quiet
from edgenas.space import SearchSpace, get_space
from edgenas.supernet import Supernet
from edgenas.training.checkpoint import load_tensors, save_tensors
from edgenas.training.recipe import Recipe

VERSION = 1


@dataclass(frozen=True)
class Run:
    path: Path
    config: dict[str, Any]

    @classmethod
    def create(
        cls, path: Path, space: dict[str, Any], dataset: Dataset, seed: int, recipe: Recipe,
        begins_with: dict[str, dict[str, str]] | None = None,
    ) -> Run:  # fmt: skip
        """Write the configuration of a new run. `space` holds the arguments of `get_space` but the classes.

        begins_with: what is to be remembered of the weights that it begins with: `PretrainedWeights.about`.

        Raises UsageError when the folder holds a run already.
        """
        if (path / "config.toml").exists():
            raise UsageError(f"{path} holds a run already: continue it with --resume, or choose another --out.")
        data = {
            "source": dataset.source,
            "seed": seed,
            "size": dataset.size,
            "classes": list(dataset.classes),
            "images": {"train": len(dataset.train), "validation": len(dataset.validation), "test": len(dataset.test)},
            "mean": list(dataset.mean),
            "std": list(dataset.std),
            "skipped": list(dataset.skipped),
            "streamed": dataset.streamed,
            "majority": {part: _majority(getattr(dataset, part).labels) for part in ("validation", "test")},
        }
        if dataset.folders:
            data["folders"] = dict(dataset.folders)
        config = {"version": VERSION, "space": space, "data": data, "recipe": recipe.to_dict()} | (begins_with or {})
        write_text(path / "config.toml", tomli_w.dumps(config))
        return cls(path, config)

    @classmethod
    def open(cls, path: Path) -> Run:
        """Raises UsageError where there is no run, CheckpointError where it is damaged or too new."""
        file = path / "config.toml"
        if not file.exists():
            raise UsageError(f"{path} is no run: it has no config.toml. Make one with edgenas train-supernet --out {path}.")
        try:
            config = tomllib.loads(file.read_text())
            version = config["version"]
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError) as error:
            raise CheckpointError(f"{file} is damaged: {error}.") from None
        if version > VERSION:
            raise CheckpointError(f"{path} was made by a newer EdgeNAS (run version {version}, this one reads {VERSION}): "
                                  "install the newer version to use it.")  # fmt: skip
        missing = {"space", "data", "recipe"} - set(config)
        if missing:
            raise CheckpointError(f"{file} is damaged: it has no {', '.join(sorted(missing))}.")
        return cls(path, config)

    @classmethod
    def latest(cls, folder: Path = Path("runs")) -> Run:
        """The run in `folder` whose training ended last. Raises UsageError when there is none."""
        trained = sorted(folder.glob("*/supernet.safetensors"), key=lambda file: file.stat().st_mtime)
        if not trained:
            raise UsageError(f"There is no trained run in {folder}/: name one, or make one with edgenas train-supernet.")
        return cls.open(trained[-1].parent)

    # ---- parts ----

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.config["data"]["classes"])

    def images(self, part: str) -> int:
        """How many images are in `train`, `validation` or `test`."""
        return self.config["data"]["images"][part]

    def majority(self, part: str) -> float:
        """The share of the largest class among the images of `validation` or `test`; older runs know the least it can be."""
        return self.config["data"].get("majority", {}).get(part, 1 / len(self.classes))

    @property
    def provenance(self) -> dict[str, Any]:
        """What stays with files made of this run: its name, and whose weights it began with, with their licence."""
        begun = {name: dict(self.config[name]) for name in ("pretrained", "warm_start") if name in self.config}
        for about in begun.values():
            about.pop("file", None)
        return {"run": self.path.name} | begun

    @cached_property
    def space(self) -> SearchSpace:
        settings = {"preset": None} | self.config["space"]
        resolutions = tuple(settings.pop("resolutions"))
        return get_space(**settings, classes=len(self.classes), resolutions=resolutions)

    @property
    def recipe(self) -> Recipe:
        return Recipe.from_dict(self.config["recipe"])

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint.safetensors"

    @property
    def weights(self) -> Path:
        return self.path / "supernet.safetensors"

    def dataset(self, source: str | None = None, track: Track = quiet) -> Dataset:
        """The images of this run, from where they were or from `source` where they are now.

        Raises UsageError when they are not there, CheckpointError when they are others.
        """
        data = self.config["data"]
        try:
            dataset = load_dataset(
                source or data["source"],
                size=data["size"],
                seed=data["seed"],
                stream=data.get("streamed", False),  # older runs do not say
                known=KnownClasses(self.classes, data["folders"]) if "folders" in data else None,
                # What the weights were trained with, which need not be the images' own.
                normalisation=(tuple(data["mean"]), tuple(data["std"])),
                track=track,
            )
        except UsageError as error:
            raise UsageError(f"The images of this run are not to be had. {error} Say where they are with --data.") from None
        counts = {"train": len(dataset.train), "validation": len(dataset.validation), "test": len(dataset.test)}
        if dataset.classes != self.classes or counts != data["images"]:
            raise CheckpointError(f"{dataset.source} does not hold the images that {self.path} was trained on: "
                                  f"{counts} images in {len(dataset.classes)} classes instead of {data['images']} in "
                                  f"{len(self.classes)}.")  # fmt: skip
        return dataset

    def save_supernet(self, supernet: Supernet) -> None:
        save_tensors(self.weights, supernet.state_dict(), {"space": supernet.space.fingerprint})

    def require_trained(self) -> None:
        """Raises CheckpointError when training has not ended."""
        if not self.weights.exists():
            raise CheckpointError(
                f"{self.path} is not trained to its end: edgenas train-supernet --resume {self.path} does that."
            )

    def supernet(self) -> Supernet:
        """The trained supernet. Raises CheckpointError when training has not ended or the weights are damaged."""
        self.require_trained()
        tensors, about = load_tensors(self.weights)
        supernet = Supernet(self.space)
        if about.get("space") != supernet.space.fingerprint:
            raise CheckpointError(f"{self.weights} belongs to another search space than {self.path / 'config.toml'} describes.")
        supernet.load_state_dict(tensors)
        return supernet.eval()

    # ---- metrics ----

    def record(self, metrics: dict[str, Any]) -> None:
        with (self.path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(metrics) + "\n")

    def metrics(self, up_to_epoch: int | None = None) -> list[dict[str, Any]]:
        """The recorded epochs; those after `up_to_epoch` were lost with an interrupted process and are left out."""
        file = self.path / "metrics.jsonl"
        rows = []
        for line in file.read_text().splitlines() if file.exists() else []:
            try:
                row = json.loads(line)
            except ValueError:
                continue  # the line that was being written when the process was killed
            if up_to_epoch is None or row["epoch"] <= up_to_epoch:
                rows.append(row)
        return rows

    def keep_metrics(self, rows: list[dict[str, Any]]) -> None:
        write_text(self.path / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


def _majority(labels: np.ndarray) -> float:
    return float(np.bincount(labels).max() / len(labels))
