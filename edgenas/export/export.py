"""`export`: a subnet as files that a device runs."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgenas.device import Execution, python_target
from edgenas.device.runtimes import runtimes_for, runtimes_of
from edgenas.errors import EdgeNASError, ParityError
from edgenas.export.model import Budget, ExportedModel, Preprocessing
from edgenas.export.parity import TOLERANCE, compare
from edgenas.files import now
from edgenas.graph import get_format, with_tflite_metadata
from edgenas.space import Architecture
from edgenas.supernet import Network, fold
from edgenas.training import Evaluator, FineTuned
from edgenas.values import plain

USUAL_FORMATS = ("onnx", "tflite")
"""Those whose runtimes EdgeNAS brings with it."""

PARITY_IMAGES = 16  # at once on export; verification takes the whole test set


def export(
    evaluator: Evaluator,
    architecture: Architecture,
    folder: Path,
    formats: Iterable[str] = USUAL_FORMATS,
    *,
    dynamic_batch: bool = False,
    budgets: tuple[Budget, ...] = (),
    provenance: dict[str, Any] | None = None,
    finetuned: FineTuned | None = None,
) -> ExportedModel:
    """Write a subnet into `folder`, in the given formats, with everything that is needed to use and to verify it.

    dynamic_batch: let files take any number of images at once, where their format can; others take one.
    budgets, provenance: what is to be remembered of where the architecture comes from.
    finetuned: the subnet after it was trained on by itself, which is written unless it is worse than the inherited one.

    Each file is run before it takes its place, in the runtimes that its budgets are of where they are here, else in the first
    that opens it. Raises ParityError, leaving nothing, when its outputs
    differ from torch's, and UsageError for an unknown format.
    """
    chosen = [get_format(name) for name in formats]
    dataset = evaluator.dataset
    used = finetuned if finetuned is not None and finetuned.is_used else None
    network = evaluator.network(architecture) if used is None else used.network
    model = ExportedModel(
        folder=folder,
        architecture=architecture,
        classes=dataset.classes,
        preprocessing=Preprocessing(architecture.resolution, dataset.mean, dataset.std, dataset.fit, dataset.value_range),
        dynamic_batch=dynamic_batch,
        budgets=budgets,
        validation_accuracy=evaluator.network_accuracy(network),
        inherited_accuracy=None if used is None else used.inherited_accuracy,
        provenance={
            "edgenas": version("edgenas"),
            "torch": torch.__version__,
            "date": now(),
        }
        | (provenance or {})
        | ({} if used is None else {"finetuned": used.recipe.to_dict()}),
    )
    few = np.arange(min(PARITY_IMAGES, len(dataset.validation)))
    images = torch.cat([images for images, _ in evaluator.images(dataset.validation, architecture.resolution, few)]).cpu()
    searched = {budget.execution.runtime for budget in budgets}
    for form in chosen:
        file, content = model.file(form.name), model_file(model, network, form.name)
        check_parity(content, form.name, network, images, file.path, searched)
        file.write(content)
    model.save(network)
    return model


def model_file(model: ExportedModel, network: Network, kind: str) -> bytes:
    """The content of a model file of a format."""
    form = get_format(kind)
    weights = fold(network)
    metadata = {
        "classes": json.dumps(model.classes),
        "preprocessing": json.dumps(
            {
                "resolution": model.preprocessing.resolution,
                "colour": "RGB",
                "fit": model.preprocessing.fit,
                "in_words": model.preprocessing.in_words,
                "scale": 1 / 255,
                "mean": model.preprocessing.mean,
                "std": model.preprocessing.std,
                "layout": form.layout,
            }
            | ({"value_range": model.preprocessing.value_range} if model.preprocessing.value_range else {})
        ),
        "architecture": str(model.architecture),
        "provenance": json.dumps(model.provenance | {"budgets": [plain(budget) for budget in model.budgets]}),
    }
    batch = None if model.dynamic_batch and form.dynamic_batch else 1
    content = form.build(network.specs, weights, batch=batch, metadata=metadata)
    if kind == "tflite":
        how = model.preprocessing
        content = with_tflite_metadata(content, model.classes, how.mean, how.std, model.architecture.id)
    return content


def in_layout(images: torch.Tensor, kind: str) -> np.ndarray:
    """`(n, 3, r, r)` images in the layout and the type that files of a format take."""
    form = get_format(kind)
    order = ["NCHW".index(letter) for letter in form.layout]
    return np.ascontiguousarray(images.permute(order).numpy(), dtype=form.dtype)


@torch.no_grad()
def check_parity(
    content: bytes, kind: str, network: Network, images: torch.Tensor, path: Path, wanted: Collection[str] = ()
) -> None:
    """Raises ParityError when a file computes something else than the torch network on these images, and EdgeNASError where
    nothing here opens it. wanted: the runtimes that it is for; one that is not here is left out."""
    if not (here := runtimes_of(kind)):
        packages = " or ".join(f"pip install {runtime.package}" for runtime in runtimes_for(kind))
        raise EdgeNASError(f"{path} was not written: no runtime on this machine opens {kind} files, so it cannot be tried",
                           packages)  # fmt: skip
    for runtime, python in [pair for pair in here if pair[0].name in wanted] or here[:1]:
        try:
            outputs = python_target(python).run(content, in_layout(images, kind), Execution(runtime.name))
        except EdgeNASError as error:
            raise EdgeNASError(f"{path} was not written: {runtime.name} cannot compute it. {error}") from error
        parity = compare(network.cpu()(images).numpy(), outputs)
        if not parity.holds:
            raise ParityError(
                f"{path} was not written: in {runtime.name} its outputs differ from torch's by {parity.max_difference:.2g} "
                f"(allowed: {TOLERANCE:g} of the largest output). Please report this architecture: {network.specs}"
            )
