from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

from edgenas.device import DeviceProfile, Execution, Provenance, python_target
from edgenas.errors import CheckpointError, EdgeNASError, UsageError
from edgenas.latency import Bench, Calibration, Entry, HeldOut, LatencyTable, profile, transfer
from edgenas.latency.bench import GROUP_MODELS, MOST_RETRIES
from edgenas.latency.calibration import Calibrator, TimedNetworks, check
from edgenas.latency.microbenchmark import REFERENCE, empty_model_bytes, model_bytes
from edgenas.latency.profile import BATCH, MOST_BATCHES, SESSION_NETWORKS, SESSIONS, planned_networks, schedule
from edgenas.latency.tolerance import most_drift, normal_half_width, tolerance, tolerance_over_sessions
from edgenas.space import SearchSpace, get_space
from tests.conftest import ORT

PLANNED = 2 + SESSIONS * SESSION_NETWORKS
"""The networks of a space of one resolution, with its smallest and largest."""

BOX = DeviceProfile("box", "A box.", "native", "onnxruntime", 1)


class FakeTarget:
    """A device whose times follow a law: bytes of the model times `ms_per_byte`, plus `empty_ms`; the machine slows down by
    `drift` with every group. Interrupts the group of number `interrupt_at`."""

    def __init__(self, interrupt_at: int | None = None, drift: float = 1.0, **environment: object):
        self.interrupt_at, self.drift = interrupt_at, drift
        self.measured: list[set[str]] = []
        self.rounds: list[int] = []
        about = {"fingerprint": "f00d", "runtime_version": "1.0", "machine": "x86_64"}
        self._environment = Provenance(**about | environment)

    def environment(self, runtime: str) -> Provenance:
        return self._environment

    def time(self, models: Mapping[str, bytes], execution, *, rounds=8, track=None) -> dict[str, list[float]]:
        if self.interrupt_at == len(self.measured):
            raise KeyboardInterrupt
        slow = self.drift ** len(self.measured)
        self.measured.append({name for name in models if not name.startswith(" ")})
        self.rounds.append(rounds)
        return {name: [slow * (0.003 + len(model) * 1e-5)] * rounds for name, model in models.items()}

    @property
    def blocks(self) -> list[str]:
        return [name for group in self.measured for name in group if "-" in name]


@pytest.fixture(scope="module")
def wide_space() -> SearchSpace:
    """More blocks than fit in a group."""
    space = get_space("mobilenetv3", "tiny", 4, resolutions=(16,))
    assert len(space.distinct_blocks) > GROUP_MODELS
    return space


def test_the_real_timer_on_a_micro_space(micro_space: SearchSpace, tmp_path: Path) -> None:
    path = tmp_path / "micro.json"
    table = profile(micro_space, BOX, python_target(), path, ORT, rounds=4)
    assert table.measured and table.covers(micro_space)
    assert all(entry.latency_ms > 0 and entry.repeats == 4 for entry in table.entries.values())
    assert table.provenance.threads == 1
    checked = table.calibration(micro_space).check
    assert len(checked.errors) == SESSIONS * SESSION_NETWORKS
    assert checked.mean_error < 1  # micro-seconds, and the machine may be busy
    assert 0 < table.calibration(micro_space).relative_interval(0.5) < table.calibration(micro_space).relative_interval(0.9)
    assert LatencyTable.load(path) == table

    later = Bench(python_target(), ORT, reference_ms=table.reference_ms)
    measured = later.network_ms(
        micro_space, np.stack([micro_space.encode(a) for a in (micro_space.smallest, micro_space.largest)])
    )
    predicted = [table.predict_one(micro_space, a) for a in (micro_space.smallest, micro_space.largest)]
    np.testing.assert_allclose(predicted, measured, rtol=0.25)


