"""What a machine grants a timer, and what is said of it: cores, quotas, frequencies, heat and supply."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgenas.device import Execution, Provenance, device_timer, python_target
from edgenas.device.targets import timing_job
from edgenas.errors import EdgeNASError
from edgenas.latency.microbenchmark import empty_model_bytes
from edgenas.values import cores_of
from tests.conftest import ORT


def files(root: Path, **contents: str) -> str:
    for name, content in contents.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")
    return str(root)


@pytest.mark.parametrize(
    ("groups", "limits", "quota"),
    [
        ("0::/", {"": ""}, None),
        ("0::/", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/", {"cpu.max": "max 100000"}, None),
        ("0::/docker/abc", {"docker/cpu.max": "400000 100000", "docker/abc/cpu.max": "50000 100000"}, 0.5),
        ("0::/docker/abc", {"cpu.max": "200000 100000"}, 2.0),  # the container sees itself as the root
        ("0::/../../abc", {"cpu.max": "200000 100000"}, 2.0),
        ("4:cpu,cpuacct:/a\n3:memory:/a", {"cpu,cpuacct/a/cpu.cfs_quota_us": "300000",
                                           "cpu,cpuacct/a/cpu.cfs_period_us": "100000"}, 3.0),
        ("4:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ("3:memory:/a", {"a/cpu.max": "50000 100000"}, None),
        ("nonsense", {"cpu.max": "nonsense"}, None),
    ],
)  # fmt: skip
def test_quotas_of_control_groups(tmp_path: Path, groups: str, limits: dict, quota: float | None) -> None:
    root = files(tmp_path, proc__self__cgroup=groups)
    for name, content in limits.items():
        if name:
            files(tmp_path / "sys/fs/cgroup" / Path(name).parent, **{Path(name).name: content})
    assert device_timer.cpu_quota(root) == quota


def test_a_quota_counts_as_so_many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_timer, "usable", lambda: [0, 1, 2, 3])
    assert [device_timer.most_threads(quota) for quota in (None, 0.5, 1.0, 1.5, 16.0)] == [4, 1, 1, 2, 4]


@pytest.mark.parametrize(("text", "cores"), [("0", [0]), ("4-7", [4, 5, 6, 7]), ("0,2-3", [0, 2, 3])])
def test_lists_of_cores(text: str, cores: list[int]) -> None:
    assert list(cores_of(text)) == cores and device_timer.listed(cores) == text


@pytest.mark.parametrize("text", ["", "7-4", "a", "1,", "-1", "1-2-3", "0-9999", "1 2", "\u0661", "0," * 9000 + "0"])
def test_what_is_no_list_of_cores(text: str) -> None:
    assert cores_of(text) == ()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system keeps no program to cores")
def test_the_timer_keeps_to_the_cores_of_a_profile(tmp_path: Path) -> None:
    core = device_timer.usable()[-1]
    job, _ = timing_job({"nothing": empty_model_bytes("onnxruntime")}, Execution("onnxruntime", cores=str(core)), 1)
    assert job["cores"] == (core,)
    target = python_target()
    assert target._answer({**job, "models": {}}, {}).environment.affinity == str(core)
    with pytest.raises(EdgeNASError, match=r"cores 1023 are asked for, and .* can be used"):
        target.time({"nothing": empty_model_bytes("onnxruntime")}, Execution("onnxruntime", cores="1023"), rounds=1)


def test_a_device_refuses_more_threads_than_can_run() -> None:
    with pytest.raises(EdgeNASError, match=r"1000 threads are asked for, and \d+ can run at once"):
        python_target().time({"nothing": empty_model_bytes("onnxruntime")}, Execution("onnxruntime", 1000), rounds=1)


def test_this_machine() -> None:
    about = python_target().environment("onnxruntime")
    assert about.usable_cores <= len(cores_of(about.affinity)) <= about.cores
    about.require_cores(ORT)


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"cpu_quota": 0.5}, "granted 0.5 cores' worth of time for 1 thread"),
        ({"cpu_quota": 1.5, "threads": 2}, "for 2 thread"),
        ({"governor": "powersave"}, "governor is powersave"),
        ({"governor": "ondemand, performance"}, "governor is ondemand"),
        ({"frequency_limit": 0.6}, "limited to 60 % of its highest"),
        ({"throttled": 0x50005}, "now by too low a voltage, throttling"),
        ({"throttled": 0x50000}, "since it was switched on, by too low a voltage, throttling"),
        ({"throttle_events": 3}, "3 times while it was measured"),
        ({"load_average": 5.2, "usable_cores": 2}, "its load was 5.2 with 2 core"),
    ],
)
def test_what_matters_is_warned_of(about: dict, words: str) -> None:
    (sentence,) = Provenance(**about).warnings
    assert words in sentence


def test_what_does_not_matter_is_not() -> None:
    quiet = Provenance(cpu_quota=2.0, threads=2, governor="performance", frequency_limit=1.0, throttled=0, throttle_events=0,
                       load_average=0.4, usable_cores=4)  # fmt: skip
    assert quiet.warnings == Provenance().warnings == ()


def test_flags_of_a_raspberry_pi(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    flags = tmp_path / "get_throttled"
    flags.write_text("50005\n")
    monkeypatch.setattr(device_timer.glob, "glob", lambda pattern: [str(flags)] if "get_throttled" in pattern else [])
    assert device_timer._throttled() == 0x50005 and device_timer._throttle_events() is None

    monkeypatch.setattr(device_timer.glob, "glob", lambda pattern: [])
    command = tmp_path / "vcgencmd"
    command.write_text("#!/bin/sh\necho throttled=0x80008\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert device_timer._throttled() == 0x80008
