"""`export`: a subnet as files that a device runs."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgenas.device import Execution, python_target
from edgenas.device.runtimes import runtimes_for, runtimes_of
from edgenas.errors import EdgeNASError, ParityError
from edgenas.export.model import Budget, ExportedModel, ModelFile, Preprocessing
from edgenas.export.parity import TOLERANCE
from edgenas.export.reference import Reference, References, as_input, as_scores, of_whole_pixels
from edgenas.export.torch_source import SOURCE, check_torch_source, torch_source
from edgenas.files import now, write_text
from edgenas.graph import PLAIN, Ends, ModelFormat, get_format, with_tflite_metadata
from edgenas.graph.format import check_support
from edgenas.quantisation import IMAGE, Range
from edgenas.quantisation.calibration import Calibration
from edgenas.space import Architecture
from edgenas.supernet import Network, fold
from edgenas.training import Evaluator, FineTuned
from edgenas.values import plain

USUAL_FORMATS = ("onnx", "tflite")
"""Those whose runtimes EdgeNAS brings with it."""

TRAINED_IN_INT8 = "trained_in_int8"
"""In a model's provenance: the recipe of int8 files that were trained in int8."""
PARITY_IMAGES = 16  # at once on export; verification takes the whole test set


def export(
    evaluator: Evaluator,
    architecture: Architecture,
    folder: Path,
    formats: Iterable[str] = USUAL_FORMATS,
    *,
    precisions: Iterable[str] = ("fp32",),
    per_tensor: bool = False,
    integer_ends: bool = False,
    dynamic_batch: bool = False,
    image_type: str = "float32",
    answer: str = "logits",
    budgets: tuple[Budget, ...] = (),
    provenance: dict[str, Any] | None = None,
    finetuned: FineTuned | None = None,
    trained_in_int8: FineTuned | None = None,
) -> ExportedModel:
    """Write a subnet into `folder`, in the given formats, with everything that is needed to use and to verify it.

    evaluator: by the metric that it was chosen by.
    precisions: in which each format is written. For int8 the subnet is calibrated on training images;
        per_tensor, integer_ends: see `Quantisation`.
    dynamic_batch: let files take any number of images at once, where their format can; others take one.
    image_type: `uint8` lets files take pixels, and normalise them by their first operators. answer: `probabilities` lets them
        end in a softmax. Files of the folder whose ends are others are removed: model.json would be wrong about them.
    budgets, provenance: what is to be remembered of where the architecture comes from.
    finetuned: the subnet after it was trained on by itself, which is written unless it is worse than the inherited one.
    trained_in_int8: after it was trained in int8, which int8 files are written of unless it is worse than what is calibrated,
        or was trained for scales of the other kind.

    Each file is run before it takes its place, in the runtimes that its budgets are of where they are here, else in the first
    that opens it. Raises ParityError, leaving nothing, when its outputs differ from torch's, or in int8 from a simulation's,
    and UsageError for an unknown format or precision.
    """
    chosen = [(get_format(name), precision) for name in formats for precision in precisions]
    for form, precision in chosen:
        check_support(form, precision)
    dataset = evaluator.dataset
    used = finetuned if finetuned is not None and finetuned.is_used else None
    network = evaluator.network(architecture) if used is None else used.network
    quantised, calibration, trained = None, *_known(folder)
    if any(precision == "int8" for _, precision in chosen):
        quantised, calibration, trained = network, None, None
        if trained_in_int8 is not None and trained_in_int8.is_used:
            learned = trained_in_int8.calibration
            if learned is not None and learned.per_tensor == per_tensor:
                quantised, trained = trained_in_int8.network, trained_in_int8.recipe.to_dict()
                calibration = replace(learned, integer_ends=integer_ends)
        if calibration is None:
            calibration = evaluator.calibration(network, per_tensor=per_tensor, integer_ends=integer_ends)
    model = ExportedModel(
        folder=folder,
        architecture=architecture,
        classes=dataset.classes,
        preprocessing=Preprocessing(
            architecture.resolution, dataset.mean, dataset.std, dataset.fit, dataset.value_range, image_type
        ),
        output=answer,
        dynamic_batch=dynamic_batch,
        budgets=budgets,
        validation=evaluator.score(network),
        inherited=None if used is None else used.inherited,
        calibration=calibration,
        provenance={
            "edgenas": version("edgenas"),
            "torch": torch.__version__,
            "date": now(),
        }
        | (provenance or {})
        | ({} if used is None else {"finetuned": used.recipe.to_dict()})
        | ({} if trained is None else {TRAINED_IN_INT8: trained}),
    )
    few = np.arange(min(PARITY_IMAGES, len(dataset.validation)))
    images = torch.cat([images for images, _ in evaluator.images(dataset.validation, architecture.resolution, few)])
    if model.ends.normalisation is not None:
        images = of_whole_pixels(images, *model.ends.normalisation)
    searched = {budget.execution.runtime for budget in budgets}
    references = References(network, images, calibration, model.ends, quantised)
    written = []
    for form, precision in chosen:
        own = quantised if precision == "int8" and quantised is not None else network
        file, content = model.variant(form.name, precision), model_file(model, own, form.name, precision)
        check_parity(content, file, references.of(precision), images, searched, model.ends)
        written.append((file, content))
    source = torch_source(model, network, evaluator.supernet.space.batch_norm_epsilon)
    check_torch_source(source, network, images)
    _remove_others(model)
    write_text(model.folder / SOURCE, source)
    for file, content in written:
        file.write(content)
    model.save(network, quantised)
    return model


