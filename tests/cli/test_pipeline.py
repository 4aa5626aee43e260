"""The five commands on real images, and what they leave behind."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from edgenas.cli.display import percent
from edgenas.device import load_device, python_target
from edgenas.device.runtimes import runtimes_of
from edgenas.export import load_exports, load_verifications
from edgenas.latency import load_table
from edgenas.pipeline.evaluations import run_ledger
from edgenas.pipeline.winners import winners
from edgenas.run import Run
from edgenas.search import load_records
from edgenas.training import Evaluator, load_finetuned
from edgenas.training.finetuned import save_finetuned
from tests.cli.conftest import TRAIN, edgenas
from tests.conftest import ORT

RUN = Path("runs/digits")


def test_searches_keep_their_budget_and_report_true_evaluations(at_work):
    run = Run.open(RUN)
    table = load_table(load_device("cpu"), run.space)
    evaluator = Evaluator(run.supernet(), run.dataset())
    records = load_records(RUN / "search")
    assert len(records) == 2
    for record in records:
        assert record.latency_kind == "measured"
        for candidate in record.front:
            assert candidate.latency_low_ms < candidate.latency_ms < candidate.latency_high_ms <= record.budget_ms
            assert candidate.latency_ms == pytest.approx(table.predict_one(run.space, candidate.architecture))
        assert record.best.validation_accuracy == evaluator.accuracy(record.best.architecture)
        # The best is the fastest of those that cannot be told from the most accurate, and give up next to nothing.
        assert record.best == record.front[-1] or record.front[-1] in record.alike
        assert all(c.latency_ms >= record.best.latency_ms for c in record.alike
                   if c.expected_accuracy >= record.front[-1].expected_accuracy - 1e-9)  # fmt: skip
        given = run_ledger(run).answers(record.best.architecture)
        assert given.accuracy == record.best.validation_accuracy


def test_another_search_reuses_every_evaluation(at_work, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(RUN, copy)
    before = run_ledger(Run.open(copy)).items()
    budget = load_records(copy / "search")[1].budget_ms
    again = edgenas("search", copy, "--device", "cpu", "--evaluations", 10, "--latency", f"{budget}ms")
    assert again.exit_code == 0, again.output
    after = run_ledger(Run.open(copy)).items()
    assert dict(before).items() <= dict(after).items()
    assert len(before) <= len(after) <= len(before) + 10
    assert len(dict(after)) == len(after)


def test_exports_are_what_was_searched_and_pass_in_every_runtime(at_work):
    chosen = {record.best.architecture for record in load_records(RUN / "search")}
    models = load_exports(RUN / "export")
    assert {model.architecture for model in models} >= chosen
    for model in models:
        verified = load_verifications(model.folder)
        runtimes = {name for form in ("onnx", "tflite") for name in (r.name for r, _ in runtimes_of(form))}
        assert {v.execution.runtime for v in verified} == runtimes >= {"onnxruntime", "litert"}
        for v in verified:
            assert v.passed
            assert v.parity.max_difference < 1e-4
            assert v.parity.agreement == 1
            assert v.accuracy == v.torch_accuracy
            assert v.latency_ms > 0
            assert (v.predicted_ms is None) == (v.execution.runtime not in ("onnxruntime", "litert"))  # which were profiled


def test_an_exported_file_is_all_that_one_needs(at_work):
    """Classes, preprocessing and provenance are inside; applied to a raw image they give the network's own answer."""
    run = Run.open(RUN)
    dataset = run.dataset()
    model = load_exports(RUN / "export")[0]
    proto = onnx.load(model.file("onnx"))
    metadata = {prop.key: prop.value for prop in proto.metadata_props}
    assert tuple(json.loads(metadata["classes"])) == dataset.classes
    how = json.loads(metadata["preprocessing"])
    assert how["layout"] == "NCHW"
    assert proto.graph.input[0].type.tensor_type.shape.dim[2].dim_value == how["resolution"]
    images, _ = dataset.test.batch(np.arange(8))
    inputs = (images.float() * how["scale"] - torch.tensor(how["mean"])[:, None, None]) / torch.tensor(how["std"])[
        :, None, None
    ]
    if how["resolution"] != dataset.size:
        inputs = torch.nn.functional.interpolate(inputs, (how["resolution"],) * 2, mode="bilinear", antialias=True)
    outputs = python_target().run(model.file("onnx").read_bytes(), inputs.contiguous().numpy(), ORT)
    with torch.no_grad():
        expected = model.network(run.space)(inputs).numpy()
    np.testing.assert_allclose(outputs, expected, atol=1e-4)


