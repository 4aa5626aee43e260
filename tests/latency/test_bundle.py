"""A bundle goes to a device as a zip file and comes back as one JSON file."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgenas.device import BundleTarget, DeviceProfile, Execution, device_measure
from edgenas.errors import EdgeNASError
from edgenas.latency import LatencyTable, profile, write_bundle
from edgenas.space import SearchSpace
from tests.conftest import ORT, make_micro_space

BOX = DeviceProfile("box", "A box.", "native", "onnxruntime", 1, "remote")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bundle after measure.py was interrupted once and run again."""
    folder = tmp_path_factory.mktemp("bundle")
    write_bundle(folder / "box.zip", make_micro_space(), "box", ORT, rounds=2)
    with zipfile.ZipFile(folder / "box.zip") as bundle:
        bundle.extractall(folder / "device")
    device = folder / "device"
    plan = json.loads((device / "plan.json").read_text())
    hidden = device / plan["jobs"][-1]
    shutil.move(hidden, folder / "hidden")
    interrupted = _measure(device)
    assert interrupted.returncode != 0 and f"part 1 of {len(plan['jobs'])}" in interrupted.stdout
    shutil.move(folder / "hidden", hidden)
    finished = _measure(device)
    assert finished.returncode == 0, finished.stderr
    assert "part 1 of" not in finished.stdout and f"part {len(plan['jobs'])} of" in finished.stdout
    return device


def _measure(device: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "measure.py"], cwd=device, capture_output=True, text=True, env={"HOME": str(device)})


@pytest.fixture
def edited(measured: Path, tmp_path: Path) -> Callable[..., Path]:
    """The result with a change."""

    def edit(change: Callable[[dict], object]) -> Path:
        data = json.loads((measured / "result.json").read_text())
        change(data)
        (tmp_path / "edited.json").write_text(json.dumps(data))
        return tmp_path / "edited.json"

    return edit


def test_a_bundle_becomes_a_table(measured: Path, micro_space: SearchSpace, tmp_path: Path) -> None:
    target = BundleTarget.load(measured / "result.json", micro_space, "box")
    table = profile(micro_space, BOX, target, tmp_path / "t.json", ORT, rounds=2, fresh=True)
    assert table.covers(micro_space) and table.measured
    assert LatencyTable.load(tmp_path / "t.json") == table
    genomes = np.stack([micro_space.encode(a) for a in (micro_space.smallest, micro_space.largest)])
    small, large = table.predict(micro_space, genomes)
    assert 0 < small < large


def test_it_leaves_nothing_else_on_the_device(measured: Path) -> None:
    allowed = {"measure.py", "device_timer.py", "plan.json", "result.json", "__pycache__"}
    jobs = set(json.loads((measured / "plan.json").read_text())["jobs"])
    assert {path.name for path in measured.iterdir()} == allowed | jobs


def test_another_space_is_refused(measured: Path, micro_space: SearchSpace) -> None:
    with pytest.raises(EdgeNASError, match=r"measures another space \(micro\)"):
        BundleTarget.load(measured / "result.json", replace(micro_space, resolutions=(12,)), "box")


def test_another_device_is_refused(measured: Path, micro_space: SearchSpace) -> None:
    with pytest.raises(EdgeNASError, match="measured for box, not crate: add `device` box"):
        BundleTarget.load(measured / "result.json", micro_space, "crate")


def test_an_incomplete_result_is_refused(edited, micro_space: SearchSpace) -> None:
    path = edited(lambda data: data["times_ms"].pop(data["jobs"][0]))
    with pytest.raises(EdgeNASError, match=r"incomplete, \d+ of \d+ parts: run measure.py"):
        BundleTarget.load(path, micro_space, "box")


def test_a_result_of_another_plan_is_refused(edited, micro_space: SearchSpace, tmp_path: Path) -> None:
    target = BundleTarget.load(edited(lambda data: data["times_ms"][data["jobs"][0]].popitem()), micro_space, "box")
    with pytest.raises(EdgeNASError, match="another version of EdgeNAS"):
        profile(micro_space, BOX, target, tmp_path / "t.json", ORT, rounds=2)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.pop("environment"),
        lambda data: data.update(version=None),
        lambda data: data.update(surprise=1),
        lambda data: data["times_ms"][data["jobs"][0]].update({" empty": [1.0, float("nan")]}),
        lambda data: data["times_ms"][data["jobs"][0]].update({" empty": [1.0]}),
        lambda data: data["times_ms"][data["jobs"][0]].update({" empty": [1.0, -1.0]}),
        lambda data: data.update(times_ms=3),
    ],
)
def test_a_damaged_result_is_refused(edited, micro_space: SearchSpace, change) -> None:
    with pytest.raises(EdgeNASError, match=r"no result of a bundle, or damaged"):
        BundleTarget.load(edited(change), micro_space, "box")


@pytest.mark.parametrize(
    ("execution", "words"),
    [
        (Execution("onnxruntime", 1000), r"1000 threads are asked for, and \d+ can run at once"),
        (Execution("onnxruntime", cores="1023"), "cores 1023 are asked for, and"),
    ],
)
def test_the_script_refuses_what_the_device_has_no_cores_for(tmp_path: Path, execution: Execution, words: str) -> None:
    write_bundle(tmp_path / "box.zip", make_micro_space(), "box", execution, rounds=1)
    with zipfile.ZipFile(tmp_path / "box.zip") as bundle:
        bundle.extractall(tmp_path / "device")
    done = _measure(tmp_path / "device")
    assert done.returncode == 1 and re.search(f"^Nothing was measured: {words}.* Write the bundle", done.stderr)
    assert not (tmp_path / "device" / "result.json").exists()


def test_the_script_reads_as_python_3_8() -> None:
    ast.parse(Path(device_measure.__file__).read_text(), feature_version=(3, 8))


def test_what_a_bundle_of_an_earlier_version_measured_is_read(micro_space: SearchSpace, tmp_path: Path) -> None:
    """Of commit 1a12b32, whose measure.py told what it was timed with in one text."""
    target = BundleTarget.load(Path(__file__).with_name("bundle_of_1a12b32.json"), micro_space, "box")
    table = profile(micro_space, BOX, target, tmp_path / "t.json", target.header.execution, rounds=target.header.rounds)
    assert table.measured and table.covers(micro_space) and table.execution == ORT
    assert (table.provenance.cpu, table.provenance.cores) == ("AMD EPYC", 2)
