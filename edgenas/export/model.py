"""`ExportedModel`: the folder of one exported subnet, `export/<architecture id>/`.

model.json           architecture, classes, preprocessing, provenance, how int8 was calibrated
weights.safetensors  the extracted subnet with recalibrated batch norm, from which the files were made
network.py           the subnet in plain torch, which loads them without EdgeNAS
weights-int8.safetensors  the same of the files in int8, which may have been trained for it
model.onnx, model.tflite, model.ncnn.param with model.ncnn.bin; of other precisions than fp32 model-<precision>.onnx
verify.json          what verification measured here; verify-<device>.json: on a device
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from edgenas.data.prepare import described
from edgenas.device import Execution, Provenance
from edgenas.device.execution import precision_suffix
from edgenas.errors import CheckpointError
from edgenas.files import write_bytes
from edgenas.graph import FORMATS, Ends, get_format
from edgenas.latency.table import Kind
from edgenas.metric import ACCURACY, Score
from edgenas.quantisation.calibration import Calibration
from edgenas.search import Candidate, SearchRecord
from edgenas.search.record import label
from edgenas.space import Architecture, SearchSpace
from edgenas.supernet import Network
from edgenas.training.checkpoint import fill, load_tensors, save_tensors
from edgenas.values import Format, Inlined, Length, plain_fields
from edgenas.values.kinds import (
    Answer,
    ClassNames,
    Deviations,
    Fit,
    ImageType,
    Means,
    Milliseconds,
    Name,
    Resolution,
    ShareBelowOne,
    Text,
    ValueRange,
)  # fmt: skip


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes the model's input: what `edgenas.data.prepare` does with these values.

    ONNX takes NCHW, TFLite NHWC. input: what the files take; of pixels, mean and std are in their graphs.
    """

    resolution: Resolution
    mean: Means
    std: Deviations
    fit: Fit = "crop"  # earlier versions knew no other
    value_range: ValueRange | None = None
    input: ImageType = "float32"

    @property
    def in_words(self) -> str:
        return described(self.to_json())

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in plain_fields(self).items() if value is not None}


@dataclass(frozen=True)
class Budget:
    """A search that chose an architecture: its budget, and the latency that its table predicted, with its interval, in ms.

    metric: what it maximised.
    """

    device: Name
    execution: Inlined[Execution]
    budget_ms: Milliseconds
    confidence: ShareBelowOne
    latency_kind: Kind
    latency_provenance: Provenance
    latency_ms: Milliseconds
    latency_low_ms: Milliseconds
    latency_high_ms: Milliseconds
    metric: Text = ACCURACY.name

    @classmethod
    def of(cls, record: SearchRecord, candidate: Candidate) -> Budget:
        """candidate: a member of the record's front."""
        predicted_ms = candidate.latency_ms, candidate.latency_low_ms, candidate.latency_high_ms
        return cls(record.device, record.execution, record.budget_ms, record.confidence, record.latency_kind,
                   record.latency_provenance, *predicted_ms, record.metric)  # fmt: skip

    @property
    def label(self) -> str:
        """As people call the search, whatever its precision."""
        return label(self.device, self.budget_ms, self.metric)


class ModelFile(NamedTuple):
    """A model in one format and precision. path: of its file, or of the first of its format's files."""

    path: Path
    format: str
    precision: str = "fp32"

    @property
    def paths(self) -> tuple[Path, ...]:
        """Of all its files."""
        first, *others = get_format(self.format).suffixes
        stem = self.path.name.removesuffix(first)
        return self.path, *(self.path.with_name(stem + suffix) for suffix in others)

    @property
    def content(self) -> bytes:
        """As `ModelFormat.build` gave it."""
        return get_format(self.format).join(*(path.read_bytes() for path in self.paths))

    def write(self, content: bytes) -> None:
        for path, part in zip(self.paths, get_format(self.format).split(content), strict=True):
            write_bytes(path, part)


