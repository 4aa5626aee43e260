"""A folder as model hubs take it: what a bundle has, with the model card as README.md, its metadata, and two configurations.

Metadata and configurations are those that huggingface.co documents (Model Cards; `image_processor` of transformers). Nothing is
uploaded.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgenas.deployment.bundle import SUMS, sums_of, unpack_bundle
from edgenas.export import ExportedModel, Verification
from edgenas.files import write_bytes
from edgenas.names import of_file
from edgenas.run import Run

BILINEAR = 2
"""Pillow's number of it, which transformers uses."""


def write_model_folder(
    folder: Path, bundle: Path, run: Run, model: ExportedModel, verifications: Sequence[Verification] = ()
) -> None:
    """Unpack a bundle of the model into `folder`, which is made, and add what a hub reads. `predict.py` still tests it.

    verifications: of the model's files; the accuracy of the one on the most test images becomes part of the metadata.
    """
    unpack_bundle(bundle, folder)
    card = folder / "MODEL_CARD.md"
    files = {
        "README.md": f"---\n{metadata(run, model, verifications)}---\n\n{card.read_text(encoding='utf-8')}",
        "config.json": _json(config(model)),
        "preprocessor_config.json": _json(preprocessor(model)),
    }
    card.unlink()
    for name, text in files.items():
        write_bytes(folder / name, text.encode())
    write_bytes(folder / SUMS, sums_of({path.name: path.read_bytes() for path in folder.iterdir() if path.name != SUMS}))


def metadata(run: Run, model: ExportedModel, verifications: Sequence[Verification] = ()) -> str:
    """Of a model card, as YAML, each value written as JSON, which is YAML too.

    No licence is claimed: it depends on the images, which EdgeNAS knows nothing of. That of the weights is in a comment.
    """
    name = of_file(run.path.name)
    fields: dict[str, Any] = {
        "library_name": "edgenas",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "neural-architecture-search", *sorted({file.format for file in model.variants})],
        "metrics": ["accuracy"],
    }
    if verifications:
        best = max(verifications, key=lambda verification: verification.images)
        result = {
            "task": {"type": "image-classification"},
            "dataset": {"name": name, "type": name, "split": "test"},
            "metrics": [{"type": "accuracy", "value": round(best.accuracy, 4), "name": f"accuracy of {best.file}"}],
        }
        fields["model-index"] = [{"name": f"{name} {model.architecture.id}", "results": [result]}]
    begun = run.config.get("pretrained", {})
    weights = f"; the weights that it began with, {begun['name']}, are {begun.get('licence', 'unknown')}" if begun else ""
    comment = f"# Say `license` before you publish: your images have one{weights}.\n"
    return comment + "".join(f"{key}: {json.dumps(value)}\n" for key, value in fields.items())


def config(model: ExportedModel) -> dict[str, Any]:
    """config.json: the classes by number."""
    return {
        "architecture": model.architecture.to_json(),
        "image_size": model.preprocessing.resolution,
        "num_labels": len(model.classes),
        "id2label": {str(number): label for number, label in enumerate(model.classes)},
        "label2id": {label: number for number, label in enumerate(model.classes)},
    }


def preprocessor(model: ExportedModel) -> dict[str, Any]:
    """preprocessor_config.json. transformers resizes before it crops, `prepare.py` after: they agree but for rounding.

    Of pictures that are padded there is no such processor: the type is left out, and `prepare.py` is what is to be used.
    """
    how = model.preprocessing
    side = {"height": how.resolution, "width": how.resolution}
    kinds: dict[str, dict[str, Any]] = {
        "crop": {
            "image_processor_type": "CLIPImageProcessor",
            "size": {"shortest_edge": how.resolution},
            "do_center_crop": True,
            "crop_size": side,
        },
        "squeeze": {"image_processor_type": "ViTImageProcessor", "size": side},
        "pad": {"size": side},
    }
    return kinds[how.fit] | {
        "do_convert_rgb": True,
        "do_resize": True,
        "resample": BILINEAR,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(how.mean),
        "image_std": list(how.std),
    }


def _json(data: dict[str, Any]) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
