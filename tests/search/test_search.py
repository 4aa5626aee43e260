import json
import time
from dataclasses import replace

import numpy as np
import pytest

from edgenas import cost
from edgenas.device import Execution
from edgenas.errors import EdgeNASError, InfeasibleError
from edgenas.search import Ledger, SearchRecord, fastest, load_records, search
from edgenas.search.evidence import expected_accuracy, trusted
from edgenas.search.search import (
    flash_constraint,
    latency_constraint,
    macs_constraint,
    memory_constraint,
    parameters_constraint,
)
from tests.search.test_evidence import answering


def accuracy_of(space):
    def evaluate(architecture, share=1.0):
        macs = cost.macs(space.blocks(architecture))
        return 0.9 - 0.5 * np.exp(-macs / 2e5) + 0.01 * (len(architecture.stages[0]) == 2)

    return evaluate


def test_every_budget_gets_its_best_within_it(micro_space, all_micro_genomes, table, tmp_path):
    evaluate = accuracy_of(micro_space)
    ledger = Ledger(tmp_path / "l", "k", micro_space)
    high = table.interval(micro_space, table.predict(micro_space, all_micro_genomes)).high
    budgets = tuple(np.quantile(high, [0.1, 0.5, 0.9]))
    results = search(micro_space, table, evaluate, ledger, budgets, evaluations=60)
    truth = np.array([evaluate(micro_space.decode(g)) for g in all_micro_genomes])
    for budget, result in zip(budgets, results, strict=True):
        assert result.best.latency_high_ms <= budget
        assert result.best.validation_accuracy > truth[high <= budget].max() - 0.01
        assert result.best == result.front[-1]
        assert result.claim.optimal
        assert result.claim.accuracy == pytest.approx(result.best.validation_accuracy, abs=0.05)
        assert result.outcome.evaluated == len(ledger) <= 60


@pytest.mark.parametrize(("confidence", "factor"), [(0.0, 1.0), (0.9, 1.1), (0.5, 1 + 0.1 * 0.6745 / 1.6449)])
def test_the_budget_holds_for_the_interval_that_is_asked_for(
    micro_space, all_micro_genomes, table, tmp_path, confidence, factor
):
    ledger = Ledger(tmp_path / "l", "k", micro_space)
    fastest = table.predict(micro_space, all_micro_genomes).min()
    found = search(micro_space, table, accuracy_of(micro_space), ledger, (1.0001 * factor * fastest,), confidence=confidence,
                   evaluations=10)[0].best  # fmt: skip
    assert found.latency_ms == pytest.approx(fastest)
    assert found.latency_high_ms == pytest.approx(factor * fastest, rel=1e-3)
    words = f"upper end of the {100 * confidence:g} % interval" if confidence else "as predicted, without an interval"
    with pytest.raises(InfeasibleError, match=words):
        search(micro_space, table, pytest.fail, ledger, (0.999 * factor * fastest,), confidence=confidence)


def test_a_second_search_reuses_the_first(micro_space, table, tmp_path):
    evaluate = accuracy_of(micro_space)
    ledger = Ledger(tmp_path / "l", "k", micro_space)
    search(micro_space, table, evaluate, ledger, (1.3, 1.5), evaluations=60)
    known = len(ledger)
    again = search(micro_space, table, evaluate, ledger, (1.4,), evaluations=60)[0]
    assert again.outcome.evaluated == len(ledger) - known < 15


def test_all_limits_hold_together(micro_space, table, tmp_path):
    entries = dict(zip(table.entries, reversed(table.entries.values()), strict=True))
    other = replace(table, device="other", entries=entries)
    largest = micro_space.blocks(micro_space.largest)
    limits = (
        latency_constraint(micro_space, other, 1.3),
        macs_constraint(micro_space, 0.6 * cost.macs(largest)),
        parameters_constraint(micro_space, 0.8 * cost.parameters(largest)),
        memory_constraint(micro_space, 0.7 * cost.peak_memory_bytes(largest)),
    )
    ledger = Ledger(tmp_path / "l", "k", micro_space)
    results = search(micro_space, table, accuracy_of(micro_space), ledger, (1.35, 1.4), constraints=limits, evaluations=40)
    for result in results:
        assert result.claim.optimal
        assert result.claim.accuracy >= max(found.predicted_accuracy for found in result.front) - 1e-12
    for found in results[1].front:
        assert found.latency_high_ms <= 1.4
        assert other.interval(micro_space, other.predict_one(micro_space, found.architecture)).high <= 1.3
        assert found.macs <= limits[1].limit
        assert found.parameters <= limits[2].limit
        assert found.peak_memory_bytes <= limits[3].limit


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_memory_and_files_are_limited_by_precision(micro_space, all_micro_genomes, precision):
    memory, flash = memory_constraint(micro_space, 1.0, precision), flash_constraint(micro_space, 1.0, precision)
    genomes = all_micro_genomes[::7]
    networks = [micro_space.blocks(micro_space.decode(genome)) for genome in genomes]
    assert list(memory.measure(genomes)) == [cost.peak_memory_bytes(blocks, precision) for blocks in networks]
    assert list(flash.measure(genomes)) == [cost.file_bytes(blocks, precision) for blocks in networks]


