"""The model card of a bundle: what the network tells apart, from which images, how well, how fast, and under which terms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from edgenas.export import ExportedModel, Verification
from edgenas.export.export import TRAINED_IN_INT8
from edgenas.metric import ACCURACY, Metric
from edgenas.names import of_file
from edgenas.run import Run
from edgenas.statistics import wilson

MOST_CLASSES = 100
"""That are listed one by one."""


def model_card(run: Run, model: ExportedModel, verifications: Sequence[Verification] = ()) -> str:
    """As Markdown. verifications: of the model's files, on any device."""
    parts = [
        _overview(run, model),
        *_accuracy(model, verifications),
        *_latency(model, verifications),
        _use(model),
        _origin(run, model),
    ]
    return "\n\n".join(parts) + "\n"


def _overview(run: Run, model: ExportedModel) -> str:
    classes = model.classes
    source = of_file(run.config["data"]["source"]).rsplit("/", 1)[-1]
    named = ", ".join(classes[:MOST_CLASSES]) + (
        f" and {len(classes) - MOST_CLASSES} more" if len(classes) > MOST_CLASSES else ""
    )
    train, validation, test = (run.images(part) for part in ("train", "validation", "test"))
    return (
        f"# {of_file(run.path.name)}, network {model.architecture.id}\n\n"
        f"Tells {len(classes)} classes of images apart: {named}.\n\n"
        f"Images: {source}, {train} to train with, {validation} to choose by and {test} to test with. Of what the test images "
        "do not show, such as other cameras, other light or other kinds, nothing is known."
    )


def _accuracy(model: ExportedModel, verifications: Sequence[Verification]) -> Iterator[str]:
    if not verifications:
        yield "## Accuracy\n\nNot measured on test images."
        return
    best = max(verifications, key=lambda v: v.images)
    low, high = wilson(best.accuracy, best.images)
    confusion = np.array(best.confusion)
    images, right = confusion.sum(1), confusion.diagonal()
    rows = ["| class | test images | recognised | 95 % interval |", "|---|---|---|---|"]
    for label, count, hits in list(zip(model.classes, images, right, strict=True))[:MOST_CLASSES]:
        share = f"{hits / count:.1%} | {_interval(hits / count, count)}" if count else "- | -"
        rows.append(f"| {_cell(label)} | {count} | {share} |")
    yield (
        f"## Accuracy\n\n{best.accuracy:.1%} of {best.images} test images (95 % interval {low:.1%} to {high:.1%}), by "
        f"{best.file} in {best.execution}.{_by_metric(model, best)}\n\n" + "\n".join(rows)
    )


def _by_metric(model: ExportedModel, verification: Verification) -> str:
    """What it was chosen by, where that is not accuracy."""
    score = verification.score(Metric.named(model.validation.metric, model.classes))
    if score.metric == ACCURACY.name or score.low is None or score.high is None:
        return ""
    interval = f"95 % interval {score.low:.1%} to {score.high:.1%}"
    return f" It was chosen by {score.label}, which is {score.value:.1%} ({interval})."


def _latency(model: ExportedModel, verifications: Sequence[Verification]) -> Iterator[str]:
    machines = {budget.latency_provenance.fingerprint: budget.latency_provenance.cpu for budget in model.budgets}
    rows = []
    for v in verifications:
        if not v.emulated:
            machine = v.device or machines.get(v.fingerprint) or f"machine {v.fingerprint}"
            rows.append(f"| {_cell(machine)} | {v.file} | {v.execution} | {v.latency_ms:.3g} |")
    if rows:
        yield "\n".join(
            ["## Latency of one image, as measured", "", "| device | file | runtime | ms |", "|---|---|---|---|", *rows]
        )


def _use(model: ExportedModel) -> str:
    return (
        "## Use\n\n"
        "    pip install -r requirements.txt\n"
        "    python predict.py --self-test\n"
        "    python predict.py photo.jpg\n\n"
        f"How an image becomes the input (`prepare.py` does it): {model.preprocessing.in_words}. ONNX and ncnn files take "
        f"NCHW, TFLite files NHWC. {_outputs(model)}"
    )


def _outputs(model: ExportedModel) -> str:
    if model.output == "probabilities":
        return "The outputs are probabilities, one per line of `labels.txt`."
    return "The outputs are logits, one per line of `labels.txt`: a softmax makes probabilities of them."


def _origin(run: Run, model: ExportedModel) -> str:
    about = model.provenance
    lines = [f"- Made by EdgeNAS {about.get('edgenas')} on {about.get('date')} from the run {about.get('run')}.",
             f"- Architecture: `{model.architecture}`.",
             f"- Recipe: {_recipe(run.recipe.to_dict())}."]  # fmt: skip
    if "finetuned" in about:
        lines.append("- Trained on by itself after the supernet's training.")
    if TRAINED_IN_INT8 in about:
        lines.append("- The int8 files were trained further, in the arithmetic of int8.")
    for begun in ("pretrained", "warm_start"):
        if begun in about:
            lines.append("- Began with the weights " + ", ".join(f"{key} {value}" for key, value in about[begun].items()) + ".")
    return "## Origin\n\n" + "\n".join(lines)


def _recipe(recipe: dict[str, Any]) -> str:
    names = ("scheme", "epochs", "batch_size", "optimizer", "learning_rate")
    return ", ".join(f"{name.replace('_', ' ')} {recipe[name]}" for name in names if name in recipe)


def _interval(share: float, count: int) -> str:
    low, high = wilson(float(share), int(count))
    return f"{low:.0%} to {high:.0%}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
