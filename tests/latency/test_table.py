from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgenas.cost import block_parameters
from edgenas.device import Provenance
from edgenas.errors import EdgeNASError
from edgenas.latency import HeldOut, LatencyTable, spearman
from edgenas.latency.table import DRIFT, FORMAT
from edgenas.space import SearchSpace


def test_a_prediction_is_overhead_plus_the_calibrated_sum(table: LatencyTable, micro_space: SearchSpace) -> None:
    genomes = micro_space.sample(np.random.default_rng(1), 20)
    by_hand = [
        0.3 + sum(1.2 * table.entries[spec.key].latency_ms + 0.5 * block_parameters(spec) / 1e6
                  for spec in micro_space.blocks(micro_space.decode(genome)))
        for genome in genomes
    ]  # fmt: skip
    np.testing.assert_allclose(table.predict(micro_space, genomes), by_hand, rtol=1e-12)
    assert table.predict_one(micro_space, micro_space.decode(genomes[3])) == pytest.approx(by_hand[3], rel=1e-12)


def test_the_interval_is_a_factor_either_way(table: LatencyTable, micro_space: SearchSpace) -> None:
    low, high = table.interval(micro_space, np.array([1.1, 2.2]))
    np.testing.assert_allclose(low, [1.0, 2.0])
    np.testing.assert_allclose(high, [1.21, 2.42])


def test_the_interval_follows_the_confidence(table: LatencyTable, micro_space: SearchSpace) -> None:
    def high(confidence: float) -> float:
        return float(table.interval(micro_space, 1.0, confidence).high)

    assert high(0.0) == 1.0
    assert high(0.9) == pytest.approx(1.1)
    assert high(0.99) == pytest.approx(1 + 0.1 * 2.576 / 1.645, abs=1e-4)
    errors = tuple(np.linspace(0.001, 0.06, 60))
    key = micro_space.fingerprint
    table.calibrations[key] = replace(table.calibrations[key], check=HeldOut(errors, 0.99))
    assert high(0.9) == pytest.approx(1.059 + 1.645 * DRIFT, abs=1e-5)  # the 59th of 60
    assert high(0.5) == pytest.approx(1.037 + 0.674 * DRIFT, abs=1e-5)
    assert high(0.99) > 1.06


@pytest.mark.parametrize(
    ("error", "spearman", "n", "fails"),
    [
        (4.93, -0.176, 60, True),  # eight threads on two cores
        (3.74, -0.105, 60, True),
        (0.02, 0.99, 60, False),
        (0.16, 0.42, 60, False),  # of a perfect table where timings repeat to 20 %
        (0.20, -0.13, 10, False),  # of a transfer there
        (0.20, 0.0, 60, True),
        (0.01, 0.0, 60, False),  # networks that are equally fast
        (0.01, float("nan"), 60, False),
        (2.0, float("nan"), 60, True),
        (0.9, 0.9, 60, True),
        (1.0, 0.9, 3, True),
    ],
)
def test_a_check_tells_tables_from_others(error: float, spearman: float, n: int, fails: bool) -> None:
    assert bool(HeldOut(tuple(np.linspace(0.5 * error, 1.5 * error, n)), spearman).fault) == fails


def test_one_network_that_went_wrong_is_no_reason() -> None:
    assert HeldOut((*[0.01] * 59, 40.0), 0.95).fault == ""


def test_a_file_holds_everything(table: LatencyTable, micro_space: SearchSpace, tmp_path: Path) -> None:
    key = micro_space.fingerprint
    corrections = {next(iter(table.entries)): 0.1}
    table.calibrations[key] = replace(table.calibrations[key], check=HeldOut((0.01, 0.02), 0.9), corrections=corrections)
    table.provenance = Provenance(cpu="some", execution_providers=("one",))
    table.save(tmp_path / "t.json")
    assert LatencyTable.load(tmp_path / "t.json") == table


def test_missing_blocks_name_the_command(table: LatencyTable, micro_space: SearchSpace) -> None:
    del table.entries[micro_space.distinct_blocks[0].key]
    with pytest.raises(EdgeNASError, match=r"lacks 1 of the \d+ blocks of micro: run `profile\(device=box\)`"):
        table.predict(micro_space, micro_space.sample(np.random.default_rng(0), 1))


def test_a_missing_calibration_names_the_command(table: LatencyTable, micro_space: SearchSpace) -> None:
    table.calibrations.clear()
    with pytest.raises(EdgeNASError, match=r"lacks the calibration of micro: run `profile\(device=box\)`"):
        table.costs(micro_space)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: text.replace('"entries"', '"entrees"'),
        lambda text: text.replace("conv-r", "cone-r"),
        lambda text: text.replace('"scale": 1.2', '"scale": "fast"'),
        lambda text: text.replace('"spread_ms"', '"spred_ms"', 1),
        lambda text: text.replace('"kind": "measured"', '"kind": "guessed"'),
        lambda text: text.replace(f'"version": {FORMAT.version}', f'"version": "{FORMAT.version}"'),
    ],
)
def test_a_damaged_file_is_one_sentence(table: LatencyTable, tmp_path: Path, damage) -> None:
    path = tmp_path / "t.json"
    table.save(path)
    whole = path.read_text()
    assert damage(whole) != whole
    path.write_text(damage(whole))
    with pytest.raises(EdgeNASError, match=r"t\.json is no latency table"):
        LatencyTable.load(path)


def test_a_newer_file_asks_for_an_update(table: LatencyTable, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    table.save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": 99, "entries": "of another form"}))
    with pytest.raises(EdgeNASError, match="newer EdgeNAS"):
        LatencyTable.load(path)


def test_an_older_file_asks_to_measure_again(table: LatencyTable, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    table.save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": 1}))
    with pytest.raises(EdgeNASError, match=r"older EdgeNAS.*`fresh`"):
        LatencyTable.load(path)


@settings(deadline=None)  # the first call imports scipy
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=40))
def test_spearman_equals_scipy(pairs: list[tuple[int, int]]) -> None:
    stats = pytest.importorskip("scipy.stats")
    a, b = zip(*pairs, strict=True)
    if len(set(a)) == 1 or len(set(b)) == 1:
        assert np.isnan(spearman(a, b))
    else:
        assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)


def test_spearman_by_hand() -> None:
    # Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: 4.5 / sqrt(4.5 * 5).
    assert spearman([1, 5, 5, 9], [10, 20, 30, 40]) == pytest.approx(0.9**0.5)
    assert spearman([1, 2, 3], [9, 4, 1]) == pytest.approx(-1)
