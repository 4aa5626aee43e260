"""How networks deviate from the sum of their blocks, and what follows: another device's table, and whether one still holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgenas.device import python_target
from edgenas.errors import EdgeNASError
from edgenas.latency import Entry, LatencyTable, check_drift, profile, transfer
from edgenas.latency.calibration import block_counts
from edgenas.latency.deviation import DeviationModel
from edgenas.latency.tolerance import tolerance
from edgenas.latency.transfer import adapt, left_out
from edgenas.space import SearchSpace
from tests.conftest import ORT
from tests.latency.test_profile import BOX, FakeTarget
from tools.benchmark_transfer import by_networks, published_tables

RNG_SEED = 0
KINDS = [[i % 3 for i in range(12)], [i // 6 for i in range(12)]]


def _networks(rng: np.random.Generator, n: int, places: list[list[int]], blocks: int) -> np.ndarray:
    counts = np.zeros((n, blocks))
    for row in counts:
        row[[rng.choice(options) for options in places]] = 1
    return counts


@pytest.fixture
def counts() -> np.ndarray:
    return _networks(np.random.default_rng(RNG_SEED), 60, [list(range(3 * i, 3 * i + 3)) for i in range(4)], 12)


def test_it_finds_which_kind_of_block_is_slower(counts: np.ndarray) -> None:
    costs = np.linspace(1, 2, 12)
    truth = costs * np.where(np.array(KINDS[0]) == 1, 1.4, 0.9)
    model = DeviationModel(costs, KINDS).fit(counts[:10], counts[:10] @ costs, counts[:10] @ truth)
    error = np.abs(counts[10:] @ (costs * (1 + model.corrections)) / (counts[10:] @ truth) - 1)
    before = np.abs(counts[10:] @ costs / (counts[10:] @ truth) - 1)
    assert error.mean() < 0.03 < 3 * 0.03 < before.mean()


def test_costs_that_are_right_are_left_alone(counts: np.ndarray) -> None:
    costs = np.linspace(1, 2, 12)
    noisy = counts @ costs * (1 + 0.01 * np.random.default_rng(1).standard_normal(len(counts)))
    model = DeviationModel(costs, KINDS).fit(counts, counts @ costs, noisy)
    assert np.abs(model.corrections).max() < 0.02
    assert model.noise == pytest.approx(0.01, rel=0.2)


def test_what_is_left_out_has_no_say_in_its_own_prediction(counts: np.ndarray) -> None:
    costs, some = np.linspace(1, 2, 12), counts[:8]
    measured = some @ costs * 3
    spoiled = measured * np.where(np.arange(8) == 5, 1.5, 1.0)
    assert left_out(costs, 0.0, KINDS, some, measured) == pytest.approx(measured)
    assert left_out(costs, 0.0, KINDS, some, spoiled)[5] == pytest.approx(measured[5])


def test_it_asks_for_what_it_has_not_seen() -> None:
    counts = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 2], [1, 1, 0, 0]], dtype=float)
    model = DeviationModel(np.ones(4), []).fit(counts[:2], np.full(2, 2.0), np.full(2, 2.2))
    assert list(model.least_certain(counts, np.full(5, 2.0), 2)) == [3, 2]


def test_block_counts_add_up_as_gather_does(micro_space: SearchSpace, all_micro_genomes: np.ndarray) -> None:
    costs = np.random.default_rng(0).uniform(size=len(micro_space.distinct_blocks))
    expected = micro_space.gather(costs, all_micro_genomes)
    np.testing.assert_allclose(block_counts(micro_space, all_micro_genomes) @ costs, expected)


# ---- another device ----


class OtherDevice(FakeTarget):
    """Times networks as a table says."""

    def __init__(self, table: LatencyTable, space: SearchSpace):
        super().__init__()
        self._by_id = {
            a.id: table.predict_one(space, a) for a in map(space.decode, space.sample(np.random.default_rng(404), 400))
        }

    def time(self, models, execution, **options):
        times = super().time(models, execution, **options)
        return {
            name: [self._by_id[name.split(":")[1]]] * len(values) if ":" in name else values for name, values in times.items()
        }


def test_ten_networks_turn_one_devices_table_into_anothers(
    table: LatencyTable, micro_space: SearchSpace, tmp_path: Path
) -> None:
    key = micro_space.fingerprint
    slow = {spec.key: 3.0 if spec.kernel == 3 else 4.5 for spec in micro_space.distinct_blocks}
    new = replace(
        table,
        entries={k: Entry(slow[k] * e.latency_ms, 0.0, 3) for k, e in table.entries.items()},
        calibrations={key: replace(table.calibrations[key], overhead_ms=0.0, weights_ms=0.0)},
    )
    table.calibrations[key] = replace(table.calibrations[key], overhead_ms=0.0, weights_ms=0.0)
    target = OtherDevice(new, micro_space)
    found = transfer(table, micro_space, BOX, target, tmp_path / "t.json", ORT)
    assert LatencyTable.load(tmp_path / "t.json") == found
    assert found.kind == "estimated" and "from the table of box" in found.provenance.method
    assert found.calibration(micro_space).fitted_on == 10
    genomes = micro_space.sample(np.random.default_rng(1), 60)
    error = np.abs(found.predict(micro_space, genomes) / new.predict(micro_space, genomes) - 1)
    assert error.mean() < 0.05
    measured = profile(micro_space, BOX, FakeTarget(), tmp_path / "t.json", ORT)
    assert measured.measured, "a measurement takes the place of an estimate"


def test_a_prior_must_cover_the_space(table: LatencyTable, micro_space: SearchSpace, tmp_path: Path) -> None:
    larger = replace(micro_space, resolutions=(12, 16, 20))
    with pytest.raises(EdgeNASError, match="lacks"):
        transfer(table, larger, BOX, FakeTarget(), tmp_path / "t.json", ORT)


def test_transfer_between_published_devices(shared: Path) -> None:
    """All pairs of four devices that measured FBNet's blocks: ten runs each with 1 % of noise."""
    tables = published_tables(shared)
    keys, groups = tables.keys, tables.groups
    places = [[i for i, key in enumerate(keys) if key[0] == layer] for layer in sorted({key[0] for key in keys})]
    rng, errors, covered = np.random.default_rng(RNG_SEED), [], []
    for _, prior, truth in tables.pairs:
        known, other = _networks(rng, 10, places, len(keys)), _networks(rng, 100, places, len(keys))
        timed = known @ truth * (1 + 0.01 * rng.standard_normal(10))
        error = np.abs(adapt(prior, 0.0, groups, known, timed).predict(other) / (other @ truth) - 1)
        errors.append(error.mean())
        covered.append((error <= tolerance(left_out(prior, 0.0, groups, known, timed) / timed - 1)).mean())
    assert np.mean(errors) < 0.07 and max(errors) < 0.15
    assert np.mean(covered) > 0.95 and (np.array(covered) >= 0.9).mean() > 0.8