def test_in_int8_a_search_keeps_limits_of_int8(micro_space, table, tmp_path):
    in_int8 = replace(table, execution=replace(table.execution, precision="int8"))
    sizes = [cost.file_bytes(micro_space.blocks(end), "int8") for end in (micro_space.smallest, micro_space.largest)]
    limits = (flash_constraint(micro_space, sum(sizes) / 2, "int8"), memory_constraint(micro_space, 1e5, "int8"))
    ledger = Ledger(tmp_path / "l", "k", micro_space)
    (found,) = search(micro_space, in_int8, accuracy_of(micro_space), ledger, (9.0,), constraints=limits, evaluations=30)
    blocks = micro_space.blocks(found.best.architecture)
    assert cost.file_bytes(blocks, "int8") <= limits[0].limit < cost.file_bytes(blocks)
    assert found.best.peak_memory_bytes == cost.peak_memory_bytes(blocks, "int8")
    with pytest.raises(InfeasibleError, match="file size"):
        tight = (flash_constraint(micro_space, sizes[0] - 1, "int8"),)
        search(micro_space, in_int8, pytest.fail, ledger, (9.0,), constraints=tight)


def test_what_another_worker_holds_is_waited_for(micro_space, table, tmp_path, monkeypatch):
    """The fastest subnet, upon which every budget depends, is in the hands of a worker that dies."""
    monkeypatch.setattr("edgenas.search.ledger.LEASE_S", 1.0)
    evaluate, ledger = accuracy_of(micro_space), Ledger(tmp_path / "l", "k", micro_space)
    high = table.interval(micro_space, fastest(micro_space, table)[1]).high
    Ledger(tmp_path / "l", "k", micro_space)._claim(fastest(micro_space, table)[0])
    result = search(micro_space, table, evaluate, ledger, (float(high) * 1.0001,), evaluations=12)[0]
    assert result.best.architecture == fastest(micro_space, table)[0]


def test_too_few_evaluations_are_explained_and_kept(micro_space, table, tmp_path):
    ledger = Ledger(tmp_path / "l", "k", micro_space)
    with pytest.raises(EdgeNASError, match="search again with more `evaluations`"):
        search(micro_space, table, accuracy_of(micro_space), ledger, (1.4,), evaluations=30, seconds=0)
    assert len(search(micro_space, table, accuracy_of(micro_space), ledger, (1.4,), evaluations=12)[0].front) > 0


def test_the_time_for_searching_is_told_from_the_time_for_evaluating(micro_space, table, tmp_path):
    evaluate = accuracy_of(micro_space)

    def slow(architecture):
        end = time.process_time() + 0.02
        while time.process_time() < end:
            pass
        return evaluate(architecture)

    ledger = Ledger(tmp_path / "l", "k", micro_space)
    outcome = search(micro_space, table, slow, ledger, (1.4,), evaluations=15)[0].outcome
    assert 0.02 * outcome.evaluated <= outcome.evaluation_cpu_s < 0.04 * outcome.evaluated
    assert outcome.own_cpu_s > 0


def test_an_impossible_budget_names_the_closest(micro_space, all_micro_genomes, table, tmp_path):
    ledger = Ledger(tmp_path / "l", "k", micro_space)
    with pytest.raises(InfeasibleError, match="latency on box") as error:
        search(micro_space, table, pytest.fail, ledger, (0.01,))
    closest = table.interval(micro_space, table.predict(micro_space, all_micro_genomes)).high.min()
    assert error.value.closest == pytest.approx(closest)


