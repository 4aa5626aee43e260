"""`edgenas profile`: ways that exclude each other, devices that are elsewhere, and a bundle there and back."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgenas.cli import main
from edgenas.cli import profile as profile_command
from edgenas.device import Execution, Provenance
from edgenas.errors import EdgeNASError, UsageError
from edgenas.latency import LatencyTable, table_path
from tests.conftest import ORT, make_micro_space


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(profile_command, "get_space", lambda family, preset, classes, **sizes: make_micro_space())
    return tmp_path


def edgenas_profile(*arguments: str) -> str:
    """What the command prints. Raises what it raises."""
    result = CliRunner().invoke(main, ["profile", *arguments, "--space", "micro"], standalone_mode=False)
    if result.exception is not None:
        raise result.exception.__cause__ or result.exception
    return result.output


@pytest.mark.parametrize("ways", [("--on", "local", "--bundle", "a.zip"), ("--bundle", "a.zip", "--from", "r.json")])
def test_ways_exclude_each_other(ways: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        edgenas_profile(*ways)


def test_devices_that_are_elsewhere_are_refused_before_anything_is_timed() -> None:
    with pytest.raises(EdgeNASError, match="pi4 is not this machine"):
        edgenas_profile("--device", "pi4")
    with pytest.raises(EdgeNASError, match=r"mobile-gpu is not this machine: .*`on` browser"):
        edgenas_profile("--device", "mobile-gpu")
    for way in (("--bundle", "a.zip"), ("--on", "ssh://phone"), ("--on", "local")):
        with pytest.raises(UsageError, match="onnxruntime-web-webgpu runs in a browser: add `on` browser"):
            edgenas_profile("--device", "mobile-gpu", *way)
    for way in ((), ("--on", "browser")):
        with pytest.raises(UsageError, match="`provision` is for a device at ssh://"):
            edgenas_profile("--provision", *way)


def test_a_bundle_there_and_back_then_a_check_and_a_transfer(folder: Path) -> None:
    assert "run python3 measure.py there" in edgenas_profile("--bundle", "cpu.zip", "--precision", "int8")
    with zipfile.ZipFile("cpu.zip") as bundle:
        bundle.extractall("there")
    subprocess.run([sys.executable, "measure.py"], cwd=folder / "there", check=True, capture_output=True)
    output = edgenas_profile("--from", "there/result.json")
    path = table_path("cpu", Execution("onnxruntime", precision="int8"))
    assert f"Saved: {path}" in output and "blocks measured" in output
    assert LatencyTable.load(path).execution.precision == "int8"

    # Micro-second entries on a busy machine: whether they hold is for the next test to say.
    result = CliRunner().invoke(main, ["profile", "--check", "--precision", "int8"])
    assert "entries timed again" in result.output

    output = edgenas_profile("--prior", str(path))
    assert "ESTIMATED from the table of cpu" in output
    assert LatencyTable.load(table_path("cpu", ORT)).kind == "estimated"


def test_more_threads_than_cores_are_refused_before_anything_is_timed(folder: Path) -> None:
    result = CliRunner().invoke(main, ["profile", "--threads", "1000", "--space", "micro"])
    assert result.exit_code == 2 and re.search(
        r"1000 threads cannot run at once: .* choose --threads \d+ at most", result.output
    )
    assert not (folder / "devices").exists()


def test_what_disturbed_a_measurement_is_warned_of(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Provenance, "warnings", ("The CPU governor is powersave.",))
    edgenas_profile("--time", "1s")
    assert "The CPU governor is powersave." in caplog.text


def test_it_says_how_fast_it_measures() -> None:
    output = edgenas_profile("--time", "1s")
    pace = re.search(r"(\d+) entries in (\d+) s, .*: (\d+) a minute; (\d+) % of the time in the timer", output)
    entries, seconds, a_minute, share = map(int, pace.groups())
    assert entries == len(make_micro_space().distinct_blocks)
    assert 60 * entries / (seconds + 1) <= a_minute + 1 and 30 < share <= 100
    assert "entries in" not in edgenas_profile(), "nothing was left to measure"


def test_a_table_that_no_longer_holds_fails_the_command(table: LatencyTable) -> None:
    table.save(table_path("cpu", ORT))
    with pytest.raises(EdgeNASError, match="no longer holds"):
        edgenas_profile("--check")