def test_an_interrupted_run_goes_on_where_it_stopped(wide_space: SearchSpace, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    sessions = [isinstance(part, np.ndarray) for part in schedule(wide_space, wide_space.distinct_blocks)]
    first = FakeTarget(interrupt_at=sessions.index(False) + 1)
    with pytest.raises(KeyboardInterrupt):
        profile(wide_space, BOX, first, path, ORT)
    assert len(first.blocks) == GROUP_MODELS
    assert set(LatencyTable.load(path).entries) == set(first.blocks)

    second = FakeTarget()
    table = profile(wide_space, BOX, second, path, ORT)
    assert not set(first.blocks) & set(second.blocks)
    assert sorted(first.blocks + second.blocks) == sorted(spec.key for spec in wide_space.distinct_blocks)
    assert table == profile(wide_space, BOX, FakeTarget(interrupt_at=0), path, ORT), "nothing is left to do"


def test_networks_are_timed_before_between_and_after_the_blocks(wide_space: SearchSpace, tmp_path: Path) -> None:
    target = FakeTarget()
    table = profile(wide_space, BOX, target, tmp_path / "t.json", ORT)
    order = "".join("n" if any(":" in name for name in group) else "B" for group in target.measured)
    assert order == "nnnBnnBnn"
    assert [len(errors) for errors in table.calibration(wide_space).check.sessions] == [SESSION_NETWORKS] * SESSIONS
    covered = schedule(wide_space, [])
    assert len(covered) == 1 + SESSIONS and all(isinstance(part, np.ndarray) for part in covered)


def test_an_interrupt_during_the_networks_keeps_every_block(micro_space: SearchSpace, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        profile(micro_space, BOX, FakeTarget(interrupt_at=SESSIONS), tmp_path / "t.json", ORT)
    again = FakeTarget()
    assert profile(micro_space, BOX, again, tmp_path / "t.json", ORT).covers(micro_space)
    assert again.blocks == []


def test_a_machine_that_slows_down_does_not_bend_the_table(wide_space: SearchSpace, tmp_path: Path) -> None:
    steady = profile(wide_space, BOX, FakeTarget(), tmp_path / "a.json", ORT)
    drifting = profile(wide_space, BOX, FakeTarget(drift=1.3), tmp_path / "b.json", ORT)
    genomes = wide_space.sample(np.random.default_rng(5), 10)
    np.testing.assert_allclose(drifting.predict(wide_space, genomes), steady.predict(wide_space, genomes), rtol=1e-9)
    assert drifting.reference_ms == pytest.approx(0.003 + len(model_bytes(REFERENCE, "onnxruntime")) * 1e-5)


def test_clock_jumps_and_slow_spells_do_not_move_a_latency() -> None:
    """Seen on a virtual machine: a reading of 2/3 of the truth now and then, and half the speed for seconds."""

    class Moody(FakeTarget):
        def time(self, models, execution, **options):
            times = super().time(models, execution, **options)
            slow = np.where(np.arange(12) < 7, 1.6, 1.0)
            jumps = {"net": [8], " reference": [2]}
            return {name: list(slow * np.where(np.isin(np.arange(12), jumps.get(name, [])), 0.64, 1) * values)
                    for name, values in times.items()}  # fmt: skip

    steady, moody = Bench(FakeTarget(), ORT), Bench(Moody(), ORT)
    models = {"net": bytes(5000), "other": bytes(900)}
    expected, found = steady.measure(models), moody.measure(models)
    assert [found[name].latency_ms for name in models] == pytest.approx([expected[name].latency_ms for name in models])
    assert moody.empty_ms == pytest.approx(steady.empty_ms)


def test_a_later_bench_says_how_much_slower_it_is_now() -> None:
    first, later = FakeTarget(), FakeTarget()
    before = Bench(first, ORT)
    entry = before.measure({"net": bytes(5000)})["net"]
    later.measured, later.drift = [set()], 1.5
    now = Bench(later, ORT, reference_ms=before.reference_ms)
    assert now.measure({"net": bytes(5000)})["net"].latency_ms == pytest.approx(entry.latency_ms)
    assert now.slowdown == pytest.approx(1.5)


@pytest.mark.parametrize(("spell", "groups_timed"), [(range(2, 4), 3 + 2), (range(2, 100), 3 + MOST_RETRIES)])
def test_a_group_timed_in_a_slow_spell_is_timed_again(spell: range, groups_timed: int) -> None:
    """Unlike a common slowdown, a spell distorts: what the reference loses is not what others lose."""

    class Spell(FakeTarget):
        def time(self, models, execution, **options):
            slow = len(self.measured) in spell
            times = super().time(models, execution, **options)
            return {name: [ms * (1.6 if name == " reference" else 1.2) for ms in values] if slow else values
                    for name, values in times.items()}  # fmt: skip

    target, steady, models = Spell(), FakeTarget(), {"net": bytes(5000)}
    bench = Bench(target, ORT)
    entries = [bench.measure(models)["net"] for _ in range(3)]
    assert len(target.measured) == groups_timed
    expected_ms = Bench(steady, ORT).measure(models)["net"].latency_ms
    ended = spell.stop < groups_timed
    assert [entry.latency_ms == pytest.approx(expected_ms) for entry in entries] == [True, True, ended]


def test_an_entry_is_without_the_empty_session(micro_space: SearchSpace, tmp_path: Path) -> None:
    table = profile(micro_space, BOX, FakeTarget(), tmp_path / "t.json", ORT)
    spec = micro_space.distinct_blocks[0]
    extra_bytes = len(model_bytes([spec], "onnxruntime")) - len(empty_model_bytes("onnxruntime"))
    assert table.entries[spec.key].latency_ms == pytest.approx(extra_bytes * 1e-5)


def test_another_space_of_the_same_device_shares_blocks(micro_space: SearchSpace, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    profile(micro_space, BOX, FakeTarget(), path, ORT)
    larger = replace(micro_space, resolutions=(12, 16, 20))
    target = FakeTarget()
    table = profile(larger, BOX, target, path, ORT)
    assert set(target.blocks) == {s.key for s in larger.distinct_blocks} - {s.key for s in micro_space.distinct_blocks}
    assert table.covers(larger) and table.covers(micro_space)


@pytest.mark.parametrize(
    ("environment", "words"),
    [({"fingerprint": "beef"}, "another machine"), ({"runtime_version": "2.0"}, "another version of onnxruntime")],
)
def test_another_machine_is_refused_unless_fresh(micro_space, tmp_path: Path, environment, words) -> None:
    path = tmp_path / "t.json"
    before = profile(micro_space, BOX, FakeTarget(), path, ORT)
    with pytest.raises(EdgeNASError, match=rf"{words} .*`fresh`"):
        profile(micro_space, BOX, FakeTarget(**environment), path, ORT)
    assert LatencyTable.load(path) == before
    fresh = FakeTarget(**environment)
    profile(micro_space, BOX, fresh, path, ORT, fresh=True)
    assert len(fresh.blocks) == len(micro_space.distinct_blocks)


def test_another_kind_of_machine_is_refused(micro_space: SearchSpace, tmp_path: Path) -> None:
    with pytest.raises(EdgeNASError, match="box is aarch64, but what answers is x86_64"):
        profile(micro_space, replace(BOX, arch="aarch64"), FakeTarget(), tmp_path / "t.json", ORT)


@pytest.mark.parametrize("runtime", ["onnxruntime", "litert"])
def test_int8_has_a_table_of_its_own(micro_space: SearchSpace, tmp_path: Path, runtime: str) -> None:
    path = tmp_path / "t.json"
    table = profile(micro_space, BOX, python_target(), path, Execution(runtime, precision="int8"), rounds=2)
    assert table.execution.precision == "int8" and table.covers(micro_space)
    assert table.calibration(micro_space).check.mean_error < 1  # micro-seconds, and the machine may be busy
    with pytest.raises(
        EdgeNASError,
        match=rf"is the table of box \({runtime}, int8, 1 thread\), not of box \(onnxruntime, 1 thread\)",
    ):
        profile(micro_space, BOX, python_target(), path, ORT)


def test_int8_tables_of_older_versions_are_of_other_networks(table: LatencyTable, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    for precision in ("fp32", "int8"):
        replace(table, execution=Execution("onnxruntime", precision=precision)).save(path)
        path.write_text(path.read_text().replace('"version": 4', '"version": 3'))
        if precision == "fp32":
            assert LatencyTable.load(path) == table
        else:
            with pytest.raises(CheckpointError, match="computed h-swish in floats"):
                LatencyTable.load(path)


def test_what_cannot_be_timed_in_int8(micro_space: SearchSpace, tmp_path: Path) -> None:
    for execution, words in ((Execution("onnxruntime-web-webgpu", precision="int8"), "int8 cannot be timed in"),
                           (Execution("onnxruntime", precision="int9"), "Did you mean 'int8'")):  # fmt: skip
        with pytest.raises(UsageError, match=words):
            profile(micro_space, BOX, FakeTarget(), tmp_path / "t.json", execution)


def test_an_emulator_is_refused_and_never_a_measurement(micro_space: SearchSpace, tmp_path: Path) -> None:
    path, emulated = tmp_path / "t.json", FakeTarget(emulated=True)
    with pytest.raises(EdgeNASError, match="`allow_emulated`"):
        profile(micro_space, BOX, emulated, path, ORT)
    assert emulated.measured == [] and not path.exists()
    profile(micro_space, BOX, emulated, path, ORT, allow_emulated=True)
    table = LatencyTable.load(path)
    assert (table.kind, table.measured, table.provenance.emulated) == ("emulated", False, True)
    with pytest.raises(EdgeNASError, match="holds emulated latencies"):
        profile(micro_space, BOX, FakeTarget(), path, ORT)


def test_another_number_of_threads_is_refused(micro_space: SearchSpace, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    profile(micro_space, BOX, FakeTarget(), path, ORT)
    with pytest.raises(EdgeNASError, match=r"table of box \(onnxruntime, 1 thread\), not of box \(onnxruntime, 4 threads\)"):
        profile(micro_space, BOX, FakeTarget(), path, Execution("onnxruntime", 4))


# ---- what cannot be measured, and what was not ----


@pytest.mark.parametrize(
    ("environment", "execution", "words"),
    [
        ({"usable_cores": 2, "affinity": "0-1", "cores": 2}, Execution("onnxruntime", 8),
         r"8 threads cannot run at once: of 2 cores this program has 2 \(0-1\)\. .* choose `threads` 2 at most"),
        ({"usable_cores": 2, "affinity": "0-7", "cores": 8, "cpu_quota": 1.5}, Execution("onnxruntime", 4),
         r"of 8 cores this program has 8 \(0-7\) and a quota of 1\.5 cores' worth of time.* `threads` 2 at most"),
        ({"cores": 8}, Execution("onnxruntime-web-wasm", 16), "16 threads cannot run at once: there are 8 cores"),
        ({"usable_cores": 4, "affinity": "0-3", "cores": 4}, Execution("onnxruntime", 1, cores="4-7"),
         "Cores 4-7 cannot be used there, but 0-3: correct them in its profile"),
    ],
)  # fmt: skip
def test_more_threads_than_can_run_are_refused_before_anything_is_timed(
    micro_space: SearchSpace, tmp_path: Path, environment, execution, words
) -> None:
    target = FakeTarget(**environment)
    for measure in (profile, partial(transfer, some_table(micro_space))):
        with pytest.raises(UsageError, match=words):
            measure(micro_space, BOX, target, tmp_path / "t.json", execution)
    assert target.measured == [] and list(tmp_path.iterdir()) == []


def test_cores_of_a_profile_are_part_of_the_provenance(micro_space: SearchSpace, tmp_path: Path) -> None:
    big = replace(BOX, cores="4-7")
    target = FakeTarget(usable_cores=8, affinity="0-7", cores=8)
    table = profile(micro_space, big, target, tmp_path / "t.json", big.execution())
    assert (table.provenance.affinity, table.provenance.usable_cores) == ("4-7", 4)
    assert LatencyTable.load(tmp_path / "t.json").execution.cores == "4-7"
    with pytest.raises(EdgeNASError, match=r"1 thread on cores 4-7\), not of box \(onnxruntime, 1 thread\)"):
        profile(micro_space, BOX, target, tmp_path / "t.json", BOX.execution())


def test_a_machine_that_grew_hot_is_told_in_the_table(micro_space: SearchSpace, tmp_path: Path) -> None:
    class Hot(FakeTarget):
        def environment(self, runtime: str) -> Provenance:
            return replace(super().environment(runtime), throttle_events=7 + len(self.measured))

    table = profile(micro_space, BOX, Hot(), tmp_path / "t.json", ORT)
    assert table.provenance.throttle_events == len(planned_networks(micro_space)) + 1
    assert any("Heat slowed the processor down" in sentence for sentence in table.provenance.warnings)


class Chance(FakeTarget):
    """What its networks take has nothing to do with their blocks, as with eight threads on two cores."""

    def time(self, models, execution, **options):
        times = super().time(models, execution, **options)
        chance = {name: float(np.random.default_rng(list(name.encode())).lognormal(0, 2.5)) for name in models}
        return {name: [ms * chance[name] for ms in values] if ":" in name else values for name, values in times.items()}


def test_a_table_that_fails_its_check_is_put_aside(micro_space: SearchSpace, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    with pytest.raises(
        EdgeNASError, match=r"fails its own check in micro: 60 networks.*rank correlation is .*put aside"
    ) as caught:
        profile(micro_space, BOX, Chance(load_average=7.9, usable_cores=2), path, ORT)
    assert "its load was 7.9 with 2 core(s)" in str(caught.value) and caught.value.exit_code == 1
    assert not path.exists() and LatencyTable.load(tmp_path / "t.refused").covers(micro_space)

    good = profile(micro_space, BOX, FakeTarget(), path, ORT)
    larger = replace(micro_space, resolutions=(12, 16, 20))
    with pytest.raises(EdgeNASError, match="fails its own check"):
        profile(larger, BOX, Chance(), path, ORT)
    assert LatencyTable.load(path) == good, "what has passed a check stays"


def test_nothing_is_estimated_from_a_table_that_failed(micro_space: SearchSpace, tmp_path: Path) -> None:
    prior = some_table(micro_space)
    key = micro_space.fingerprint
    prior.calibrations[key] = replace(prior.calibrations[key], check=HeldOut(tuple(np.linspace(3, 9, 60)), -0.176))
    with pytest.raises(EdgeNASError, match="fails its own check"):
        transfer(prior, micro_space, BOX, FakeTarget(), tmp_path / "t.json", ORT)


def some_table(space: SearchSpace) -> LatencyTable:
    entries = {spec.key: Entry(1.0, 0.0, 3) for spec in space.distinct_blocks}
    return LatencyTable("box", ORT, entries=entries, calibrations={space.fingerprint: Calibration(0.0, 1.0, 0.0, 5)})


def test_seconds_set_the_rounds(wide_space: SearchSpace, tmp_path: Path) -> None:
    short, long = FakeTarget(), FakeTarget()
    profile(wide_space, BOX, short, tmp_path / "a.json", ORT, seconds=1)
    profile(wide_space, BOX, long, tmp_path / "b.json", ORT, seconds=60)
    assert short.rounds[0] == 2
    assert long.rounds[0] > 20


class Noisy(FakeTarget):
    """Whole networks take up to a tenth more or less than their blocks."""

    noise = 0.1

    def time(self, models, execution, **options):
        times = super().time(models, execution, **options)
        factor = {name: 1 + self.noise * np.sin(len(name) + sum(map(ord, name))) for name in models if ":" in name}
        return {name: [ms * factor.get(name, 1.0) for ms in values] for name, values in times.items()}


def test_drift_of_the_machine_at_hand_widens_the_interval(wide_space: SearchSpace, tmp_path: Path) -> None:
    """From session to session all networks take up to 3 % more or less: more than the reference beside them shows."""

    class Steady(Noisy):
        noise = 0.01

    class Drifting(Steady):
        def time(self, models, execution, **options):
            times, now = super().time(models, execution, **options), 1 + 0.03 * np.sin(2.5 * len(self.measured))
            return {name: [now * ms for ms in values] if ":" in name else values for name, values in times.items()}

    steady = profile(wide_space, BOX, Steady(), tmp_path / "a.json", ORT).calibration(wide_space)
    drifting = profile(wide_space, BOX, Drifting(), tmp_path / "b.json", ORT).calibration(wide_space)
    shifts = 0.03 * np.sin(2.5 * np.arange(1, 40))
    assert most_drift(list(map(np.array, drifting.check.sessions))) > shifts.std()
    assert drifting.relative_interval() > steady.relative_interval() + normal_half_width(0.9) * shifts.std()
    assert drifting.scale == pytest.approx(steady.scale, rel=0.04), "and bends nothing"


def test_time_that_is_left_goes_to_more_networks(wide_space: SearchSpace, tmp_path: Path) -> None:
    hurried, patient = Noisy(), Noisy()
    profile(wide_space, BOX, hurried, tmp_path / "a.json", ORT)
    table = profile(wide_space, BOX, patient, tmp_path / "b.json", ORT, seconds=300)
    calibration = table.calibration(wide_space)
    assert calibration.fitted_on == PLANNED + MOST_BATCHES * BATCH
    assert len(calibration.check.errors) == SESSIONS * SESSION_NETWORKS, "the networks that check are chosen beforehand"
    timed = [name for group in patient.measured for name in group if ":" in name]
    assert len(timed) == calibration.fitted_on
    assert len([name for group in hurried.measured for name in group if ":" in name]) == PLANNED


def test_a_narrow_interval_ends_it_early(wide_space: SearchSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["edgenas.latency.profile"], "NARROW", 0.5)
    table = profile(wide_space, BOX, Noisy(), tmp_path / "b.json", ORT, seconds=300)
    assert table.calibration(wide_space).fitted_on == PLANNED


def test_calibration_finds_the_law_behind_the_measurements(table: LatencyTable, micro_space: SearchSpace) -> None:
    genomes = micro_space.sample(np.random.default_rng(3), 24)
    found = calibrate(table, micro_space, in_sessions(genomes, table.predict(micro_space, genomes)))
    assert found.check.worst_error < 1e-9
    assert (found.overhead_ms, found.scale, found.weights_ms) == pytest.approx((0.3, 1.2, 0.5), rel=1e-6)


def test_weights_never_cost_less_than_nothing(table: LatencyTable, micro_space: SearchSpace) -> None:
    table.calibrations[micro_space.fingerprint] = replace(table.calibration(micro_space), weights_ms=-0.5)
    genomes = micro_space.sample(np.random.default_rng(3), 24)
    assert calibrate(table, micro_space, in_sessions(genomes, table.predict(micro_space, genomes))).weights_ms == 0


def test_each_session_is_predicted_by_a_fit_that_has_not_seen_it(table: LatencyTable, micro_space: SearchSpace) -> None:
    """One session in which everything took 20 % longer: no fit to the others can know."""
    genomes = micro_space.sample(np.random.default_rng(3), 60)
    sessions = in_sessions(genomes, table.predict(micro_space, genomes), n=6)
    slow = replace(sessions[2], measured_ms=1.2 * sessions[2].measured_ms)
    errors = np.array(calibrate(table, micro_space, [*sessions[:2], slow, *sessions[3:]]).check.errors)
    assert np.isclose(errors, 1 - 1 / 1.2).sum() == 10
    assert np.median(errors) < 0.05, "and the others suffer little"


def calibrate(table: LatencyTable, space: SearchSpace, sessions: list[TimedNetworks]) -> Calibration:
    calibrator = Calibrator(table, space)
    calibrator.sessions += sessions
    return calibrator.calibrate()


def in_sessions(genomes: np.ndarray, measured_ms: np.ndarray, n: int = 2) -> list[TimedNetworks]:
    parts = zip(np.split(genomes, n), np.split(measured_ms, n), strict=True)
    return [TimedNetworks(some, ms, drawn=True) for some, ms in parts]


def test_check_by_hand() -> None:
    result = check(np.array([1.1, 2.0, 2.85]), np.array([1.0, 2.0, 3.0]))
    assert result.errors == pytest.approx((0, 0.05, 0.1)) and result.spearman == 1.0
    assert (result.mean_error, result.worst_error) == pytest.approx((0.05, 0.1))


@pytest.mark.parametrize("n", [3, 10, 30, 60, 100])
def test_nine_of_ten_networks_lie_within_the_tolerance_95_times_in_100(n: int) -> None:
    """Of normal errors, so that it holds for few networks too."""
    rng = np.random.default_rng(0)
    bounds = np.array([tolerance(rng.standard_normal(n)) for _ in range(4000)])
    covered = np.array([2 * NormalDist().cdf(bound) - 1 for bound in bounds])
    assert 0.94 < (covered >= 0.9).mean() < 0.992


@pytest.mark.parametrize(("drift", "later", "tables"), [(0.003, 1, 0.99), (0.02, 1, 0.97), (0.01, 2, 0.9)])
def test_networks_of_a_later_session_lie_within(drift: float, later: float, tables: float) -> None:
    """Of six sessions of ten networks: nine of ten networks, in so many of all tables, also where the machine drifts more
    later."""
    rng, holds = np.random.default_rng(0), []
    for _ in range(400):
        shifts = drift * rng.standard_normal(6)
        errors = [0.012 * rng.standard_normal(10) + s - np.delete(shifts, i).mean() for i, s in enumerate(shifts)]
        bound, shift = tolerance_over_sessions(errors), later * drift * rng.standard_normal() - shifts.mean()
        high, low = (NormalDist().cdf((sign * bound - shift) / 0.012) for sign in (1, -1))
        holds.append(high - low >= 0.9)
    assert np.mean(holds) >= tables


def test_tolerance_by_hand() -> None:
    errors = np.arange(60) / 100
    assert tolerance(errors) == pytest.approx(0.58)
    assert tolerance(-errors, 0.0) == 0.0
    assert tolerance(errors, 0.5) < tolerance(errors, 0.8) < tolerance(errors, 0.99)


def test_entries_are_plain_numbers(micro_space: SearchSpace, tmp_path: Path) -> None:
    table = profile(micro_space, BOX, FakeTarget(), tmp_path / "t.json", ORT)
    assert all(type(value) in (int, float) for e in table.entries.values() for value in (e.latency_ms, e.spread_ms, e.repeats))
    assert isinstance(next(iter(table.entries.values())), Entry)
