"""`OnnxClassifier`: a file that classifies a data set's classes, from wherever, and what it takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import onnx
from onnx import TensorProto

from edgenas.data import Channels, Dataset
from edgenas.device import Execution, open_session
from edgenas.errors import UsageError
from edgenas.names import of_class, some
from edgenas.values import decoded_json, read
from edgenas.values.kinds import ClassNames, Deviations, Fit, Means, ValueRange


@dataclass(frozen=True)
class OnnxClassifier:
    """An ONNX file whose input is `(batch or 1, 3, s, s)` float32 and whose first output `(batch, classes)` scores, of a data
    set's classes in their order.

    batch, resolution: of the input; None where they are free.
    mean, std, fit, value_range: how images are prepared. An exported EdgeNAS model tells in its metadata; of others it is taken
        to be the data set's.
    """

    path: Path
    batch: int | None
    resolution: int | None
    mean: Channels
    std: Channels
    fit: str = "crop"
    value_range: tuple[float, float] | None = None

    @classmethod
    def read(cls, path: Path | str, dataset: Dataset, role: str = "model") -> OnnxClassifier:
        """Raises UsageError where the file is none of this; `role` says there what it was to be."""
        path = Path(path)
        if not path.is_file():
            raise UsageError(f"There is no {role} at {path}.")
        try:
            model = onnx.load(path)
            open_session(Execution("onnxruntime"), path)
        except Exception as error:  # the runtime's and protobuf's own errors have no other base in common
            reason = str(error).splitlines()[0]
            raise UsageError(f"The {role} {path} cannot be opened as an ONNX model: {reason}") from None
        what, about = f"The {role} {path}", {entry.key: entry.value for entry in model.metadata_props}
        batch, resolution = _checked_input(what, _first_input(model))
        try:
            classes = read(ClassNames | None, decoded_json(about.get("classes", "null")), "classes")
            how: _How = read(_How, decoded_json(about.get("preprocessing", "{}")), "preprocessing")
        except ValueError as error:
            raise UsageError(f"{what} has metadata that cannot be: {error}") from None
        _check_classes(what, _shape(model.graph.output[0]), classes, dataset.classes)
        normalisation = how.mean or dataset.mean, how.std or dataset.std
        return cls(path, batch, resolution, *normalisation, how.fit or dataset.fit, how.value_range or dataset.value_range)

    def for_one_image(self, resolution: int) -> bytes:
        """The file as a device runs it: for one image of this resolution, where it leaves that open."""
        model = onnx.load(self.path)  # with the weights that lie in files beside it
        for size, value in zip(_first_input(model).type.tensor_type.shape.dim, (1, 3, resolution, resolution), strict=True):
            size.dim_value = value
        return model.SerializeToString()


@dataclass(frozen=True)
class _How:
    """What a file's metadata says of how images become its input; more of it goes without saying."""

    mean: Means | None = None
    std: Deviations | None = None
    fit: Fit | None = None
    value_range: ValueRange | None = None
    takes_others: ClassVar = True


def _first_input(model: onnx.ModelProto) -> onnx.ValueInfoProto:
    """Older files list their weights among the inputs."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return next(value for value in model.graph.input if value.name not in weights)


def _shape(value: onnx.ValueInfoProto) -> list[int | None]:
    return [size.dim_value or None for size in value.type.tensor_type.shape.dim]


def _checked_input(what: str, value: onnx.ValueInfoProto) -> tuple[int | None, int | None]:
    """Batch and resolution."""
    shape = _shape(value)
    fits = len(shape) == 4 and shape[0] in (None, 1) and shape[1] in (None, 3) and shape[2] == shape[3]
    if not fits:
        raise UsageError(f"{what} takes inputs of shape {shape}: it must take (batch or 1, 3, size, size) images.")
    kind = value.type.tensor_type.elem_type
    if kind != TensorProto.FLOAT:
        raise UsageError(f"{what} takes inputs of type {TensorProto.DataType.Name(kind)}: it must take FLOAT, that is float32.")
    return shape[0], shape[2]


def _check_classes(what: str, shape: list[int | None], theirs: tuple[str, ...] | None, ours: tuple[str, ...]) -> None:
    if len(shape) != 2 or shape[1] not in (None, len(ours)):
        raise UsageError(f"{what} gives outputs of shape {shape}: it must give (batch, {len(ours)}), "
                         f"one logit for each class of the data set.")  # fmt: skip
    if theirs is not None and tuple(map(of_class, theirs)) != ours:
        raise UsageError(f"{what} has other classes than the data set, or another order of them: "
                         f"{some(theirs, 5)} instead of {some(ours, 5)}.")  # fmt: skip
