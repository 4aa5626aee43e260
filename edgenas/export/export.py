"""`export`: a subnet as files that a device runs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgenas.device import Execution, python_target
from edgenas.device.runtimes import runtimes_of
from edgenas.errors import EdgeNASError, ParityError
from edgenas.export.model import Budget, ExportedModel, Preprocessing
from edgenas.export.parity import TOLERANCE, compare
from edgenas.files import now, replacing
from edgenas.graph import FORMATS, get_format
from edgenas.space import Architecture
from edgenas.supernet import Network, fold
from edgenas.training import Evaluator, FineTuned
from edgenas.values import plain

PARITY_IMAGES = 16  # at once on export; verification takes the whole test set


def export(
    evaluator: Evaluator,
    architecture: Architecture,
    folder: Path,
    formats: Iterable[str] = FORMATS,
    *,
    dynamic_batch: bool = False,
    budgets: tuple[Budget, ...] = (),
    provenance: dict[str, Any] | None = None,
    finetuned: FineTuned | None = None,
) -> ExportedModel:
    """Write a subnet into `folder`, in the given formats, with everything that is needed to use and to verify it.

    evaluator: by the metric that it was chosen by.
    dynamic_batch: let files take any number of images at once, where their format can; others take one.
    budgets, provenance: what is to be remembered of where the architecture comes from.
    finetuned: the subnet after it was trained on by itself, which is written unless it is worse than the inherited one.

    Each file is run in its runtime before it takes its place. Raises ParityError, leaving nothing, when its outputs
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
        validation=evaluator.score(network),
        inherited=None if used is None else used.inherited,
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
    for form in chosen:
        with replacing(model.file(form.name)) as temporary:
            temporary.write_bytes(model_file(model, network, form.name))
            check_parity(temporary.read_bytes(), form.name, network, images, model.file(form.name))
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
    return form.build(network.specs, weights, batch=batch, metadata=metadata)


def in_layout(images: torch.Tensor, kind: str) -> np.ndarray:
    """`(n, 3, r, r)` images in the layout and the type that files of a format take."""
    form = get_format(kind)
    order = ["NCHW".index(letter) for letter in form.layout]
    return np.ascontiguousarray(images.permute(order).numpy(), dtype=form.dtype)


@torch.no_grad()
def check_parity(content: bytes, kind: str, network: Network, images: torch.Tensor, path: Path) -> None:
    """Raises ParityError when a file computes something else than the torch network on these images, and EdgeNASError where
    nothing here opens it."""
    if not (here := runtimes_of(kind)):
        raise EdgeNASError(f"{path} was not written: no runtime on this machine opens {kind} files, so it cannot be tried.")
    runtime, python = here[0]
    outputs = python_target(python).run(content, in_layout(images, kind), Execution(runtime.name))
    parity = compare(network.cpu()(images).numpy(), outputs)
    if not parity.holds:
        raise ParityError(
            f"{path} was not written: its outputs differ from torch's by {parity.max_difference:.2g} "
            f"(allowed: {TOLERANCE:g} of the largest output). Please report this architecture: {network.specs}"
        )
