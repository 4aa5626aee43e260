"""A winner is trained for int8, exported and verified, as a user does it: of the run that `test_old_run` tells of."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import edgenas
from edgenas.export import load_exports, load_verifications
from edgenas.quantisation.calibration import TRAINED
from edgenas.run import Run
from edgenas.search import load_records
from edgenas.training import load_finetuned
from tests.cli.conftest import edgenas as edgenas_cli
from tests.pipeline.test_old_run import OLD


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    shutil.copytree(OLD, tmp_path / "runs" / "old", ignore=shutil.ignore_patterns("export"))
    monkeypatch.chdir(tmp_path)
    return edgenas.Run.open(Path("runs/old"))


def said(*arguments: object) -> str:
    result = edgenas_cli(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_trained_for_int8_exported_and_verified(run: Run) -> None:
    (record,) = load_records(run.path / "search")
    winner = record.best.architecture
    output = said("finetune", run.path, "--precision", "int8", "--epochs", 1)
    assert f"{winner.id}: validation accuracy" in output and "in int8 as calibrated" in output
    assert f"{winner.id}: not trained on in float32, which gives more: edgenas finetune runs/old first." in output
    tuned = load_finetuned(run, winner, "int8")
    assert tuned.is_used and tuned.calibration.method == TRAINED
    assert load_finetuned(run, winner) is None

    precisions = ["--precision", "fp32", "--precision", "int8"]
    output = said("export", run.path, *precisions, "--format", "onnx", "--format", "tflite", "--integer-ends")
    assert "int8 trained" in output
    assert "In TFLite Micro" in output and "Operators to register: ADD, CONV_2D" in output
    (model,) = load_exports(run.path / "export")
    assert model.calibration.ranges == tuned.calibration.ranges
    assert json.loads((model.folder / "model.json").read_text())["calibration"]["method"] == TRAINED

    output = said("verify", run.path, "--images", 100, "--runtime", "onnxruntime", "--runtime", "litert")
    assert "peak MiB" in output
    results = load_verifications(model.folder)
    assert len(results) == 4 and all(v.passed for v in results)
    for v in results:
        if v.execution.precision == "int8":
            assert v.parity.agreement >= 0.98
            assert v.simulated_accuracy == pytest.approx(v.accuracy, abs=0.02)
            assert v.accuracy > v.torch_accuracy - 0.1


def test_one_scale_for_a_weight_is_for_int8(run: Run) -> None:
    refused = edgenas_cli("finetune", run.path, "--per-tensor")
    assert refused.exit_code == 2 and "is for int8" in refused.output