def test_more_networks_never_make_a_transfer_worse(shared: Path) -> None:
    """Whatever the noise of a timing: phones repeat to 5 to 15 %."""
    tables = published_tables(shared)
    for noise in (0.01, 0.1, 0.2):
        found = by_networks(tables, noise, runs=(5, 20, 50), draws=2)
        steps = found[:, :, 1:] - found[:, :, :-1]
        mean, own = steps.mean(axis=(0, 1)), steps.mean(axis=1).std(axis=0, ddof=1) / len(steps) ** 0.5
        assert (mean[:, 0] <= 2 * own[:, 0]).all(), f"errors rise at {noise}"
        assert (mean[:, 1] >= -2 * own[:, 1]).all(), f"rank correlations fall at {noise}"
    # Of the last noise; it was 17 % and 0.65 where the noise was thought to be 4 % at most.
    assert found[:, :, -1, 0].mean() < 0.09 and found[:, :, -1, 1].mean() > 0.88


def test_repeats_tell_noise_from_structure(counts: np.ndarray) -> None:
    """Networks that differ by a fifth from each other, and not from themselves, differ by structure; else by noise."""
    costs, rng = np.linspace(1, 2, 12), np.random.default_rng(2)
    twice = np.concatenate([counts[:12], counts[:12]])
    expected = twice @ costs
    structure = twice @ (costs * (1 + 0.4 * rng.standard_normal(12)))
    noise = expected * (1 + 0.2 * rng.standard_normal(24))
    assert DeviationModel(costs, KINDS).fit(twice, expected, structure).noise < 0.03
    assert DeviationModel(costs, KINDS).fit(twice, expected, noise).noise == pytest.approx(0.2, rel=0.25)


# ---- drift ----


def test_a_table_just_measured_holds(micro_space: SearchSpace, tmp_path: Path) -> None:
    table = profile(micro_space, BOX, FakeTarget(), tmp_path / "t.json", ORT)
    drift = check_drift(table, FakeTarget())
    assert drift.holds and drift.changes == ()
    assert (drift.speed, drift.median_change, drift.worst_change) == pytest.approx((1, 0, 0), abs=1e-9)


def test_a_slower_machine_and_a_new_runtime_are_told(micro_space: SearchSpace, tmp_path: Path) -> None:
    table = profile(micro_space, BOX, FakeTarget(), tmp_path / "t.json", ORT)
    later = FakeTarget(drift=1.3, runtime_version="2.0")
    later.measured.append(set())
    drift = check_drift(table, later)
    assert not drift.holds
    assert drift.speed == pytest.approx(1.3) and drift.median_change == pytest.approx(0, abs=1e-9)
    assert drift.changes == ("runtime version: 1.0, now 2.0",)


def test_entries_that_moved_are_told(micro_space: SearchSpace, tmp_path: Path) -> None:
    table = profile(micro_space, BOX, FakeTarget(), tmp_path / "t.json", ORT)
    table.entries = {key: replace(entry, latency_ms=entry.latency_ms / 1.5) for key, entry in table.entries.items()}
    drift = check_drift(table, FakeTarget())
    assert not drift.holds and drift.median_change == pytest.approx(0.5)


def test_the_real_timer_checks_its_own_table(micro_space: SearchSpace, tmp_path: Path) -> None:
    table = profile(micro_space, BOX, python_target(), tmp_path / "t.json", ORT, rounds=4)
    drift = check_drift(table, python_target())
    assert drift.entries > 1 and drift.changes == ()
    # Wide bounds: how steady a machine is, is not for a test to say.
    assert 1 / 3 < 1 + drift.median_change < 3


def test_an_estimate_cannot_drift(table: LatencyTable) -> None:
    with pytest.raises(EdgeNASError, match="measure it first"):
        check_drift(replace(table, reference_ms=None), FakeTarget())
