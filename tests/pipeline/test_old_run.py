"""A run of an earlier version, commit 1a12b32, opens and goes on.

run_of_1a12b32/ is what that commit left of `train-supernet --data digits` in a space of its own, `search` and `export`, without
pictures and model files; table.json is what `profile` measured for it.
"""

import shutil
from pathlib import Path

import pytest

import edgenas
from edgenas.export import load_exports
from edgenas.latency import LatencyTable
from edgenas.pipeline.evaluations import run_ledger
from edgenas.search import load_records

OLD = Path(__file__).parent / "run_of_1a12b32"


@pytest.fixture
def run(tmp_path, monkeypatch):
    shutil.copytree(OLD, tmp_path / "runs" / "old")
    monkeypatch.chdir(tmp_path)
    return edgenas.Run.open("runs/old")


def test_its_files_are_read(run):
    assert run.space.name == "tiny" and run.space.count() == 240
    assert run.recipe.epochs == 2 and run.metrics()[-1]["epoch"] == 2
    (record,) = load_records(run.path / "search")
    (model,) = load_exports(run.path / "export")
    assert record.best.architecture == model.architecture
    assert (record.device, record.budget_ms, record.validation_images) == ("cpu", 1.0, None)
    assert len(run_ledger(run)) == 12


def test_it_is_searched_exported_verified_and_reported_on(run):
    table = LatencyTable.load(Path("runs/old/table.json"))
    table.save(Path("devices/cpu/onnxruntime-fp32-1t.json"))
    before = dict(run_ledger(run).items())
    slowest_ms = table.predict_one(run.space, run.space.largest)
    found = run.search(2 * slowest_ms, evaluations=10)
    assert len(before) <= found.evaluations <= len(before) + 10
    assert before.items() <= dict(run_ledger(run).items()).items()
    assert len(run.export("onnx").models) == len({record.best.architecture for record in load_records(run.path / "search")})
    verified = run.verify(images=50)
    assert all(v.passed and v.accuracy == v.torch_accuracy for _, rows in verified.results for v in rows)
    report = run.report()
    assert {row.budget_ms for row in report.rows} == {1.0, 2 * slowest_ms}
