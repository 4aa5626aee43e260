"""A page for any web server: an exported network, ONNX Runtime Web, and a camera. It works offline once it has been opened."""

from __future__ import annotations

import hashlib
from importlib.resources import files as resources
from pathlib import Path

from edgenas.device.browser.onnxruntime_web import FILES, onnxruntime_web
from edgenas.errors import UsageError
from edgenas.export import ExportedModel
from edgenas.files import write_bytes
from edgenas.progress import Track, quiet

OWN = ("index.html", "classify.mjs", "offline.js")


def write_page(folder: Path, model: ExportedModel, track: Track = quiet) -> None:
    """Write everything that the page needs into a folder.

    Raises UsageError where the model has no ONNX file, or takes images that no camera gives, and EdgeNASError where ONNX
    Runtime Web cannot be downloaded.
    """
    network = model.file("onnx")
    if not network.exists():
        raise UsageError(f"{model.folder} has no model.onnx for the page: export it with `format` onnx.")
    if model.preprocessing.value_range is not None:
        raise UsageError("The network was trained on images of more than 8 bits, which no page reads: leave out `web`.")
    own = resources("edgenas.deployment").joinpath("web")
    content = {name: own.joinpath(name).read_bytes() for name in OWN}
    content |= {"model.json": (model.folder / "model.json").read_bytes(), "model.onnx": network.read_bytes()}
    content |= {name: (onnxruntime_web(track) / name).read_bytes() for name in FILES}
    digest = hashlib.sha256(b"".join(content[name] for name in sorted(content))).hexdigest()[:16]
    content["offline.js"] = content["offline.js"].replace(b"@VERSION@", f"edgenas-{digest}".encode())
    for name, data in content.items():
        write_bytes(folder / name, data)