def test_of_two_searches_the_faster_is_better_if_it_is_as_good(micro_space, table, tmp_path):
    """As of two precisions: one answers alike in half of the time, one is much worse."""
    entries = {key: replace(entry, latency_ms=entry.latency_ms / 2) for key, entry in table.entries.items()}
    faster = replace(table, execution=Execution("onnxruntime", 1, "int8"), entries=entries)
    evaluate = answering(micro_space, 400, gain=0.3)

    def worse(architecture, share=1.0):
        answers = evaluate(architecture)
        return replace(answers, predicted=np.where(np.arange(400) % 4, answers.predicted, 1 - answers.labels))

    slow, fast, bad = (
        search(micro_space, where, how, Ledger(tmp_path / name, "k", micro_space), (1.5,), evaluations=30)[0]
        for name, where, how in (("slow", table, evaluate), ("fast", faster, evaluate), ("bad", faster, worse))
    )
    assert fast.best.latency_ms < slow.best.latency_ms
    assert fast.is_better(slow) and not slow.is_better(fast)
    assert slow.is_better(bad) and not bad.is_better(slow)


def test_the_predictor_learns_from_another_ledger_as_well(micro_space, all_micro_genomes, table, tmp_path):
    """Of which all is known: it begins at the front of that."""
    evaluate = accuracy_of(micro_space)
    floats = Ledger(tmp_path / "l", "floats", micro_space)
    for genome in all_micro_genomes[::2]:
        floats.evaluate(micro_space.decode(genome), evaluate)
    high = table.interval(micro_space, table.predict(micro_space, all_micro_genomes)).high
    budget, found = float(np.quantile(high, 0.4)), {}
    for name, beside in (("beside", floats), ("alone", None)):
        ledger = Ledger(tmp_path / "l", name, micro_space)
        (found[name],) = search(
            micro_space, table, lambda a: evaluate(a) - 0.02, ledger, (budget,), beside=beside, evaluations=14, seed=3
        )
        first = table.predict(micro_space, ledger.arrays()[0][:5])
        assert (table.interval(micro_space, first).high <= budget).all() == (name == "beside")
    assert found["beside"].predictor.error < found["alone"].predictor.error
    truth = max(evaluate(micro_space.decode(g)) - 0.02 for g in all_micro_genomes[high <= budget])
    assert found["beside"].best.validation_accuracy == pytest.approx(truth, abs=0.003)
    assert found["beside"].claim.optimal


def test_records_are_named_by_what_was_searched_for(micro_space, table, tmp_path):
    ledger = Ledger(tmp_path / "l", "k", micro_space)
    result = search(micro_space, table, accuracy_of(micro_space), ledger, (1.4,), evaluations=30)[0]
    record = SearchRecord.of(result, table, 1.4)
    integers = replace(record, execution=replace(record.execution, precision="int8"))
    others = [
        record,
        integers,
        replace(integers, asked="any", other=record),
        replace(record, metric="balanced"),
        replace(record, metric="recall:wine glass"),
        replace(record, metric="recall:wine-glass"),
        replace(record, confidence=0.5),
        replace(record, limits={"memory": 1e6}),
        replace(record, budget_ms=2.0),
    ]
    assert [r.name for r in others[:4]] == ["box-1.4ms", "box-int8-1.4ms", "box-any-1.4ms", "box-balanced-1.4ms"]
    for one in others:
        assert "/" not in one.name and " " not in one.name
        one.save(tmp_path / "search")
    found = load_records(tmp_path / "search")
    assert {r.name for r in found} == {r.name for r in others} and len(found) == len(others)
    (either,) = [r for r in found if r.asked == "any"]
    assert [front.execution.precision for front in either.fronts] == ["int8", "fp32"]
    assert (record.label, integers.label) == ("box 1.4 ms", "box 1.4 ms int8")
    assert others[3].label == "box 1.4 ms by balanced accuracy"


