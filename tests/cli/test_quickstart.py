import json
from pathlib import Path

import pytest

from edgenas.baseline import load_baselines
from edgenas.run import Run
from edgenas.search import load_records
from edgenas.training import load_finetuned
from tests.cli.conftest import edgenas


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory):
    """A folder in which the quickstart was told in no time, and what it said."""
    folder = tmp_path_factory.mktemp("quickstart")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder, edgenas("quickstart", "--out", "runs/quick", "--time", "1s")


def test_quickstart_goes_from_images_to_verified_files(told):
    folder, result = told
    # On a machine that slows down between measuring and verifying, a budget may be broken; the command says so.
    assert result.exit_code == 0 or "budget(s) were not met" in result.output, result.output
    rows = json.loads((folder / "runs" / "quick" / "report.json").read_text())["winners"]
    assert len({row["budget_ms"] for row in rows}) == 3
    assert {row["runtime"] for row in rows} >= {"onnxruntime", "litert"}
    assert all(row["max_difference"] < 1e-4 and row["exported_accuracy"] == row["torch_accuracy"] for row in rows)
    # Wide bounds: how close it is, is for tools/benchmark_latency.py on a quiet machine to say.
    assert all(1 / 3 < row["predicted_ms"] / row["measured_ms"] < 3 for row in rows if row["runtime"] == "onnxruntime")
    for step in range(1, 9):
        assert f"{step}/8" in result.output
    assert (folder / "runs" / "quick" / "front.png").exists()
    page = (folder / "runs" / "quick" / "report.html").read_text(encoding="utf-8")
    assert "edgenas quickstart --out runs/quick --time 1s" in page


def test_quickstart_fine_tunes_the_winners_and_compares_them_with_networks_by_hand(told):
    folder, result = told
    run = Run.open(folder / "runs" / "quick")
    assert all(load_finetuned(run, record.best.architecture) for record in load_records(run.path / "search"))
    assert [baseline.name for baseline in load_baselines(run)] == ["lenet-28", "strided-cnn-28"]
    assert "Beside networks that people pick by hand" in result.output


def test_quickstart_says_that_so_short_a_training_is_not_enough(told):
    _, result = told
    assert "from scratch is few" in result.output
    assert "a longer training" in result.output
    assert "Done" not in result.output


def test_quickstart_goes_on_where_it_stopped(told, monkeypatch):
    folder, _ = told
    monkeypatch.chdir(folder)
    weights = Path("runs/quick/supernet.safetensors")
    finetuned = next(Path("runs/quick/finetune").glob("*.safetensors"))
    before, before_too = weights.stat().st_mtime_ns, finetuned.stat().st_mtime_ns
    result = edgenas("quickstart", "--out", "runs/quick")
    assert "is trained already" in result.output and "lenet-28: there already" in result.output
    assert "0 new evaluations" in result.output
    assert finetuned.stat().st_mtime_ns == before_too
    assert weights.stat().st_mtime_ns == before


def test_quickstart_goes_on_by_the_same_metric_and_refuses_one_that_there_is_not(told, monkeypatch):
    monkeypatch.chdir(told[0])
    refused = edgenas("quickstart", "--out", "runs/quick", "--metric", "balanced")
    assert refused.exit_code == 2 and "judged by accuracy" in refused.output
    refused = edgenas("quickstart", "--out", "runs/other", "--metric", "balancd")
    assert refused.exit_code == 2 and "Did you mean 'balanced'" in refused.output and not Path("runs/other").exists()


def test_quickstart_leaves_other_runs_alone(at_work):
    result = edgenas("quickstart", "--out", "runs/digits")
    assert result.exit_code == 2
    assert "other images" in result.output
    assert (at_work / "runs" / "digits" / "supernet.safetensors").exists()
