import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from edgenas.errors import CheckpointError, ParityError, UsageError
from edgenas.export import FORMATS, ExportedModel, export, load_exports, verify
from edgenas.export.reference import as_input
from edgenas.graph import register_format
from edgenas.supernet import Supernet
from edgenas.training import Evaluator
from tests.conftest import make_micro_space
from tests.training.conftest import make_dataset

SPACE = make_micro_space()


@pytest.fixture(scope="module")
def evaluator():
    torch.manual_seed(0)
    return Evaluator(Supernet(SPACE), make_dataset())


@pytest.mark.parametrize("architecture", [SPACE.largest, SPACE.smallest], ids=["largest", "smallest"])
def test_exported_files_pass_verification(evaluator, tmp_path, architecture):
    folder = tmp_path / architecture.id
    model = export(evaluator, architecture, folder)
    assert {file.name for file in model.files} == {"model.onnx", "model.tflite"}
    assert load_exports(tmp_path) == [model]
    results = verify(model, SPACE, evaluator.dataset)
    assert {v.file for v in results} == {"model.onnx", "model.tflite"}
    assert all(v.passed and v.parity.max_difference < 1e-4 and v.parity.agreement == 1 for v in results)
    assert all(v.predicted_ms is None and v.images == len(evaluator.dataset.test) for v in results)


def test_what_is_the_same_for_several_files_is_worked_out_once(evaluator, tmp_path):
    model = export(evaluator, SPACE.smallest, tmp_path / "model", ("onnx", "tflite"), precisions=("fp32", "fp16"))
    steps = []

    def track(items, description, total=None):
        steps.append(description)
        yield from items

    assert len(verify(model, SPACE, evaluator.dataset, images=8, track=track)) >= 4
    assert [steps.count(f"{step}") for step in ("Preparing the test images", "Computing what files must")] == [1, 1]


def test_a_file_that_differs_is_never_put_in_place(evaluator, tmp_path, monkeypatch):
    module = sys.modules[export.__module__]

    real = module.fold

    def wrong(network):
        weights = real(network)
        weights[-1]["classify.bias"] = weights[-1]["classify.bias"] + 0.01
        return weights

    monkeypatch.setattr(module, "fold", wrong)
    with pytest.raises(ParityError, match=r"model\.onnx was not written"):
        export(evaluator, SPACE.smallest, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_unknown_formats_are_refused(evaluator, tmp_path):
    with pytest.raises(UsageError, match="'onnx'"):
        export(evaluator, SPACE.smallest, tmp_path, ("onxx",))


def test_an_export_from_a_newer_version_is_refused(evaluator, tmp_path):
    model = export(evaluator, SPACE.smallest, tmp_path / "model", ("onnx",))
    file = model.folder / "model.json"
    file.write_text(file.read_text().replace('"version": 2', '"version": 3'))
    with pytest.raises(CheckpointError, match="newer EdgeNAS"):
        load_exports(tmp_path)


def test_a_format_of_ones_own_needs_no_line_of_edgenas(monkeypatch):
    form = SimpleNamespace(
        name="own", suffixes=(".bin",), precisions=("fp32",), layout="NHWC", dtype="float16", dynamic_batch=False
    )
    monkeypatch.setattr("edgenas.graph.format.FORMATS", FORMATS.copy())
    register_format(form)
    images = as_input(torch.rand(2, 3, 8, 8), "own")
    assert (images.shape, images.dtype) == ((2, 8, 8, 3), np.float16)
    model = SimpleNamespace(folder=Path("export"))
    assert ExportedModel.file(model, "own") == Path("export/model.bin")
    assert "own" not in FORMATS