def test_training_is_drawn(at_work):
    assert (RUN / "training.png").read_bytes().startswith(b"\x89PNG")


def test_report_draws_and_tabulates(at_work):
    rows = json.loads((RUN / "report.json").read_text())["winners"]
    assert {row["runtime"] for row in rows} >= {"onnxruntime", "litert"}
    assert (RUN / "front.png").read_bytes().startswith(b"\x89PNG")
    text = (at_work / "report.txt").read_text()
    for row in rows:
        assert row["id"] in text
    with (RUN / "classes.csv").open() as file:
        classes = list(csv.DictReader(file))
    assert len(classes) == 10 * len({(row["id"], row["runtime"]) for row in rows})
    recalls = [float(row["recall"]) for row in classes]
    assert recalls == sorted(recalls)
    assert f"Worst 10 of {10 * len({row['id'] for row in rows})} classes" in text
    with (RUN / "confusion.csv").open() as file:
        confused = list(csv.DictReader(file))
    for row in rows:
        own = [c for c in confused if (c["id"], c["runtime"]) == (row["id"], row["runtime"])]
        right = sum(int(c["images"]) for c in own if c["label"] == c["predicted"])
        assert right / sum(int(c["images"]) for c in own) == pytest.approx(row["exported_accuracy"])


def test_the_latest_run_is_used_and_an_estimate_is_called_one(at_work):
    result = edgenas("search", "--device", "pi4", "--latency", "30ms", "--evaluations", 10)
    assert result.exit_code == 0, result.output
    assert f"Using the latest run: {RUN}" in result.output
    assert "ESTIMATED" in result.output
    assert "estimated" in result.stdout
    assert "edgenas profile --device pi4" in result.output
    record = json.loads((RUN / "search" / "pi4-litert-30ms.json").read_text())
    assert record["latency_kind"] == "estimated"
    (RUN / "search" / "pi4-litert-30ms.json").unlink()


def test_a_winner_that_is_named_keeps_its_budgets(at_work):
    run = Run.open(RUN)
    for architecture, budgets in winners(run).items():
        assert winners(run, architecture.id) == {architecture: budgets}


def test_a_front_member_can_be_exported_with_a_dynamic_batch(at_work, tmp_path):
    shutil.copytree(RUN, tmp_path / "copy")
    member = load_records(RUN / "search")[1].front[0].architecture
    result = edgenas("export", tmp_path / "copy", "--architecture", member.id, "--format", "onnx", "--dynamic-batch")
    assert result.exit_code == 0, result.output
    proto = onnx.load(tmp_path / "copy" / "export" / member.id / "model.onnx")
    assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_a_finetuned_subnet_is_exported_verified_and_reported(at_work, tmp_path):
    run = tmp_path / "copy"
    shutil.copytree(RUN, run, ignore=shutil.ignore_patterns("export"))
    smallest = load_records(RUN / "search")[0].best.architecture
    tuned = edgenas("finetune", run, "--epochs", 2, "--architecture", smallest.id)
    assert tuned.exit_code == 0, tuned.output
    assert f"{smallest.id}: validation accuracy" in tuned.output
    kept = load_finetuned(Run.open(run), smallest)
    assert kept.is_used
    for command in (["export", run, "--format", "onnx"], ["verify", run], ["report", run]):
        result = edgenas(*command)
        assert result.exit_code == 0, result.output
    before, after = percent(kept.inherited.value), percent(kept.score.value)
    assert f"{before} -> {after}" in result.output
    model = next(model for model in load_exports(run / "export") if model.architecture == smallest)
    assert (model.inherited, model.validation) == (kept.inherited, kept.score)
    assert torch.equal(model.network(Run.open(run).space)[0].conv.weight, kept.network[0].conv.weight)
    worse = replace(kept, score=replace(kept.score, value=0.0))
    save_finetuned(Run.open(run), smallest, worse)
    assert "fine-tuned" not in edgenas("export", run, "--format", "onnx").output
    assert (
        edgenas("finetune", run, "--epochs", 2, "--architecture", smallest.id).output.count("inherited weights are kept") == 1
    )


