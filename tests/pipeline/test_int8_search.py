"""Searches in int8, and in whichever precision is better, of the run that `test_old_run` tells of."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgenas
from edgenas import cost
from edgenas.device import Execution, open_session
from edgenas.errors import EdgeNASError, InfeasibleError, UsageError
from edgenas.export import load_exports, load_verifications
from edgenas.latency import LatencyTable, table_path
from edgenas.pipeline.evaluations import run_ledger
from edgenas.pipeline.limits import Limits, whatever_keeps
from edgenas.search import load_records
from edgenas.training import Evaluator
from edgenas.values import plain
from tests.cli.conftest import edgenas as edgenas_cli
from tests.pipeline.test_old_run import OLD

EVALUATIONS = 12


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """The run with no evaluations, and tables by which int8 takes half of the time."""
    folder = tmp_path_factory.mktemp("before")
    shutil.copytree(OLD, folder / "runs" / "old", ignore=shutil.ignore_patterns("search", "export"))
    table = LatencyTable.load(OLD / "table.json")
    table.save(folder / "devices/cpu/onnxruntime-fp32-1t.json")
    scaled(table, 0.5).save(folder / "devices/cpu/onnxruntime-int8-1t.json")
    return folder


@pytest.fixture
def run(before, tmp_path, monkeypatch):
    shutil.copytree(before, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return edgenas.Run.open(Path("runs/old"))


def scaled(table: LatencyTable, factor: float) -> LatencyTable:
    """The same device in int8: so many times the latency."""
    entries = {key: replace(entry, latency_ms=factor * entry.latency_ms) for key, entry in table.entries.items()}
    calibrations = {
        space: replace(found, overhead_ms=factor * found.overhead_ms) for space, found in table.calibrations.items()
    }
    return replace(table, execution=replace(table.execution, precision="int8"), entries=entries, calibrations=calibrations)


def table_of(precision: str = "fp32") -> LatencyTable:
    return LatencyTable.load(table_path("cpu", Execution("onnxruntime", 1, precision)))


def plain_text(record) -> str:
    return json.dumps(plain(record), sort_keys=True)


def slowest_ms(run, precision: str = "fp32", which: str = "largest") -> float:
    table = table_of(precision)
    return float(table.interval(run.space, table.predict_one(run.space, getattr(run.space, which))).high)


def fastest_ms(run, precision: str = "fp32") -> float:
    return slowest_ms(run, precision, "smallest")


def test_what_is_searched_is_what_is_exported_and_verified(run):
    budget = slowest_ms(run, "int8") * 0.9
    found = run.search(budget, precision="int8", evaluations=EVALUATIONS)
    (record,) = found.records
    assert record.execution.precision == "int8" and record.label == f"cpu {budget:g} ms int8"
    assert record.name == f"cpu-int8-{budget:g}ms"
    assert all(c.latency_high_ms <= budget for c in record.front)
    (model,) = run.export("onnx").models
    assert [file.precision for file in model.variants] == ["int8"], "in the precision that was searched in"
    # The file answers as the search believed: it is the same network, calibrated in the same way.
    dataset = run.dataset()
    answers = run_ledger(run, precision="int8").answers(record.best.architecture)
    session = open_session(Execution("onnxruntime"), model.file("onnx", "int8"))
    evaluator = Evaluator(run.supernet(), dataset)
    batches = evaluator.images(dataset.validation, model.architecture.resolution)
    said = [session.run(image[None].numpy()).argmax() for images, _ in batches for image in images]
    assert (np.array(said) == answers.predicted).mean() >= 0.995
    run.verify(images=60)
    (v,) = [v for v in load_verifications(model.folder) if v.execution.runtime == "onnxruntime"]
    assert v.execution.precision == "int8"
    row = next(row for row in run.report().rows if row.runtime == "onnxruntime")
    assert (row.name, row.is_budgeted_runtime) == (record.label, True)
    assert "int8" in (run.path / "report.html").read_text()


def test_what_int8_evaluates_is_known_in_float32_and_nothing_twice(run, monkeypatch):
    run.search(slowest_ms(run), precision="int8", evaluations=EVALUATIONS)
    floats, integers = run_ledger(run), run_ledger(run, precision="int8")
    assert dict(floats.items()).keys() == dict(integers.items()).keys()
    evaluator = Evaluator(run.supernet(), run.dataset())
    architecture = next(iter(dict(floats.items())))
    assert floats[architecture] == evaluator.accuracy(architecture), "as if it had been searched for"
    with monkeypatch.context() as patched:
        patched.setattr(Evaluator, "network", lambda *_: pytest.fail("it is known"))
        run.search(slowest_ms(run), evaluations=0)
        run.search(slowest_ms(run), precision="int8", evaluations=0)
    assert [record.execution.precision for record in load_records(run.path / "search")] == ["fp32", "int8"]


def test_any_takes_for_every_budget_what_is_better_and_keeps_both(run):
    low, high = 1.1 * fastest_ms(run), slowest_ms(run)
    with pytest.raises(UsageError, match="give the device's name"):
        run.search(high, device=table_of(), precision="any")
    found = run.search(low, high, precision="any", evaluations=2 * EVALUATIONS)
    assert [record.asked for record in found.records] == ["any", "any"]
    assert found.outcome.evaluated <= 2 * EVALUATIONS
    assert dict(run_ledger(run).items()).keys() == dict(run_ledger(run, precision="int8").items()).keys()
    for record in found.records:
        other = record.other
        assert {record.execution.precision, other.execution.precision} == {"fp32", "int8"}
        for front in record.fronts:
            assert front.best in front.front
            assert all(c.latency_high_ms <= record.budget_ms for c in front.front)
        # No worse by more than the rule gives up for a faster one.
        assert record.best.expected_accuracy >= other.best.expected_accuracy - 0.005
        if record.best.expected_accuracy < other.best.expected_accuracy:
            assert record.best.latency_ms < other.best.latency_ms
    assert {path.name for path in (run.path / "search").glob("*ms.json")} == {f"cpu-any-{b:g}ms.json" for b in (low, high)}
    kept = load_records(run.path / "search")
    assert {plain_text(record) for record in kept} == {plain_text(record) for record in found.records}
    shown = edgenas_cli("search", run.path, "--latency", f"{high}ms", "--precision", "any", "--evaluations", 0)
    assert shown.exit_code == 0, shown.output
    assert f"Within {high:g} ms on cpu: " in shown.output and ", rather than " in shown.output
    assert "(onnxruntime, int8, 1 thread)" in " ".join(shown.output.split())
    models = run.export("onnx").models
    wanted = {(r.best.architecture.id, r.execution.precision) for r in found.records}
    assert {(m.architecture.id, file.precision) for m in models for file in m.variants} == wanted
    assert run.report(data=None).records == tuple(load_records(run.path / "search"))


def test_where_int8_is_slower_any_takes_float32(run):
    scaled(table_of(), 1.5).save(table_path("cpu", Execution("onnxruntime", 1, "int8")))
    high, lowest = slowest_ms(run), fastest_ms(run)
    (record,) = run.search(high, precision="any", evaluations=EVALUATIONS).records
    if record.execution.precision == "int8":  # chance may have made it so much better
        assert record.best.expected_accuracy > record.other.best.expected_accuracy
    (record,) = run.search(1.02 * lowest, precision="any", evaluations=0).records
    assert record.execution.precision == "fp32" and record.other is None, "int8 cannot keep that"
    with pytest.raises(InfeasibleError, match="onnxruntime, measured") as error:
        run.search(0.5 * lowest, precision="any", evaluations=0)
    assert error.value.closest <= 1.02 * lowest


def test_an_interrupted_search_ends_with_what_it_would_have_found(run, tmp_path, monkeypatch):
    budget, given = slowest_ms(run, "int8") * 0.9, {"precision": "any", "evaluations": 2 * EVALUATIONS, "seed": 1}
    shutil.copytree("runs/old", tmp_path / "whole")
    expected = edgenas.Run.open(tmp_path / "whole").search(budget, **given)
    evaluate, made = Evaluator.evaluate_in, []
    for until in (5, EVALUATIONS + 3):

        def interrupted(self, architecture, *args, _until=until, **kwargs):
            if len(made) == _until:
                raise KeyboardInterrupt
            made.append(architecture)
            return evaluate(self, architecture, *args, **kwargs)

        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(Evaluator, "evaluate_in", interrupted)
            run.search(budget, **given)
    found = run.search(budget, **given)
    for one, other in zip(found.records[0].fronts, expected.records[0].fronts, strict=True):
        assert [c.architecture for c in one.front] == [c.architecture for c in other.front]
        assert one.best.expected_accuracy == pytest.approx(other.best.expected_accuracy)
    assert (found.outcome.evaluated, found.evaluations) == (expected.outcome.evaluated, expected.evaluations)
    assert len(set(made)) == len(made), "nothing is evaluated twice"


def test_without_a_table_in_int8_it_is_said_how_to_make_one(run):
    table_path("cpu", Execution("onnxruntime", 1, "int8")).unlink()
    for precision in ("int8", "any"):
        with pytest.raises(EdgeNASError, match=r"int8.*run `profile\(device=cpu, precision=int8\)` first"):
            run.search(1.0, precision=precision)
    with pytest.raises(EdgeNASError, match=r"run `profile\(device=cpu, runtime=litert, precision=int8\)` first"):
        run.search(1.0, precision="int8", runtime="litert")
    with pytest.raises(UsageError, match="int8 cannot be timed in ncnn"):
        run.search(1.0, precision="int8", runtime="ncnn")
    with pytest.raises(UsageError, match="precision"):
        run.search(1.0, precision="int4")
    assert not (run.path / "search").exists()


def test_what_int8_alone_can_do_is_refused_where_nothing_is_written_in_int8(run):
    run.search(slowest_ms(run), evaluations=EVALUATIONS)
    with pytest.raises(UsageError, match="are for int8"):
        run.export("onnx", per_tensor=True)


def test_budgets_that_one_precision_alone_keeps_are_left_to_it(run):
    space, between = run.space, (fastest_ms(run, "int8") + fastest_ms(run)) / 2
    limits = Limits((between, 10.0), {}, {}, 0.9, None, False)
    tasks = [limits.task(space, "cpu", precision) for precision in ("int8", "fp32")]
    assert [task.budgets_ms for task in whatever_keeps(space, tasks)] == [(between, 10.0), (10.0,)]
    few = [replace(task, budgets_ms=(between,)) for task in tasks]
    assert [task.precision for task in whatever_keeps(space, few)] == ["int8"]


def test_budgets_elsewhere_and_other_limits_are_of_int8_files_too(run):
    in_litert = replace(scaled(table_of(), 0.7), execution=Execution("litert", 1, "int8"))
    in_litert.save(table_path("cpu", in_litert.execution))
    space, macs = run.space, 0.9 * cost.macs(run.space.blocks(run.space.largest))
    budget_ms = 0.9 * float(in_litert.interval(space, in_litert.predict_one(space, space.largest)).high)
    (record,) = run.search(
        slowest_ms(run), precision="int8", elsewhere_ms={"litert": budget_ms}, macs=macs, evaluations=EVALUATIONS
    ).records
    assert record.limits == {"litert": budget_ms, "macs": macs} and record.execution.precision == "int8"
    for candidate in record.front:
        assert in_litert.interval(space, in_litert.predict_one(space, candidate.architecture)).high <= budget_ms
        assert candidate.macs <= macs


def test_a_search_by_another_metric_has_a_record_of_its_own(run):
    budget = slowest_ms(run)
    by_accuracy = run.search(budget, evaluations=EVALUATIONS).records
    by_recall = run.search(budget, evaluations=0, metric="recall:3").records
    assert by_accuracy[0].name == f"cpu-{budget:g}ms" != by_recall[0].name
    records = load_records(run.path / "search")
    assert [record.metric for record in records] == ["accuracy", "recall:3"]
    assert records[1].label == f"cpu {budget:g} ms by recall of 3"
    # What holds two further precisions is damaged, however deeply.
    text = json.loads((run.path / "search" / f"{records[0].name}.json").read_text())
    for _ in range(3):
        text = text | {"other": text}
    deep = run.path / "search" / "deep-1ms.json"
    deep.write_text(json.dumps(text))
    with pytest.raises(EdgeNASError, match="two precisions, not three"):
        load_records(run.path / "search")
    deep.unlink()
    # What an earlier version wrote of the same search is replaced, whatever its file is called.
    older = run.path / "search" / f"cpu-0-{budget:g}ms.json"
    older.write_text(json.dumps(json.loads((run.path / "search" / f"{records[1].name}.json").read_text()) | {"date": "2020"}))
    assert [record.date for record in load_records(run.path / "search")] == [record.date for record in records]


def test_the_tables_precision_is_taken_where_a_table_is_given(run):
    in_int8 = table_of("int8")
    (record,) = run.search(slowest_ms(run), device=in_int8, evaluations=EVALUATIONS).records
    assert record.execution == in_int8.execution
    assert load_exports(run.path / "export") == []