def test_a_record_is_read_back(micro_space, table, tmp_path):
    ledger = Ledger(tmp_path / "l", "k", micro_space)
    result = search(micro_space, table, accuracy_of(micro_space), ledger, (1.4,), evaluations=30)[0]
    plain, limited = SearchRecord.of(result, table, 1.4), SearchRecord.of(result, table, 1.4, {"memory": 1e6})
    assert (plain.name, limited.name) == ("box-1.4ms", "box-memory-1000000-1.4ms")
    plain.save(tmp_path / "search")
    limited.save(tmp_path / "search")
    assert set(map(repr, load_records(tmp_path / "search"))) == {repr(plain), repr(limited)}
    assert plain.claim == result.claim
    assert plain.shift == result.shift
    older = tmp_path / "search" / "box-1.4ms.json"
    data = json.loads(older.read_text()) | {"version": 2, "claimed_accuracy": 0.5, "optimal": True}
    del data["claim"], data["shift"]
    older.write_text(json.dumps(data))
    assert SearchRecord.load(older).claim is None
    older.write_text("{")
    with pytest.raises(EdgeNASError, match="damaged"):
        load_records(tmp_path / "search")


def test_equal_accuracies_go_to_the_fastest_and_prove_nothing(micro_space, all_micro_genomes, table, tmp_path):
    """A rare class that is never found: every network calls every image the other one."""
    ledger = Ledger(tmp_path / "l", "k", micro_space)
    (result,) = search(micro_space, table, lambda a: 200 / 205, ledger, (2.0,), images=205, evaluations=20)
    assert result.front == (result.best,)
    assert result.best.latency_ms == pytest.approx(table.predict(micro_space, all_micro_genomes).min())
    assert (result.best.validation_low, result.best.validation_high) == pytest.approx((0.9442, 0.9895), abs=1e-4)
    assert result.claim is None
    record = SearchRecord.of(result, table, 2.0)
    assert not record.ranks
    record.save(tmp_path / "search")
    (again,) = load_records(tmp_path / "search")
    assert (again.validation_images, again.claim, again.best) == (205, None, result.best)


def test_records_of_every_earlier_version_are_read(micro_space, table, tmp_path):
    ledger = Ledger(tmp_path / "l", "k", micro_space)
    result = search(micro_space, table, accuracy_of(micro_space), ledger, (1.4,), images=300, evaluations=30)[0]
    path = SearchRecord.of(result, table, 1.4).save(tmp_path)
    data = json.loads(path.read_text())
    assert data["best"]["validation_low"] < data["best"]["validation_accuracy"] < data["best"]["validation_high"]
    for version, new, new_of_candidates in ((5, ["metric", "tied"], []),
                                            (4, ["validation_images"], ["validation_low", "validation_high"]),
                                            (3, [], ["expected_accuracy"]), (2, ["claim", "shift"], [])):  # fmt: skip
        for candidate in (data["best"], *data["front"]):
            for name in new_of_candidates:
                del candidate[name]
        for name in new:
            del data[name]
        path.write_text(json.dumps(data | {"version": version}))
        record = SearchRecord.load(path)
        assert record.best.validation_accuracy == result.best.validation_accuracy
        assert (record.best.validation_low is None) == (version < 5)
        assert (record.metric, record.alike) == ("accuracy", ())
        assert record.ranks


def test_what_few_images_say_is_believed_as_far_as_it_goes():
    measured, predicted = np.array([0.96, 0.99]), np.array([0.97, 0.98])

    def expected(error, images):
        return expected_accuracy(measured, predicted, trusted(error, np.mean(measured * (1 - measured)) / images))

    exact = expected(error=0.01, images=np.inf)
    np.testing.assert_allclose(exact, measured)
    # Chance alone explains more than the predictor errs: then what was measured says nothing more.
    np.testing.assert_allclose(expected(error=0.002, images=500), predicted)
    between = expected(error=0.01, images=1000)
    assert 0.96 < between[0] < 0.97 and 0.98 < between[1] < 0.99


def test_a_lucky_subnet_is_not_chosen():
    """Noise as large as the differences: of 500 images, whoever was measured best is worse than whoever is predicted best."""
    rng = np.random.default_rng(0)
    truth = 0.9 + 0.001 * np.arange(60)
    gained = []
    for _ in range(50):
        measured = rng.binomial(500, truth) / 500
        predicted = np.polyval(np.polyfit(np.arange(60), measured, 1), np.arange(60))
        trust = trusted(float(np.std(measured - predicted)), np.mean(measured * (1 - measured)) / 500)
        expected = expected_accuracy(measured, predicted, trust)
        gained.append(truth[expected.argmax()] - truth[measured.argmax()])
    assert np.mean(gained) > 0.002