@dataclass(frozen=True)
class ExportedModel:
    """One subnet, its files and what is known of it.

    dynamic_batch: whether the ONNX file takes any number of images at once.
    budgets: the searches that chose this architecture.
    validation: how the subnet does on validation images, in torch, by the metric that it was chosen by.
    inherited: the same before fine-tuning; None where the weights are the supernet's.
    output: what its files give.
    calibration: of its int8 files; None where there are none.
    """

    architecture: Architecture
    classes: ClassNames
    preprocessing: Preprocessing
    dynamic_batch: bool
    budgets: Annotated[tuple[Budget, ...], Length(0, 10_000)]
    validation: Score
    provenance: dict[str, Any]
    inherited: Score | None = None
    output: Answer = "logits"
    calibration: Calibration | None = None
    folder: Path = field(default=Path(), compare=False)

    def __post_init__(self) -> None:
        """Raises ValueError for images of another size than the network's."""
        if self.preprocessing.resolution != self.architecture.resolution:
            raise ValueError(f"its images have {self.preprocessing.resolution} pixels, its network takes "
                             f"{self.architecture.resolution}")  # fmt: skip

    @property
    def ends(self) -> Ends:
        how = self.preprocessing
        return Ends((how.mean, how.std) if how.input == "uint8" else None, self.output == "probabilities")

    def save(self, network: Network, quantised: Network | None = None) -> None:
        """quantised: of int8 files that were written; None: those that were there stay."""
        about = {"architecture": str(self.architecture)}
        save_tensors(self._weights("fp32"), network.state_dict(), about)
        if quantised is not None:
            save_tensors(self._weights("int8"), quantised.state_dict(), about)
        FORMAT.save(self.folder / "model.json", self)

    def to_json(self) -> dict[str, Any]:
        """Without the folder, which may move, and with what people look for: the architecture's id and plain accuracies."""
        data = plain_fields(self) | {"id": self.architecture.id, "validation_accuracy": self.validation.accuracy}
        data["inherited_accuracy"] = self.inherited and self.inherited.accuracy
        del data["folder"]
        if self.calibration is None:
            del data["calibration"]
        return data

    @classmethod
    def load(cls, folder: Path) -> ExportedModel:
        """Raises EdgeNASError where there is none, CheckpointError for one that is damaged or from a newer version."""
        return replace(FORMAT.load(folder / "model.json"), folder=folder)

    def network(self, space: SearchSpace, precision: str = "fp32") -> Network:
        """The torch network that the files must agree with. precision: in int8, too, it is in floats."""
        path = self._weights(precision if self._weights(precision).exists() else "fp32")
        tensors, _ = load_tensors(path)
        try:
            network = Network(space.blocks(self.architecture), space.batch_norm_epsilon)
        except ValueError as error:
            raise CheckpointError(f"{self.folder} holds none of the run's networks: {error}. Export it again.") from None
        return fill(network, tensors, path).eval()

    def _weights(self, precision: str) -> Path:
        return self.folder / f"weights{precision_suffix(precision)}.safetensors"

    def file(self, format_name: str, precision: str = "fp32") -> Path:
        """Where the file of a format and precision is, or would be; of several, the first."""
        return self.folder / f"model{precision_suffix(precision)}{get_format(format_name).suffixes[0]}"

    def variant(self, format_name: str, precision: str = "fp32") -> ModelFile:
        """That of a format and precision, which may be there or not."""
        return ModelFile(self.file(format_name, precision), format_name, precision)

    @property
    def variants(self) -> list[ModelFile]:
        """The formats and precisions that are there."""
        known = [self.variant(form.name, precision) for form in FORMATS.values() for precision in form.precisions]
        return [file for file in known if all(path.exists() for path in file.paths)]

    @property
    def files(self) -> list[Path]:
        """The model files that are there."""
        return [path for variant in self.variants for path in variant.paths]


def _upgrade(data: dict[str, Any], version: int) -> None:
    data.pop("id")
    if "folder" in data:
        raise TypeError("it names a folder")
    for name in ("validation", "inherited"):
        accuracy = data.pop(f"{name}_accuracy", None)
        if version < 2 and accuracy is not None:
            data[name] = plain_fields(Score.of_accuracy(accuracy, None))


FORMAT = Format("exported model", ExportedModel, version=2, remedy="Export it again.", upgrade=_upgrade)


def load_exports(folder: Path) -> list[ExportedModel]:
    """All exported subnets of a run, by rising budget."""
    models = [ExportedModel.load(file.parent) for file in folder.glob("*/model.json")]
    return sorted(models, key=lambda model: (min((b.budget_ms for b in model.budgets), default=0.0), model.architecture.id))
