"""The pages on deployment: their Python runs, their C++ and Kotlin name what the files have."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import onnx
import pytest
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from edgenas.device import get_runtime
from edgenas.export import export
from edgenas.supernet import Supernet
from edgenas.training import Evaluator

DOCS = Path(__file__).parents[2] / "docs" / "deploy"
PAGES = sorted(DOCS.glob("*.md"))
NEEDS = {"onnxruntime": "onnxruntime", "openvino": "openvino"}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def at_hand(exported, bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the pages speak of: an unpacked bundle, a run's export, a photo, and files that take pixels."""
    run, model, dataset, _ = exported
    folder = tmp_path_factory.mktemp("pages")
    zipfile.ZipFile(bundle).extractall(folder)
    shutil.copytree(run.path / "export" / model.architecture.id, folder / "runs/photos/export/1f0c53aa")
    Image.new("RGB", (64, 48), (200, 120, 40)).save(folder / "photo.jpg")
    mine = export(Evaluator(Supernet(run.space), dataset), model.architecture, folder / "it", image_type="uint8",
                  answer="probabilities")  # fmt: skip
    for file in mine.files:
        shutil.copy(file, folder)
    return folder


@pytest.mark.parametrize(("page", "number"), [(p, i) for p in PAGES for i in range(len(blocks(p, "python")))],
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


def test_files_are_as_the_other_languages_take_them(at_hand: Path) -> None:
    """What they name: inputs, outputs, types, layouts."""
    graph = onnx.load(at_hand / "model.onnx").graph
    cpp = (DOCS / "cpp-onnxruntime.md").read_text(encoding="utf-8")
    assert f'inputs[] = {{"{graph.input[0].name}"}}' in cpp and f'outputs[] = {{"{graph.output[0].name}"}}' in cpp
    assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8 and "CreateTensor<std::uint8_t>" in cpp
    assert [size.dim_value for size in graph.input[0].type.tensor_type.shape.dim][:2] == [1, 3]
    interpreter = Interpreter(model_path=str(at_hand / "model.tflite"))
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (taken["dtype"].__name__, taken["shape"][3], given["dtype"].__name__) == ("uint8", 3, "float32")
