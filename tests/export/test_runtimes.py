"""Files in several runtimes: which is right, which is wrong, which cannot compute them, and what becomes of the files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgenas.device import RUNTIMES, Execution, Provenance, Runtime, get_runtime, register_runtime
from edgenas.errors import EdgeNASError, UsageError
from edgenas.export import Budget, export, load_verifications, verify
from edgenas.export.verify import testbeds_here as find_testbeds
from edgenas.pipeline.export import formats_for
from edgenas.training import Evaluator, Recipe, Trainer
from tests.conftest import make_micro_space
from tests.training.conftest import make_dataset

SPACE = make_micro_space()

OPENER = """
import onnxruntime


class Session:
    def __init__(self, model):
        self._session = onnxruntime.InferenceSession(model)

    def run(self, array):
        return self._session.run(None, {"image": array})[0] + ERROR

    def invoke(self):
        pass


def open_session(runtime, model, threads):
    if ERROR == "refuses":
        raise ValueError("this operator is unknown here")
    return Session(model)
"""


@pytest.fixture(scope="module")
def evaluator() -> Evaluator:
    dataset = make_dataset()
    return Evaluator(Trainer(SPACE, dataset, Recipe(epochs=1)).supernet, dataset)


@pytest.fixture
def add_runtime(tmp_path: Path) -> Iterator[Callable[[str, object], None]]:
    """Makes one of ONNX files that is wrong by so much, or `refuses` every file."""
    added = []

    def add(name: str, error: object) -> None:
        opener = tmp_path / f"open_{name}.py"
        opener.write_text(f"ERROR = {error!r}\n{OPENER}")
        register_runtime(Runtime(name, "onnx", ("fp32",), name, module="onnx", package="onnx", opener=opener))
        added.append(name)

    yield add
    for name in added:
        del RUNTIMES[name]


def budget_in(runtime: str) -> Budget:
    return Budget("box", Execution(runtime), 1.0, 0.9, "measured", Provenance(), 0.9, 0.8, 1.0)


def test_a_file_that_is_right_somewhere_stays(evaluator, tmp_path, add_runtime):
    model = export(evaluator, SPACE.smallest, tmp_path / "model", ("onnx",))
    add_runtime("wrong", 0.1)
    results = verify(model, SPACE, evaluator.dataset, runtimes=["onnxruntime", "wrong"], images=4)
    assert {v.execution.runtime: v.passed for v in results} == {"onnxruntime": True, "wrong": False}
    assert (model.folder / "model.onnx").exists()
    verify(model, SPACE, evaluator.dataset, runtimes=["wrong"], images=4)
    assert not (model.folder / "model.onnx").exists() and (model.folder / "model.onnx.rejected").exists()


def test_a_runtime_that_cannot_compute_a_file_is_named_and_the_others_are_kept(evaluator, tmp_path, add_runtime):
    model = export(evaluator, SPACE.smallest, tmp_path / "model", ("onnx",))
    add_runtime("old", "refuses")
    message = r"old [\d.]+ cannot compute .*model\.onnx.* this operator is unknown here.* add `runtime` onnxruntime"
    with pytest.raises(EdgeNASError, match=message):
        verify(model, SPACE, evaluator.dataset, runtimes=["old", "onnxruntime"], images=4)
    (kept,) = load_verifications(model.folder)
    assert kept.execution.runtime == "onnxruntime" and kept.passed
    assert (model.folder / "model.onnx").exists()


def test_a_file_is_tried_in_the_runtime_that_was_searched_for(evaluator, tmp_path, add_runtime):
    add_runtime("old", "refuses")
    with pytest.raises(EdgeNASError, match=r"model\.onnx was not written: old cannot compute it.*unknown here"):
        export(evaluator, SPACE.smallest, tmp_path / "model", ("onnx",), budgets=(budget_in("old"),))
    assert not (tmp_path / "model").exists()


def test_runtimes_that_are_asked_for_must_be_there(evaluator, tmp_path, monkeypatch):
    model = export(evaluator, SPACE.smallest, tmp_path / "model", ("onnx",))
    assert [t.execution.runtime for t in find_testbeds(model.variants, runtimes=["onnxruntime"])] == ["onnxruntime"]
    with pytest.raises(UsageError, match="Did you mean 'onnxruntime'"):
        find_testbeds(model.variants, runtimes=["onnxruntim"])
    with pytest.raises(EdgeNASError, match=r"holds nothing that litert opens.*`format` tflite"):
        find_testbeds(model.variants, runtimes=["litert"])
    monkeypatch.setattr("edgenas.device.runtimes.find_spec", lambda name: None)
    with pytest.raises(EdgeNASError, match="ncnn is not installed: pip install ncnn"):
        find_testbeds(model.variants, runtimes=["ncnn"])
    with pytest.raises(EdgeNASError, match=r"model\.ncnn\.param was not written: no runtime .* pip install ncnn"):
        export(evaluator, SPACE.smallest, tmp_path / "other", ("ncnn",))


def test_a_format_of_two_files(evaluator, tmp_path):
    if get_runtime("ncnn").python is None:
        pytest.skip("ncnn is not installed: pip install ncnn")
    model = export(evaluator, SPACE.smallest, tmp_path / "model", ("ncnn",))
    assert [file.name for file in model.files] == ["model.ncnn.param", "model.ncnn.bin"]
    (result,) = verify(model, SPACE, evaluator.dataset)
    assert (result.execution.runtime, result.file, result.passed) == ("ncnn", "model.ncnn.param", True)
    (model.folder / "model.ncnn.bin").rename(model.folder / "elsewhere")
    assert model.files == []


def test_what_was_searched_for_is_exported():
    assert formats_for([]) == formats_for([budget_in("openvino")]) == ("onnx", "tflite")
    assert formats_for([budget_in("litert"), budget_in("ncnn")]) == ("onnx", "tflite", "ncnn")
    assert formats_for([budget_in("ncnn")], ("fp32", "int8")) == ("onnx", "tflite")


def test_without_a_pause(evaluator, tmp_path):
    model = export(evaluator, SPACE.smallest, tmp_path / "model", ("onnx",))
    (result,) = verify(model, SPACE, evaluator.dataset, runtimes=["onnxruntime"], images=4, sustained_s=0.3)
    assert result.sustained is not None and result.sustained.seconds >= 0.3
    assert load_verifications(model.folder) == [result]
    (result,) = verify(model, SPACE, evaluator.dataset, runtimes=["onnxruntime"], images=4)
    assert result.sustained is None