def test_a_run_can_be_moved(at_work, tmp_path, monkeypatch):
    shutil.copytree(RUN, tmp_path / "elsewhere" / "moved")
    monkeypatch.chdir(tmp_path)
    result = edgenas("verify", tmp_path / "elsewhere" / "moved")
    assert result.exit_code == 0, result.output


def test_int8_goes_the_whole_way(at_work, tmp_path):
    run = tmp_path / "copy"
    shutil.copytree(RUN, run)
    exported = edgenas("export", run, "--precision", "fp32", "--precision", "int8")
    assert exported.exit_code == 0 and "model-int8.tflite" in exported.output, exported.output
    verified = edgenas("verify", run)
    assert verified.exit_code == 0 and "simulated" in verified.output, verified.output
    for model in load_exports(run / "export"):
        for v in load_verifications(model.folder):
            if v.execution.precision == "int8" and v.execution.runtime != "tflite-runtime":
                assert v.parity.agreement > 0.99
                assert abs(v.accuracy - v.torch_accuracy) < 0.02
    assert edgenas("report", run).exit_code == 0
    refused = edgenas("export", run, "--per-tensor")
    assert refused.exit_code == 2 and "are for int8" in refused.output


def test_a_file_that_computes_something_else_is_refused(at_work, tmp_path):
    run = tmp_path / "copy"
    shutil.copytree(RUN, run)
    first, second, *_ = load_exports(run / "export")
    wrong = second.file("onnx").read_bytes() if second.preprocessing == first.preprocessing else None
    proto = onnx.load(first.file("onnx"))
    bias = next(t for t in proto.graph.initializer if t.name.endswith("classify.bias"))
    shifted = onnx.numpy_helper.to_array(bias) + np.float32(0.01)
    bias.CopyFrom(onnx.numpy_helper.from_array(shifted, bias.name))
    first.file("onnx").write_bytes(wrong or proto.SerializeToString())
    result = edgenas("verify", run)
    assert result.exit_code == 1
    assert "is now named *.rejected" in result.output
    assert not first.file("onnx").exists()
    assert (first.folder / "model.onnx.rejected").exists()
    assert first.file("tflite").exists()
    assert not (first.folder / "model.tflite.rejected").exists()


def test_a_recipe_is_recorded_and_an_exported_model_teaches(at_work):
    """--teacher takes what edgenas export wrote; what --set and auto decided stands in config.toml."""
    teacher = next(Path("runs/digits/export").glob("*/model.onnx"))
    arguments = ["--data", "digits", *TRAIN, "--precision", "auto", "--epochs", 1, "--batch-size", 256, "--out", "runs/taught"]
    options = ["--teacher", teacher, "--macs", "1M,2M", "--set", "cutmix=1.0", "--set", "dropout=0.2"]
    result = edgenas("train-supernet", *arguments, *options)
    assert result.exit_code == 0, result.output
    recipe = Run.open(Path("runs/taught")).recipe
    assert recipe.precision in ("float32", "bfloat16")
    assert (recipe.teacher, recipe.macs, recipe.cutmix, recipe.dropout) == (str(teacher), (1_000_000, 2_000_000), 1.0, 0.2)
    shutil.rmtree("runs/taught")
