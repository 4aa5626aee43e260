"""Where a device's table is, and what stands in for one that was never measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgenas.device import Execution, load_device
from edgenas.errors import EdgeNASError
from edgenas.latency import HeldOut, LatencyTable, load_table, table_path, timed_tables
from edgenas.space import SearchSpace, get_space
from tests.conftest import ORT
from tests.device.test_profile import ESTIMATE, GOOD


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with an empty ./devices."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "devices").mkdir()
    return tmp_path / "devices"


def test_without_measurement_or_estimate_it_says_how_to_measure(folder: Path, micro_space: SearchSpace) -> None:
    (folder / "box.toml").write_text(GOOD)
    with pytest.raises(EdgeNASError, match=r"micro on box \(onnxruntime, 1 thread\).*`profile\(device=box\)`"):
        load_table(load_device("box"), micro_space)


def test_a_measured_table_goes_before_the_estimate(folder: Path, table: LatencyTable, micro_space: SearchSpace) -> None:
    (folder / "box.toml").write_text(GOOD + ESTIMATE)
    device = load_device("box")
    assert load_table(device, micro_space).kind == "estimated"
    table.save(table_path("box", ORT))
    assert load_table(device, micro_space) == table
    assert not load_table(device, get_space("mobilenetv3", "tiny", 7)).measured, "a table of other blocks does not count"


def test_a_table_that_failed_its_check_is_refused(folder: Path, table: LatencyTable, micro_space: SearchSpace) -> None:
    """As earlier versions saved it."""
    (folder / "box.toml").write_text(GOOD + ESTIMATE)
    key = micro_space.fingerprint
    table.calibrations[key] = replace(table.calibrations[key], check=HeldOut(tuple(np.linspace(3, 7, 60)), -0.176))
    table.save(table_path("box", ORT))
    with pytest.raises(EdgeNASError, match=r"box \(onnxruntime, 1 thread\) fails its own check .* 500 % .* -0\.18.*`fresh`"):
        load_table(load_device("box"), micro_space)
    assert [some.calibrations for some in timed_tables()] == [{}], "and predicts nothing elsewhere"


def test_an_emulated_table_is_refused_unless_asked_for(folder: Path, table: LatencyTable, micro_space: SearchSpace) -> None:
    (folder / "box.toml").write_text(GOOD + ESTIMATE)
    replace(table, kind="emulated").save(table_path("box", ORT))
    with pytest.raises(EdgeNASError, match=r"timed in an emulator, .* a real box: .*`allow_emulated`"):
        load_table(load_device("box"), micro_space)
    assert load_table(load_device("box"), micro_space, allow_emulated=True).kind == "emulated"


def test_an_estimate_is_a_table_with_a_wide_interval(folder: Path, micro_space: SearchSpace) -> None:
    (folder / "box.toml").write_text(GOOD + ESTIMATE)
    device = load_device("box")
    table = load_table(device, micro_space)
    latency_ms = table.predict_one(micro_space, micro_space.largest)
    assert latency_ms == pytest.approx(sum(map(device.estimate.block, micro_space.blocks(micro_space.largest))))
    assert table.interval(micro_space, latency_ms) == pytest.approx((latency_ms / 2, latency_ms * 2))
    assert table.provenance.source == "nowhere"
    np.testing.assert_array_less(0, table.costs(micro_space))


def test_an_estimate_may_know_int8_too(folder: Path, micro_space: SearchSpace) -> None:
    int8 = '[estimate.int8]\ntimes_fp32 = 0.4\nrelative_interval = 1.5\nmethod = "by pairs."\nsource = "elsewhere."\n'
    (folder / "box.toml").write_text(GOOD + ESTIMATE + int8)
    device = load_device("box")
    in_floats, table = (load_table(device, micro_space, device.execution(precision=name)) for name in ("fp32", "int8"))
    assert table.costs(micro_space) == pytest.approx(0.4 * in_floats.costs(micro_space))
    assert table.interval(micro_space, 1.0) == pytest.approx((0.4, 2.5))
    assert (table.kind, table.execution.precision) == ("estimated", "int8")
    assert (table.provenance.source, table.provenance.method) == (
        "elsewhere. In float32: nowhere",
        "by pairs. In float32: by hand",
    )


@pytest.mark.parametrize(
    "other", [{"threads": 2}, {"runtime": "litert"}, {"runtime": "onnxruntime-web-webgpu"}, {"precision": "int8"}]
)
def test_an_estimate_does_not_stretch_to_what_it_was_not_made_for(folder: Path, micro_space: SearchSpace, other: dict) -> None:
    (folder / "box.toml").write_text(GOOD + ESTIMATE)
    with pytest.raises(EdgeNASError, match="`profile"):
        load_table(load_device("box"), micro_space, load_device("box").execution(**other))


def test_where_tables_are(folder: Path) -> None:
    assert table_path("pi4", Execution("litert", 4)) == Path("devices/pi4/litert-fp32-4t.json")


@pytest.mark.parametrize("use", [lambda space: load_table(load_device("box"), space), lambda space: timed_tables()])
def test_what_a_killed_profile_left_is_swept_by_whatever_uses_the_folder(folder, micro_space, table, use) -> None:
    (folder / "box.toml").write_text(GOOD)
    table.save(table_path("box", ORT))
    left = folder / "box" / f".{table_path('box', ORT).name}.0a1b2c3d"
    left.write_text("{")
    use(micro_space)
    assert not left.exists() and table_path("box", ORT).exists()
