"""What TFLite Micro needs to know of a file."""

from __future__ import annotations

from edgenas import cost
from edgenas.export.model import ExportedModel
from edgenas.graph import tflite_operators
from edgenas.space import SearchSpace


def for_microcontrollers(model: ExportedModel, space: SearchSpace) -> str | None:
    """A sentence on the int8 TFLite file of a model whose ends are integers; None where there is none."""
    file = model.file("tflite", "int8")
    if model.calibration is None or not model.calibration.integer_ends or not file.exists():
        return None
    arena = cost.arena_bytes(space.blocks(model.architecture))
    return (
        f"In TFLite Micro the values of {file} take {arena / 1024:.0f} KiB of the arena, besides what operators keep there, "
        "mostly 8 bytes for every channel of a convolution. Operators to register: "
        f"{', '.join(tflite_operators(file.read_bytes()))}."
    )
