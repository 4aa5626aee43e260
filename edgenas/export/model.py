"""`ExportedModel`: the folder of one exported subnet, `export/<architecture id>/`.

model.json           architecture, classes, preprocessing, provenance
weights.safetensors  the extracted subnet with recalibrated batch norm, from which the files were made
model.onnx, model.tflite
verify.json          what verification measured
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edgenas.errors import CheckpointError
from edgenas.files import read_json, write_json
from edgenas.graph import FORMATS, get_format
from edgenas.space import Architecture, SearchSpace
from edgenas.supernet import Network
from edgenas.training.checkpoint import load_tensors, save_tensors

VERSION = 1


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes the model's input, in this order.

    Convert to RGB; resize the shorter side to `resolution` (bilinear, antialiased) and crop the centre square; divide by
    255; subtract `mean` and divide by `std` per channel. ONNX takes NCHW, TFLite NHWC.
    """

    resolution: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Preprocessing:
        """What `asdict` gives. Raises KeyError or TypeError where the data has another form."""
        return cls(data["resolution"], tuple(data["mean"]), tuple(data["std"]))


@dataclass(frozen=True)
class ExportedModel:
    """One subnet, its files and what is known of it.

    dynamic_batch: whether the ONNX file takes any number of images at once.
    budgets: the searches that chose this architecture: device, budget, predicted latency and where that comes from.
    validation_accuracy: of the subnet in torch, in 0..1.
    inherited_accuracy: the same before fine-tuning; None where the weights are the supernet's.
    """

    folder: Path = field(compare=False)
    architecture: Architecture
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    dynamic_batch: bool
    budgets: tuple[dict[str, Any], ...]
    validation_accuracy: float
    provenance: dict[str, Any]
    inherited_accuracy: float | None = None

    def save(self, network: Network) -> None:
        save_tensors(self.folder / "weights.safetensors", network.state_dict(), {"architecture": str(self.architecture)})
        data = asdict(self) | {"version": VERSION, "architecture": self.architecture.to_json(), "id": self.architecture.id}
        del data["folder"]
        write_json(self.folder / "model.json", data)

    @classmethod
    def load(cls, folder: Path) -> ExportedModel:
        data = read_json(folder / "model.json", "exported model")
        try:
            if data.pop("version") > VERSION:
                raise CheckpointError(f"{folder} was written by a newer EdgeNAS: install that version to read it.")
            data.pop("id")
            data["architecture"] = Architecture.from_json(data["architecture"])
            data["preprocessing"] = Preprocessing.from_json(data["preprocessing"])
            data["classes"], data["budgets"] = tuple(data["classes"]), tuple(data["budgets"])
            return cls(folder=folder, **data)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{folder / 'model.json'} is damaged ({error}): export it again.") from None

    def network(self, space: SearchSpace) -> Network:
        """The torch network that the files must agree with."""
        tensors, _ = load_tensors(self.folder / "weights.safetensors")
        network = Network(space.blocks(self.architecture), space.batch_norm_epsilon)
        network.load_state_dict(tensors)
        return network.eval()

    def file(self, kind: str) -> Path:
        return self.folder / f"model{get_format(kind).suffix}"

    @property
    def files(self) -> list[Path]:
        """The model files that are there."""
        return [self.file(kind) for kind in FORMATS if self.file(kind).exists()]


def load_exports(folder: Path) -> list[ExportedModel]:
    """All exported subnets of a run, by rising budget."""
    models = [ExportedModel.load(file.parent) for file in folder.glob("*/model.json")]
    return sorted(models, key=lambda model: (min((b["budget_ms"] for b in model.budgets), default=0.0), model.architecture.id))
