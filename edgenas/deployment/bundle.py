"""A bundle: a .zip with an exported network, its classes, a program that classifies images, a self-test and a model card.

It runs without EdgeNAS and without torch, on any machine that has Python 3.9, numpy, Pillow and one of its runtimes.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from edgenas.data import Dataset, Decoder, prepare
from edgenas.deployment import predict
from edgenas.deployment.card import model_card
from edgenas.device import get_runtime
from edgenas.errors import EdgeNASError, UsageError
from edgenas.export import ExportedModel, ModelFile, Verification
from edgenas.files import now, replacing
from edgenas.run import Run

SELF_TEST_IMAGES = 8
MOST_BYTES = 2**30
"""Of a bundle's content."""
SUMS = "SHA256SUMS"
_ON_ARMV7L = ['tflite-runtime; platform_machine == "armv7l"', 'numpy<2; platform_machine == "armv7l"']
"""32-bit ARM has no wheels of these two, but of tflite-runtime, which needs the older numpy."""
_REQUIREMENTS = {
    "onnxruntime": ['onnxruntime; platform_machine != "armv7l"'],
    "litert": ['ai-edge-litert; platform_machine != "armv7l"', *_ON_ARMV7L],
    "tflite-runtime": ["tflite-runtime", "numpy<2"],
}
"""By runtime; of every other its package."""


def write_bundle(
    path: Path, run: Run, model: ExportedModel, dataset: Dataset, verifications: Sequence[Verification] = (),
    runtimes: Sequence[str] = (),
) -> None:  # fmt: skip
    """Write a model's files and all that belongs to them as a .zip, whose content is in one folder named like it.

    dataset: the run's images: a few of the test images become the self-test. verifications: of these files, for the card.
    runtimes: that it is for, the first by preference; those of `predict.RUNTIMES` that need no file of their own unless told
        otherwise.
    """
    variants = usable(model, runtimes)
    paths = [file for variant in variants for file in variant.paths] + [model.folder / "model.json"]
    files = {file.name: file.read_bytes() for file in paths}
    files |= {
        "labels.txt": ("\n".join(model.classes) + "\n").encode(),
        "predict.py": _source(predict.__file__),
        "prepare.py": _source(prepare.__file__),
        "requirements.txt": requirements(model, runtimes).encode(),
        "selftest.npz": self_test(model, dataset, variants),
        "MODEL_CARD.md": model_card(run, model, verifications).encode(),
    }
    for name in runtimes:
        files |= get_runtime(name).files
    files[SUMS] = sums_of(files)
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(f"{path.stem}/{name}", _date()), data, zipfile.ZIP_DEFLATED)


def sums_of(files: Mapping[str, bytes]) -> bytes:
    """The content of `SUMS` for files by name."""
    return "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items())).encode()


def usable(model: ExportedModel, runtimes: Sequence[str] = ()) -> list[ModelFile]:
    """The model's files that a bundle for these runtimes has. Raises UsageError where there are none for one of them."""
    names = runtimes or [name for name in predict.RUNTIMES if name not in predict.OWN_FILE]
    found = [variant for variant in model.variants if any(predict.takes(name, variant.path) for name in names)]
    if lacking := [name for name in runtimes if not any(predict.takes(name, variant.path) for variant in found)]:
        raise UsageError(f"{model.folder} holds nothing that {lacking[0]} opens: export it again, with `format` "
                         f"{get_runtime(lacking[0]).format}.")  # fmt: skip
    return found


def unpack_bundle(path: Path, folder: Path) -> Path:
    """The files of a bundle, without the folder that they are in, in `folder`, which is made.

    Raises UsageError for what is no bundle, EdgeNASError for one that is too large.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if sum(member.file_size for member in members) > MOST_BYTES:
                raise EdgeNASError(f"{path} holds more than {MOST_BYTES >> 30} GiB: it is no bundle of `export`.")
            for member in members:
                (folder / PurePosixPath(member.filename).name).write_bytes(archive.read(member))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError) as error:
        raise UsageError(f"{path} is no bundle that can be read: {error}.") from None
    if not (folder / "model.json").exists():
        raise UsageError(f"{path} is no bundle: it has no model.json. Make one with `export(bundle={path})`.")
    return folder


def requirements(model: ExportedModel, runtimes: Sequence[str] = ()) -> str:
    """What pip is to install: the runtimes that were chosen, else one for one of the files, whatever the machine."""
    lines = [line for name in runtimes for line in _REQUIREMENTS.get(name, [get_runtime(name).package])]
    if not runtimes:
        formats = {variant.format for variant in usable(model)}
        lines = _REQUIREMENTS["onnxruntime"] if "onnx" in formats else _REQUIREMENTS["litert"]
        lines = [*lines, *(_ON_ARMV7L if "tflite" in formats else [])]
    return "\n".join(dict.fromkeys(["numpy", "pillow>=10.1", *lines])) + "\n"


def self_test(model: ExportedModel, dataset: Dataset, variants: Sequence[ModelFile]) -> bytes:
    """Some test images, spread over the set, with the outputs of every file; and a picture with the pixels that it becomes.

    The picture lies on its side, is partly transparent and no square: it needs every step of the preparation.
    """
    how = model.preprocessing
    test = dataset.test_from_files(Decoder(how.resolution, how.fit, how.value_range))
    chosen = np.linspace(0, len(test) - 1, min(SELF_TEST_IMAGES, len(test))).astype(int)
    images = np.ascontiguousarray(test.batch(chosen)[0].permute(0, 2, 3, 1).numpy())
    picture = _picture(2 * how.resolution)
    with Image.open(io.BytesIO(picture)) as opened:
        pixels = prepare.square(opened, how.resolution, how.fit, how.value_range)
    stored = {"images": images, "picture": np.frombuffer(picture, np.uint8), "picture_pixels": pixels}
    for name in (variant.path.name for variant in variants):
        classifier = predict.Classifier(model.folder, file=name)
        stored[f"outputs {name}"] = np.stack([classifier.outputs(image) for image in images])
    content = io.BytesIO()
    np.savez_compressed(content, **stored)  # type: ignore[arg-type]  # names are not told from its other parameters
    return content.getvalue()


def _picture(size: int) -> bytes:
    """A PNG, which every reader decodes to the same values."""
    across, down = np.meshgrid(np.arange(size), np.arange(size * 3 // 4))
    red, green, blue = across * 255 // size, down * 255 // size, (across // 7 + down // 5) % 2 * 255
    pixels = np.stack([red, green, blue, np.where(across < size // 3, 128, 255)], axis=-1).astype(np.uint8)
    image, exif = Image.fromarray(pixels, "RGBA"), Image.Exif()
    exif[0x0112] = 6  # orientation: turned to the right
    content = io.BytesIO()
    image.save(content, "PNG", exif=exif)
    return content.getvalue()


def _source(path: str | None) -> bytes:
    assert path is not None
    return Path(path).read_bytes()


def _date() -> tuple[int, int, int, int, int, int]:
    """Of the entries of an archive, which knows none before 1980."""
    moment = max(datetime.fromisoformat(now()), datetime(1980, 1, 1, tzinfo=UTC))
    return moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second
