"""`export`: a subnet as files that a device runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgenas.errors import ParityError, UsageError
from edgenas.export.model import FORMATS, ExportedModel, Preprocessing
from edgenas.export.parity import TOLERANCE, compare
from edgenas.files import replacing
from edgenas.graph import build_onnx, build_tflite
from edgenas.latency import python_target
from edgenas.space import Architecture, unknown
from edgenas.supernet import Network, fold
from edgenas.training import Evaluator, FineTuned

RUNTIME_OF = {"onnx": "onnxruntime", "tflite": "litert"}
PARITY_IMAGES = 16  # at once on export; verification takes the whole test set


def export(
    evaluator: Evaluator,
    architecture: Architecture,
    folder: Path,
    formats: tuple[str, ...] = FORMATS,
    *,
    dynamic_batch: bool = False,
    budgets: tuple[dict[str, Any], ...] = (),
    provenance: dict[str, Any] | None = None,
    finetuned: FineTuned | None = None,
) -> ExportedModel:
    """Write a subnet into `folder`, in the given formats, with everything that is needed to use and to verify it.

    dynamic_batch: let the ONNX file take any number of images at once; TFLite files always take one.
    budgets, provenance: what is to be remembered of where the architecture comes from.
    finetuned: the subnet after it was trained on by itself, which is written unless it is worse than the inherited one.

    Each file is run in its runtime before it takes its place. Raises ParityError, leaving nothing, when its outputs
    differ from torch's, and UsageError for an unknown format.
    """
    for name in formats:
        if name not in FORMATS:
            raise UsageError(unknown("format", name, FORMATS))
    dataset = evaluator.dataset
    use_finetuned = finetuned is not None and finetuned.is_used
    network = finetuned.network if use_finetuned else evaluator.network(architecture)
    model = ExportedModel(
        folder=folder,
        architecture=architecture,
        classes=dataset.classes,
        preprocessing=Preprocessing(architecture.resolution, tuple(dataset.mean), tuple(dataset.std)),
        dynamic_batch=dynamic_batch,
        budgets=budgets,
        validation_accuracy=evaluator.network_accuracy(network),
        inherited_accuracy=finetuned.inherited_accuracy if use_finetuned else None,
        provenance={
            "edgenas": version("edgenas"),
            "torch": torch.__version__,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        | (provenance or {})
        | ({"finetuned": finetuned.recipe.to_dict()} if use_finetuned else {}),
    )
    few = np.arange(min(PARITY_IMAGES, len(dataset.validation)))
    images = torch.cat([images for images, _ in evaluator.images(dataset.validation, architecture.resolution, few)]).cpu()
    for kind in formats:
        with replacing(model.file(kind)) as temporary:
            temporary.write_bytes(model_file(model, network, kind))
            check_parity(temporary.read_bytes(), kind, network, images, model.file(kind))
    model.save(network)
    return model


def model_file(model: ExportedModel, network: Network, kind: str) -> bytes:
    """The content of model.onnx or model.tflite."""
    weights = fold(network)
    metadata = {
        "classes": json.dumps(model.classes),
        "preprocessing": json.dumps(
            {
                "resolution": model.preprocessing.resolution,
                "colour": "RGB",
                "resize": "shorter side, bilinear, antialiased; then centre crop",
                "scale": 1 / 255,
                "mean": model.preprocessing.mean,
                "std": model.preprocessing.std,
                "layout": "NCHW" if kind == "onnx" else "NHWC",
            }
        ),
        "architecture": str(model.architecture),
        "provenance": json.dumps(model.provenance | {"budgets": model.budgets}),
    }
    if kind == "onnx":
        return build_onnx(
            network.specs, weights, batch="batch" if model.dynamic_batch else 1, metadata=metadata
        ).SerializeToString()
    return build_tflite(network.specs, weights, metadata=metadata)


def in_layout(images: torch.Tensor, kind: str) -> np.ndarray:
    """`(n, 3, r, r)` images as the file takes them: NCHW for ONNX, NHWC for TFLite."""
    return np.ascontiguousarray(images.numpy() if kind == "onnx" else images.permute(0, 2, 3, 1).numpy())


@torch.no_grad()
def check_parity(content: bytes, kind: str, network: Network, images: torch.Tensor, path: Path) -> None:
    """Raises ParityError when a file computes something else than the torch network on these images."""
    outputs = python_target().run(content, in_layout(images, kind), runtime=RUNTIME_OF[kind])
    parity = compare(network.cpu()(images).numpy(), outputs)
    if not parity.holds:
        raise ParityError(
            f"{path} was not written: its outputs differ from torch's by {parity.max_difference:.2g} "
            f"(allowed: {TOLERANCE:g} of the largest output). Please report this architecture: {network.specs}"
        )
