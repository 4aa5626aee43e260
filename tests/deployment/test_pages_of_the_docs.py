"""The pages on deployment: their Python and C++ run, their Kotlin takes what the files have."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from edgenas.deployment import write_bundle
from edgenas.device import get_runtime
from edgenas.export import export
from edgenas.supernet import Supernet
from edgenas.training import Evaluator
from tests.conftest import USER_CACHE

DOCS = Path(__file__).parents[2] / "docs" / "deploy"
PAGES, CPP = sorted(DOCS.glob("*.md")), DOCS / "cpp-onnxruntime.md"
NEEDS = {"onnxruntime": "onnxruntime", "openvino": "openvino"}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def taking_pixels(exported, tmp_path_factory: pytest.TempPathFactory):
    """An export whose files take pixels and give probabilities."""
    run, model, dataset, _ = exported
    folder = tmp_path_factory.mktemp("uint8")
    how = {"image_type": "uint8", "answer": "probabilities"}
    return export(Evaluator(Supernet(run.space), dataset), model.architecture, folder, provenance=run.provenance, **how)


@pytest.fixture(scope="module")
def at_hand(exported, taking_pixels, bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the pages speak of: an unpacked bundle, a run's export, a photo, and files that take pixels."""
    run, model, _, _ = exported
    folder = tmp_path_factory.mktemp("pages")
    zipfile.ZipFile(bundle).extractall(folder)
    shutil.copytree(run.path / "export" / model.architecture.id, folder / "runs/photos/export/1f0c53aa")
    Image.new("RGB", (64, 48), (200, 120, 40)).save(folder / "photo.jpg")
    for file in taking_pixels.files:
        shutil.copy(file, folder)
    return folder


@pytest.mark.parametrize(("page", "number"), [(p, i) for p in PAGES if p != CPP for i in range(len(blocks(p, "python")))],
                         ids=lambda value: getattr(value, "stem", value))  # fmt: skip
def test_its_python_runs(at_hand: Path, exported, page: Path, number: int) -> None:
    code = blocks(page, "python")[number]
    for module, runtime in NEEDS.items():
        if f"import {module}" in code and get_runtime(runtime).python is None:
            pytest.skip(f"{runtime} is not installed")
    python = sys.executable
    if "import mediapipe" in code:
        python = os.environ.get("EDGENAS_MEDIAPIPE_PYTHON", "")
        if not python:
            pytest.skip("$EDGENAS_MEDIAPIPE_PYTHON names no Python with MediaPipe")
    resolution = exported[1].preprocessing.resolution
    code = code.replace("20, 20", f"{resolution}, {resolution}")
    paths = {"PYTHONPATH": str(at_hand / "cat")}  # as in the bundle's folder
    done = subprocess.run([python, "-c", code], cwd=at_hand, env=os.environ | paths, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert any(label in done.stdout for label in exported[1].classes)


def test_its_cpp_says_what_python_says(exported, taking_pixels, tmp_path: Path) -> None:
    """As the page has it, word by word: compiled without a warning, of photos as the page's Python prepares them."""
    headers = USER_CACHE / "onnxruntime-headers"
    library = next(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so.1.*"), None)
    if library is None or shutil.which("g++") is None or not headers.is_dir():
        pytest.skip("g++ or ONNX Runtime's headers are not here: tools/test.sh brings them")
    run, _, dataset, _ = exported
    write_bundle(tmp_path / "cat.zip", run, taking_pixels, dataset)
    zipfile.ZipFile(tmp_path / "cat.zip").extractall(tmp_path)
    (tmp_path / "classify.cpp").write_text(blocks(CPP, "cpp")[0])
    (tmp_path / "onnxruntime/lib").mkdir(parents=True)
    (tmp_path / "onnxruntime/include").symlink_to(headers)
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):
        (tmp_path / "onnxruntime/lib" / name).symlink_to(library)
    _, compile_it, run_it = blocks(CPP, "sh")
    compiled = subprocess.run(compile_it, shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert (compiled.returncode, compiled.stderr) == (0, "")

    session, seen = onnxruntime.InferenceSession(tmp_path / "cat/model.onnx"), set()
    for photo in sorted((run.path.parents[1] / "photos").glob("*/*.jpg"))[::6]:
        shutil.copy(photo, tmp_path / "photo.jpg")
        subprocess.run([sys.executable, "-c", blocks(CPP, "python")[0]], cwd=tmp_path, check=True)
        said = subprocess.run(run_it, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        pixels = np.asarray(Image.open(tmp_path / "photo.ppm")).transpose(2, 0, 1)[np.newaxis]
        (expected,) = session.run(None, {"image": pixels})[0]
        label, probability = said.rsplit(maxsplit=1)
        assert label == taking_pixels.classes[expected.argmax()]
        assert float(probability) == pytest.approx(expected.max(), abs=1e-4)
        seen.add(probability)
    assert len(seen) > 1

    for image, why in ((b"GIF89a", "must be a binary PPM file of"), ((tmp_path / "photo.ppm").read_bytes()[:-1], "too early")):
        (tmp_path / "photo.ppm").write_bytes(image)
        done = subprocess.run(run_it, shell=True, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 1 and why in done.stderr


def test_files_are_as_kotlin_takes_them(at_hand: Path) -> None:
    """Types and layout."""
    interpreter = Interpreter(model_path=str(at_hand / "model.tflite"))
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (taken["dtype"].__name__, taken["shape"][3], given["dtype"].__name__) == ("uint8", 3, "float32")
