"""`ExportedModel`: the folder of one exported subnet, `export/<architecture id>/`.

model.json           architecture, classes, preprocessing, provenance
weights.safetensors  the extracted subnet with recalibrated batch norm, from which the files were made
model.onnx, model.tflite; of other precisions than fp32 model-<precision>.onnx
verify.json          what verification measured here; verify-<device>.json: on a device
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from edgenas.data import Channels
from edgenas.device import Execution, Provenance
from edgenas.device.execution import precision_suffix
from edgenas.errors import CheckpointError
from edgenas.files import read_json, write_json
from edgenas.graph import FORMATS, get_format
from edgenas.search import Candidate, SearchRecord
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
    mean: Channels
    std: Channels

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Preprocessing:
        """What `asdict` gives. Raises KeyError or TypeError where the data has another form."""
        return cls(data["resolution"], tuple(data["mean"]), tuple(data["std"]))


@dataclass(frozen=True)
class Budget:
    """A search that chose an architecture: its budget, and the latency that its table predicted, with its interval, in ms."""

    device: str
    execution: Execution
    budget_ms: float
    confidence: float
    latency_kind: str
    latency_provenance: Provenance
    latency_ms: float
    latency_low_ms: float
    latency_high_ms: float

    @classmethod
    def of(cls, record: SearchRecord, candidate: Candidate) -> Budget:
        """candidate: a member of the record's front."""
        predicted_ms = candidate.latency_ms, candidate.latency_low_ms, candidate.latency_high_ms
        return cls(record.device, record.execution, record.budget_ms, record.confidence, record.latency_kind,
                   record.latency_provenance, *predicted_ms)  # fmt: skip

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Budget:
        """Raises KeyError or TypeError where the data has another form."""
        provenance = Provenance.from_json(data.pop("latency_provenance"))
        return cls(execution=Execution.pop_from(data), latency_provenance=provenance, **data)

    def to_json(self) -> dict[str, Any]:
        data = asdict(self) | {"latency_provenance": self.latency_provenance.to_json()}
        return {"device": data.pop("device")} | data.pop("execution") | data


class ModelFile(NamedTuple):
    """One file of a model: where it is, in which format and precision."""

    path: Path
    format: str
    precision: str = "fp32"


@dataclass(frozen=True)
class ExportedModel:
    """One subnet, its files and what is known of it.

    dynamic_batch: whether the ONNX file takes any number of images at once.
    budgets: the searches that chose this architecture.
    validation_accuracy: of the subnet in torch, in 0..1.
    inherited_accuracy: the same before fine-tuning; None where the weights are the supernet's.
    """

    folder: Path = field(compare=False)
    architecture: Architecture
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    dynamic_batch: bool
    budgets: tuple[Budget, ...]
    validation_accuracy: float
    provenance: dict[str, Any]
    inherited_accuracy: float | None = None

    def save(self, network: Network) -> None:
        save_tensors(self.folder / "weights.safetensors", network.state_dict(), {"architecture": str(self.architecture)})
        data = asdict(self) | {"version": VERSION, "architecture": self.architecture.to_json(), "id": self.architecture.id}
        data["budgets"] = [budget.to_json() for budget in self.budgets]
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
            data["classes"], data["budgets"] = tuple(data["classes"]), tuple(map(Budget.from_json, data["budgets"]))
            return cls(folder=folder, **data)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{folder / 'model.json'} is damaged ({error}): export it again.") from None

    def network(self, space: SearchSpace) -> Network:
        """The torch network that the files must agree with."""
        tensors, _ = load_tensors(self.folder / "weights.safetensors")
        network = Network(space.blocks(self.architecture), space.batch_norm_epsilon)
        network.load_state_dict(tensors)
        return network.eval()

    def file(self, format_name: str, precision: str = "fp32") -> Path:
        """Where the file of a format and precision is, or would be."""
        return self.folder / f"model{precision_suffix(precision)}{get_format(format_name).suffix}"

    @property
    def variants(self) -> list[ModelFile]:
        """The model files that are there, with what is in them."""
        known = [(form.name, precision) for form in FORMATS.values() for precision in form.precisions]
        return [ModelFile(self.file(*kind), *kind) for kind in known if self.file(*kind).exists()]

    @property
    def files(self) -> list[Path]:
        """The model files that are there."""
        return [variant.path for variant in self.variants]


def load_exports(folder: Path) -> list[ExportedModel]:
    """All exported subnets of a run, by rising budget."""
    models = [ExportedModel.load(file.parent) for file in folder.glob("*/model.json")]
    return sorted(models, key=lambda model: (min((b.budget_ms for b in model.budgets), default=0.0), model.architecture.id))
