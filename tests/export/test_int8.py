"""Files in int8 and fp16: exported, verified against what they must compute, and refused where they do not."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edgenas import cost
from edgenas.errors import CheckpointError, UsageError
from edgenas.export import ExportedModel, export, for_microcontrollers, load_verifications, verify
from edgenas.export.export import TRAINED_IN_INT8, model_file
from edgenas.export.reference import References
from edgenas.graph import get_format
from edgenas.metric import Score
from edgenas.quantisation import IMAGE
from edgenas.quantisation.calibration import TRAINED
from edgenas.supernet import Supernet
from edgenas.training import Evaluator, FineTuned, Recipe
from tests.conftest import make_micro_space
from tests.training.conftest import make_dataset

SPACE = make_micro_space()


@pytest.fixture(scope="module")
def evaluator() -> Evaluator:
    torch.manual_seed(0)
    return Evaluator(Supernet(SPACE), make_dataset())


@pytest.fixture(scope="module")
def kept(evaluator: Evaluator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / SPACE.largest.id
    export(evaluator, SPACE.largest, folder, precisions=("fp32", "fp16", "int8"))
    return folder


@pytest.fixture
def model(kept: Path, tmp_path: Path) -> ExportedModel:
    return ExportedModel.load(Path(shutil.copytree(kept, tmp_path / kept.name)))


def test_every_precision_passes_in_every_runtime(evaluator: Evaluator, model: ExportedModel) -> None:
    results = verify(model, SPACE, evaluator.dataset)
    assert {(v.file, v.execution.precision) for v in results} == {
        (f"model{suffix}.{kind}", precision)
        for kind in ("onnx", "tflite")
        for suffix, precision in (("", "fp32"), ("-fp16", "fp16"), ("-int8", "int8"))
    }
    for v in results:
        assert v.passed and v.float_agreement is not None
        assert (v.simulated_accuracy is not None) == (v.execution.precision == "int8")
        if v.execution.precision == "int8" and v.execution.runtime != "tflite-runtime":
            assert v.parity is not None and v.parity.agreement > 0.9
    sizes = {v.file: v.file_bytes for v in results}
    assert sizes["model-fp16.tflite"] < 0.8 * sizes["model.tflite"]


def test_model_json_and_the_file_say_how_it_was_calibrated(model: ExportedModel) -> None:
    calibration = ExportedModel.load(model.folder).calibration
    assert calibration is not None and (calibration.images, calibration.per_tensor) == (64, False)
    for kind, integers in (("onnx", "uint8"), ("tflite", "int8")):
        about = json.loads(get_format(kind).metadata(model.file(kind, "int8").read_bytes())["quantisation"])
        assert (about["method"], about["images"], about["input"]["type"]) == (calibration.method, 64, integers)
        assert about["input"]["scale"] == pytest.approx(float(calibration.ranges[IMAGE].scale))
        assert "quantisation" not in get_format(kind).metadata(model.file(kind).read_bytes())


def test_the_same_export_gives_the_same_bytes(evaluator: Evaluator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    first, second = (
        export(evaluator, SPACE.smallest, tmp_path / name / "it", precisions=("int8",)) for name in ("first", "second")
    )
    for path in first.folder.iterdir():
        assert path.read_bytes() == (second.folder / path.name).read_bytes(), path.name


@pytest.mark.parametrize("options", [{"per_tensor": True}, {"integer_ends": True}])
def test_accelerators_have_their_ways(evaluator: Evaluator, tmp_path: Path, options: dict[str, bool]) -> None:
    model = export(evaluator, SPACE.smallest, tmp_path / "it", precisions=("int8",), **options)
    assert all(v.passed for v in verify(model, SPACE, evaluator.dataset))


def broken(model: ExportedModel, kind: str) -> None:
    """The file in int8 with the ReLUs of a block cut off at a third: as a kernel that saturates would have it."""
    network, calibration = model.network(SPACE), model.calibration
    assert calibration is not None
    ranges = {
        name: replace(limits, high=limits.high / 3) if name.startswith("block2") else limits
        for name, limits in calibration.ranges.items()
    }
    wrong = replace(model, calibration=replace(calibration, ranges=ranges))
    model.file(kind, "int8").write_bytes(model_file(wrong, network, kind, "int8"))


def test_a_file_that_computes_something_else_than_its_simulation_is_refused(evaluator: Evaluator, model: ExportedModel) -> None:
    broken(model, "onnx")
    results = verify(model, SPACE, evaluator.dataset)
    assert {v.file for v in results if not v.passed} == {"model-int8.onnx"}
    assert (model.folder / "model-int8.onnx.rejected").exists()
    assert model.file("tflite", "int8").exists() and model.file("onnx").exists()


def test_a_file_that_one_runtime_computes_rightly_stays(
    evaluator: Evaluator, model: ExportedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = __import__("edgenas.export.verify", fromlist=["as_scores"])
    real, calls = module.as_scores, []

    def first_wrong(outputs: np.ndarray, *how: object) -> np.ndarray:
        calls.append(len(calls))
        return real(outputs, *how) * (1 if calls[-1] else 3)

    monkeypatch.setattr(module, "as_scores", first_wrong)
    model.file("onnx").unlink()
    for kind in ("onnx", "tflite"):
        model.file(kind, "fp16").unlink()
    for kind, precision in (("tflite", "fp32"), ("onnx", "int8")):
        model.file(kind, precision).unlink()
    results = verify(model, SPACE, evaluator.dataset)  # in LiteRT, then in tflite-runtime
    if len(results) < 2:
        pytest.skip("tflite-runtime is not installed")
    assert [v.passed for v in results] == [False, True]
    assert model.file("tflite", "int8").exists()


def test_without_its_calibration_a_file_cannot_be_verified(evaluator: Evaluator, model: ExportedModel) -> None:
    with pytest.raises(CheckpointError, match="Export them again"):
        verify(replace(model, calibration=None), SPACE, evaluator.dataset)


def test_a_later_export_in_floats_keeps_what_int8_files_need(evaluator: Evaluator, model: ExportedModel) -> None:
    again = export(evaluator, SPACE.largest, model.folder, ("onnx",))
    assert again.calibration == model.calibration
    (model.folder / "model.json").write_text("{")
    assert export(evaluator, SPACE.largest, model.folder, ("onnx",)).calibration is None


def trained(evaluator: Evaluator, *, per_tensor: bool = False, score: float = 0.5) -> FineTuned:
    """As of weights that have learned: somewhat larger ones, with ranges of their own."""
    network = evaluator.network(SPACE.largest)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter *= 1.05
    calibration = replace(evaluator.calibration(network, per_tensor=per_tensor), method=TRAINED)
    scores = (Score.of_accuracy(value, 100) for value in (0.5, score))
    return FineTuned(network, Recipe(seed=7), True, *scores, calibration=calibration)


def test_int8_files_are_of_what_was_trained_in_int8(
    evaluator: Evaluator, model: ExportedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    learned = trained(evaluator)
    plain, found = (
        export(evaluator, SPACE.largest, tmp_path / name / "it", precisions=("fp32", "int8"), trained_in_int8=one)
        for name, one in (("plain", None), ("learned", learned))
    )
    assert found.calibration == learned.calibration and found.calibration.method == TRAINED
    for kind in ("onnx", "tflite"):
        assert found.file(kind).read_bytes() == plain.file(kind).read_bytes()  # float files stay what they were
        about = get_format(kind).metadata(found.file(kind, "int8").read_bytes())
        assert json.loads(about["quantisation"])["method"] == TRAINED
        assert json.loads(about["provenance"])[TRAINED_IN_INT8]["seed"] == 7
    weight = "0.conv.weight"
    assert torch.equal(found.network(SPACE, "int8").state_dict()[weight], learned.network.state_dict()[weight])
    assert torch.equal(found.network(SPACE).state_dict()[weight], plain.network(SPACE).state_dict()[weight])
    results = verify(found, SPACE, evaluator.dataset, runtimes=["onnxruntime"])
    assert len(results) == 2 and all(v.passed for v in results)
    accuracies = {v.torch_accuracy for v in results}
    assert len(accuracies) == 1  # of the float files' network, which all are compared with

    again = export(evaluator, SPACE.largest, found.folder, ("onnx",))  # in floats alone
    assert (again.calibration, again.provenance[TRAINED_IN_INT8]) == (found.calibration, found.provenance[TRAINED_IN_INT8])
    calibrated = export(evaluator, SPACE.largest, found.folder, ("onnx",), precisions=("int8",))
    assert calibrated.calibration == plain.calibration and TRAINED_IN_INT8 not in calibrated.provenance


@pytest.mark.parametrize("options", [{"per_tensor": True}, {"score": 0.4}])
def test_what_was_trained_otherwise_or_got_worse_is_not_written(
    evaluator: Evaluator, tmp_path: Path, options: dict[str, float]
) -> None:
    learned = trained(evaluator, **options)
    found = export(evaluator, SPACE.largest, tmp_path / "it", ("onnx",), precisions=("int8",), trained_in_int8=learned)
    assert found.calibration == evaluator.calibration(evaluator.network(SPACE.largest))


def test_int8_files_stay_right_when_float_files_get_other_weights(evaluator: Evaluator, model: ExportedModel) -> None:
    other = trained(evaluator)
    export(evaluator, SPACE.largest, model.folder, ("onnx",), finetuned=replace(other, calibration=None))
    model.file("onnx", "fp16").unlink()
    results = verify(ExportedModel.load(model.folder), SPACE, evaluator.dataset, runtimes=["onnxruntime"])
    assert len(results) == 2 and all(v.passed for v in results)


def test_verification_tells_what_memory_a_file_takes(evaluator: Evaluator, model: ExportedModel) -> None:
    results = verify(model, SPACE, evaluator.dataset, runtimes=["onnxruntime"])
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("this system does not tell")
    assert all(1e4 < v.memory_bytes < 1e8 for v in results)
    assert load_verifications(model.folder) == results


def test_microcontrollers_are_told_what_they_need(evaluator: Evaluator, model: ExportedModel, tmp_path: Path) -> None:
    assert for_microcontrollers(model, SPACE) is None
    micro = export(evaluator, SPACE.smallest, tmp_path / "it", ("tflite",), precisions=("int8",), integer_ends=True)
    sentence = for_microcontrollers(micro, SPACE)
    assert f"{cost.arena_bytes(SPACE.blocks(SPACE.smallest)) / 1024:.0f} KiB" in sentence
    assert "CONV_2D, DEPTHWISE_CONV_2D" in sentence and "QUANTIZE" not in sentence


def test_what_a_format_cannot_be_written_in_is_refused_beforehand(evaluator: Evaluator, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written in int4"):
        export(evaluator, SPACE.smallest, tmp_path / "it", precisions=("fp32", "int4"))
    assert not (tmp_path / "it").exists()


def test_int8_may_cost_no_more_than_it_does(model: ExportedModel, evaluator: Evaluator) -> None:
    """The reference of int8 allows kernels what rounding explains, and no more."""
    images = torch.randn(8, 3, SPACE.largest.resolution, SPACE.largest.resolution)
    expected = References(model.network(SPACE), images, model.calibration).of("int8")
    noise = float(np.sqrt(np.mean((expected.scores - expected.floats) ** 2)))
    assert expected.allowed == pytest.approx(max(1.5 * noise, float(expected.quantisation.scores.scale)))
    assert expected.compare(expected.scores).holds
    assert not expected.compare(expected.scores + 3 * expected.allowed).holds