def _remove_others(model: ExportedModel) -> None:
    """The files of an export with other ends."""
    try:
        before = ExportedModel.load(model.folder)
    except EdgeNASError:  # there is none, or it is damaged, and replaced now
        return
    if before.ends != model.ends:
        for path in before.files:
            path.unlink()


def _known(folder: Path) -> tuple[Calibration | None, dict[str, Any] | None]:
    """Of int8 files that were exported before, and stay: their calibration, and how they were trained."""
    try:
        model = ExportedModel.load(folder)
    except EdgeNASError:  # there is none, or it is damaged, and replaced now
        return None, None
    return model.calibration, model.provenance.get(TRAINED_IN_INT8)


def model_file(model: ExportedModel, network: Network, kind: str, precision: str = "fp32") -> bytes:
    """The content of a model file of a format, in a precision."""
    form = get_format(kind)
    weights = fold(network)
    extra: dict[str, Any] = {} if model.ends == PLAIN else {"ends": model.ends}
    about = {}
    if precision == "int8" and model.calibration is not None:
        extra["quantisation"] = quantisation = model.calibration.quantisation(network.specs)
        about["quantisation"] = json.dumps(
            {name: getattr(model.calibration, name) for name in ("method", "images", "per_tensor", "integer_ends")}
            | ({} if model.ends.normalisation else {"input": _end(quantisation.ranges[IMAGE], form)})
            | ({} if model.ends.probabilities else {"output": _end(quantisation.scores, form)})
        )
    provenance = {name: value for name, value in model.provenance.items() if precision == "int8" or name != TRAINED_IN_INT8}
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
                "input": form.pixels if model.ends.normalisation else "float32",
            }
            | ({"value_range": model.preprocessing.value_range} if model.preprocessing.value_range else {})
        ),
        "output": model.output,
        "architecture": str(model.architecture),
        "provenance": json.dumps(provenance | {"budgets": [plain(budget) for budget in model.budgets]}),
    }
    batch = None if model.dynamic_batch and form.dynamic_batch else 1
    content = form.build(network.specs, weights, precision, batch=batch, metadata=metadata | about, **extra)
    if kind == "tflite":
        how = model.preprocessing
        mean, std = ((0.0,), (1 / 255,)) if model.ends.normalisation else (how.mean, how.std)
        content = with_tflite_metadata(content, model.classes, mean, std, model.architecture.id)
    return content


def _end(limits: Range, form: ModelFormat) -> dict[str, Any]:
    """What the integers at an end of a file stand for: `(integer - zero_point) * scale`."""
    least = int(np.iinfo(form.integers).min)
    return {"type": form.integers, "scale": float(limits.scale), "zero_point": limits.zero_point + least}


def check_parity(
    content: bytes, file: ModelFile, expected: Reference, images: torch.Tensor, wanted: Collection[str] = (), ends: Ends = PLAIN
) -> None:
    """Raises ParityError when a file computes something else than it must on these images, and EdgeNASError where nothing here
    opens it. wanted: the runtimes that it is for; one that is not here is left out. ends: of the file."""
    path, kind = file.path, file.format
    if not (here := runtimes_of(kind)):
        packages = " or ".join(f"pip install {runtime.package}" for runtime in runtimes_for(kind))
        raise EdgeNASError(f"{path} was not written: no runtime on this machine opens {kind} files, so it cannot be tried",
                           packages)  # fmt: skip
    whose = "its simulation's" if expected.quantisation else "torch's"
    array = as_input(images, kind, expected.quantisation, ends)
    asked = [(runtime, python) for runtime, python in here if runtime.name in wanted and file.precision in runtime.precisions]
    for runtime, python in asked or here[:1]:
        try:
            outputs = as_scores(python_target(python).run(content, array, Execution(runtime.name)), expected.quantisation, ends)
        except EdgeNASError as error:
            raise EdgeNASError(f"{path} was not written: {runtime.name} cannot compute it. {error}") from error
        parity = expected.compare(outputs)
        if not parity.holds:
            found, allowed = parity.max_difference, TOLERANCE * parity.scale
            if parity.difference is not None and parity.allowed is not None:
                found, allowed = parity.difference, parity.allowed
            raise ParityError(
                f"{path} was not written: in {runtime.name} its outputs differ from {whose} by {found:.2g} (allowed: "
                f"{allowed:.2g}). Please report this architecture: {path.parent.name}"
            )
