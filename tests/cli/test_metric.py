"""Judged by another metric than accuracy, from the training to the report; and budgets in two runtimes."""

import json
import shutil
from pathlib import Path

import pytest

from edgenas.device import load_device
from edgenas.export import load_exports
from edgenas.latency import load_table
from edgenas.metric import Metric
from edgenas.pipeline.evaluations import run_ledger
from edgenas.run import Run
from edgenas.search import load_records
from edgenas.training import load_finetuned
from tests.cli.conftest import TRAIN, edgenas
from tests.data.images import write_folder

RUN = Path("runs/digits")


@pytest.fixture
def copy(at_work, tmp_path):
    shutil.copytree(RUN, tmp_path / "copy")
    return tmp_path / "copy"


def done(*arguments):
    result = edgenas(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_uneven_classes_are_told_and_a_metric_that_notices(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGENAS_CACHE", str(tmp_path / "cache"))
    write_folder(tmp_path / "parts", {"cat": 120, "dog": 10})
    given = ["train-supernet", "--data", "parts", *TRAIN, "--epochs", 1, "--out"]
    output = done(*given, "runs/plain")
    assert (
        "accuracy would hardly notice if the rare class was never found: --metric balanced does, or --metric recall:dog"
        in output
    )
    assert "validation accuracy: largest subnet" in output
    output = done(*given, "runs/balanced", "--metric", "balanced")
    assert "validation balanced accuracy: largest subnet" in output
    run = Run.open(Path("runs/balanced"))
    assert run.metric == "balanced"
    last = run.metrics()[-1]
    assert last["largest_validation"]["metric"] == "balanced"
    assert last["largest_validation"]["low"] <= last["largest_validation"]["value"] <= last["largest_validation"]["high"]
    for metric, why in (("recall:dgo", "Did you mean 'dog'"), ("balancd", "Did you mean 'balanced'")):
        refused = edgenas(*given, "runs/wrong", "--metric", metric)
        assert refused.exit_code == 2
        assert why in refused.output
        assert not Path("runs/wrong").exists()


def test_another_metric_is_what_is_searched_kept_exported_and_shown(copy):
    run = Run.open(copy)
    known = len(run_ledger(run))
    budget = f"{load_records(copy / 'search')[1].budget_ms:g}ms"
    shutil.rmtree(copy / "export")
    for path in (copy / "search").glob("*ms.json"):
        path.unlink()
    output = done("search", copy, "--latency", budget, "--metric", "balanced", "--evaluations", 0)
    assert "0 new evaluations" in output, "what was searched by accuracy serves this metric, too"
    assert "balanced accuracy" in output
    (record,) = load_records(copy / "search")
    balanced = Metric.named("balanced", run.classes)
    assert len(run_ledger(run, balanced)) == known
    answers = run_ledger(run).answers(record.best.architecture)
    assert record.score == balanced.score(answers.tally)
    assert record.best.validation_accuracy == record.score.value != answers.accuracy
    done("finetune", copy, "--epochs", 1)
    assert load_finetuned(run, record.best.architecture).score.metric == "balanced"
    output = done("export", copy, "--format", "onnx")
    assert "validation balanced accuracy" in output
    (model,) = load_exports(copy / "export")
    assert model.budgets[0].metric == model.validation.metric == "balanced"
    assert json.loads((model.folder / "model.json").read_text())["validation_accuracy"] == model.validation.accuracy
    assert "balanced accuracy" in done("verify", copy)
    assert "Balanced accuracy, with 95 % intervals" in done("report", copy)
    rows = json.loads((copy / "report.json").read_text())["winners"]
    assert rows and all(row["exported"]["metric"] == "balanced" for row in rows)


def test_budgets_in_two_runtimes_hold_together_and_a_broken_one_is_told_once(copy):
    run, profile = Run.open(copy), load_device("cpu")
    in_onnxruntime, in_litert = (
        load_table(profile, run.space, profile.execution(runtime=r)) for r in ("onnxruntime", "litert")
    )

    def high(table, architecture):
        return float(table.interval(run.space, table.predict_one(run.space, architecture)).high)

    litert_ms = 1.05 * min(high(in_litert, a) for a, _ in run_ledger(run).items())
    own_ms = 1.05 * max(high(in_onnxruntime, a) for a, _ in run_ledger(run).items())
    given = ["search", copy, "--latency", f"{own_ms:g}ms", "--latency", f"litert={litert_ms:g}ms", "--evaluations", 5]
    assert f"litert {litert_ms:g} ms" in done(*given)
    record = next(r for r in load_records(copy / "search") if r.limits)
    assert record.limits == {"litert": pytest.approx(litert_ms, rel=1e-4)}
    assert record.budget_in("litert") == record.limits["litert"]
    assert record.budget_in("onnxruntime") == record.budget_ms
    for candidate in record.front:
        assert high(in_litert, candidate.architecture) <= record.limits["litert"]
    (closest,) = [
        line for line in edgenas(*given[:-3], "litert=0.00001ms", *given[-2:]).output.splitlines() if "litert" in line
    ]
    assert "latency on cpu (litert, measured, upper end of the 90 % interval) within 1e-05 ms" in closest
    # A budget that only one of the runtimes can keep.
    for path in (copy / "search").glob("*ms.json"):
        path.unlink()
    faster, slower = sorted(("onnxruntime", "litert"), key=lambda name: high({"onnxruntime": in_onnxruntime,
                            "litert": in_litert}[name], run.space.smallest))  # fmt: skip
    tables = {"onnxruntime": in_onnxruntime, "litert": in_litert}
    between_ms = 1.02 * min(high(tables[faster], a) for a, _ in run_ledger(run).items())
    done("search", copy, "--runtime", faster, "--latency", f"{between_ms:g}ms", "--evaluations", 5)
    (record,) = load_records(copy / "search")
    if tables[slower].predict_one(run.space, record.best.architecture) <= between_ms:
        pytest.skip("both runtimes are as fast on this machine")
    output = done("export", copy)
    assert output.count(f"ms in {slower}, over {between_ms:g} ms: the budget was searched for in {faster}") == 1
    assert f"--latency {slower}={between_ms:g}ms" in output
