"""`edgenas export`."""

from __future__ import annotations

from pathlib import Path

import click

from edgenas.bars import track
from edgenas.cli.answering import Answering, reply
from edgenas.cli.display import answer, answer_all, conclude, scored
from edgenas.cli.options import PATH, data_option, open_run, run_argument
from edgenas.deployment.predict import RUNTIMES
from edgenas.export import FORMATS, ExportedModel
from edgenas.names import pasted
from edgenas.pipeline.export import export_run
from edgenas.quantisation.calibration import TRAINED
from edgenas.values.kinds import ANSWERS, IMAGE_TYPES
from edgenas.words import counted

PRECISIONS = tuple(dict.fromkeys(precision for form in FORMATS.values() for precision in form.precisions))


@click.command("export", cls=Answering)
@run_argument
@click.option(
    "--format",
    "formats",
    type=click.Choice(list(FORMATS)),
    multiple=True,
    help="May be given several times.  [default: onnx, tflite, and what the search's runtime opens]",
)
@click.option(
    "--architecture", metavar="ID", help="One member of a search's front by its id.  [default: the best of every search]"
)
@click.option(
    "--precision", "precisions", type=click.Choice(PRECISIONS), multiple=True,
    help="May be given several times.  [default: that which each was searched in]",
)  # fmt: skip
@click.option("--per-tensor", is_flag=True, help="In int8: one scale for all channels of a weight; some accelerators want it.")
@click.option("--integer-ends", is_flag=True, help="Let int8 files take and give integers, in place of float32.")
@click.option("--dynamic-batch", is_flag=True, help="Let the ONNX file take any number of images at once.")
@click.option(
    "--input", "image_type", type=click.Choice(IMAGE_TYPES), default="float32", show_default=True,
    help="uint8: let files take pixels, and normalise them themselves.",
)  # fmt: skip
@click.option(
    "--output", "gives", type=click.Choice(ANSWERS), default="logits", show_default=True,
    help="probabilities: let files end in a softmax.",
)  # fmt: skip
@click.option("--bundle", type=PATH, metavar="ZIP", help="Pack one network with all that it takes to use it, verified.")
@click.option(
    "--runtime", "runtimes", type=click.Choice(list(RUNTIMES)), multiple=True,
    help="What the bundle is for; may be given several times.  [default: onnxruntime, litert]",
)  # fmt: skip
@click.option("--web", type=PATH, metavar="FOLDER", help="Make a page of one network, with a camera, for any web server.")
@data_option
def command(
    run: Path | None, formats: tuple[str, ...], architecture: str | None, precisions: tuple[str, ...], per_tensor: bool,
    integer_ends: bool, dynamic_batch: bool, image_type: str, gives: str, bundle: Path | None,
    runtimes: tuple[str, ...], web: Path | None, data: str | None,
) -> None:  # fmt: skip
    """Write the winners of a run's searches as files that a device runs.

    \b
    edgenas export runs/photos --format onnx --format tflite
    edgenas export runs/photos --architecture 1f0c53aa --format onnx --dynamic-batch
    edgenas export runs/photos --precision fp32 --precision int8
    edgenas export runs/photos --input uint8 --output probabilities
    edgenas export runs/photos --architecture 1f0c53aa --bundle cat.zip
    edgenas export runs/photos --architecture 1f0c53aa --bundle cat.zip --runtime ncnn

    Files are in export/<id>/ of the run, with classes, preprocessing and provenance inside. Each is run once before it is
    put in place. int8 is calibrated on training images. A bundle runs without EdgeNAS: unpack it, pip install -r
    requirements.txt, python predict.py photo.jpg.
    """
    opened = open_run(run)
    exported = export_run(
        opened, formats, precisions=precisions, per_tensor=per_tensor, integer_ends=integer_ends,
        architecture=architecture, dynamic_batch=dynamic_batch, image_type=image_type, answer=gives,
        bundle=bundle, runtimes=runtimes, web=web, data=data, track=track,
    )  # fmt: skip
    for model in exported.models:
        names = ", ".join(f"{file.name} ({file.stat().st_size / 1024:.0f} KiB)" for file in model.files)
        answer(f"{model.folder}: {names}; validation {model.validation.label} {validation(model)}{_calibrated(model)}")
    answer_all(exported.judgement)
    reply(exported)
    if web is not None:
        answer(f"Written: {web}, a page that works offline once it was opened. Try it: "
               f"python3 -m http.server -d {pasted(web)} 8000, then http://localhost:8000")  # fmt: skip
    if bundle is not None:
        answer(f"Saved: {bundle}, verified in the runtimes of this machine. Unpack it where it is needed, and there: "
            "pip install -r requirements.txt; python3 predict.py --self-test")  # fmt: skip
        return
    written = sum(len(model.files) for model in exported.models)
    conclude(f"{counted(written, 'file')} of {counted(len(exported.models), 'network')} in {opened.path / 'export'}.",
             "verify", opened.path)  # fmt: skip


def validation(model: ExportedModel) -> str:
    """On validation images; before and after where the subnet is fine-tuned."""
    after = scored(model.validation)
    return after if model.inherited is None else f"{after}, fine-tuned from {scored(model.inherited)}"


def _calibrated(model: ExportedModel) -> str:
    if model.calibration is None:
        return ""
    method, images = model.calibration.method, model.calibration.images
    return "; int8 trained" if method == TRAINED else f"; int8 calibrated ({method}) on {images} images"
