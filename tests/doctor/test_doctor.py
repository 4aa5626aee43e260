"""`edgenas doctor`: what it finds, what it advises, and its exit status."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections import namedtuple
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from edgenas.cli import main
from edgenas.device import Execution, Provenance, get_runtime, python_target, ssh
from edgenas.doctor import (
    BROKEN,
    NOTE,
    OK,
    check_device,
    check_disk,
    check_extras,
    check_installation,
    check_machine,
    check_runtimes,
    check_telemetry,
    installation,
)
from edgenas.doctor import runtimes as runtimes_module
from edgenas.doctor.runtimes import try_runtime
from edgenas.errors import EdgeNASError, UsageError
from edgenas.extras import PURPOSES
from edgenas.latency import table_path
from tests.test_extras import PROJECT


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def by_name(findings) -> dict:
    return {finding.name: finding for finding in findings}


def doctor(*arguments):
    return CliRunner().invoke(main, ["doctor", *arguments])


def test_a_sound_installation_is_found_sound():
    found = by_name(check_installation())
    assert {name: finding.state for name, finding in found.items()} == dict.fromkeys(
        ("edgenas", "python", "packages", "torch"), OK
    )
    assert "torch" in found["packages"].found


def test_a_package_that_is_missing_or_too_old_is_broken(monkeypatch):
    there = {"numpy": "1.20", "click": "8.2", "torch": "2.4.0+cpu"}
    monkeypatch.setattr(installation, "_packages", lambda extra: {"numpy": "1.26", "click": "8.1", "torch": "2.4", "gone": "0"})
    monkeypatch.setattr(installation, "_version", there.get)
    packages = by_name(check_installation())["packages"]
    assert packages.state == BROKEN and packages.advice == "pip install --upgrade edgenas"
    assert packages.found == "numpy 1.20, which needs 1.26; gone is missing"


def test_requirements_are_read_as_they_are_written(monkeypatch):
    class Installed:
        requires = ("numpy>=1.26", "psycopg[binary]>=3.2; extra == 'postgresql'", "rich", 'edgenas[report]; extra == "test"')

    monkeypatch.setattr(installation, "distribution", lambda name: Installed)
    assert installation._packages("") == {"numpy": "1.26", "rich": "0"}
    assert installation._packages("postgresql") == {"psycopg": "3.2"}
    assert installation._packages("test") == {}


def test_every_extra_has_a_purpose():
    runtimes, of_developers = {"ncnn", "opencv", "openvino"}, {"benchmark", "docs", "release", "test"}
    assert set(PURPOSES) == set(PROJECT["optional-dependencies"]) - runtimes - of_developers


def test_a_missing_extra_says_what_for_and_how(without):
    without("browser")
    found = by_name(check_extras())
    assert found["report"].state == OK
    assert found["browser"].state == NOTE
    assert found["browser"].found == "missing; for measuring phones in their browser"
    assert found["browser"].advice == "pip install 'edgenas[browser]'"


def test_runtimes_compute_what_torch_does():
    found = by_name(check_runtimes())
    for name in ("onnxruntime", "litert"):
        assert found[name].state == OK and "computes what torch does" in found[name].found


class Wrong:
    """A runtime that is there and computes something else."""

    def __init__(self, change):
        self.change, self.target = change, python_target()

    def __getattr__(self, name):
        return getattr(self.target, name)

    def run(self, model, images, execution):
        return self.change(self.target.run(model, images, execution))


def fails(outputs):
    raise EdgeNASError("it crashed")


@pytest.mark.parametrize(
    ("change", "words"), [(lambda o: o + 0.1, "something else than torch"), (np.flip, "something else"), (fails, "it crashed")]
)
def test_a_runtime_that_computes_something_else_is_broken(change, words):
    found = try_runtime(get_runtime("onnxruntime"), Wrong(change), "runtimes")
    assert found.state == BROKEN and words in found.found and "pip install --force-reinstall onnxruntime" in found.advice


def test_the_network_that_is_tried_depends_on_its_images():
    network, images = runtimes_module._lively_network()
    one, other = network(images).detach().numpy()
    assert np.abs(one - other).max() > 1 and np.abs(one).max() < 100


ABOUT = Provenance(cpu="Cortex-A72", machine="aarch64", cores=4, affinity="0-3", usable_cores=4, governor="performance")


@pytest.mark.parametrize(
    ("changes", "name", "words"),
    [
        ({"governor": "powersave"}, "governor", "performance"),
        ({"throttled": 0x50005}, "throttling", "power supply"),
        ({"load_average": 9.0}, "load", "End them"),
        ({"cpu_quota": 1.0, "usable_cores": 1}, "threads", "raise the quota"),
        ({"frequency_limit": 0.5}, "frequency", "expect times to vary"),
        ({"emulated": True}, "emulator", "measure on the device"),
        ({"throttle_events": 7}, "throttling", "cool it"),
    ],
)
def test_what_makes_times_uncertain_is_noted_with_advice(changes, name, words):
    from dataclasses import replace

    sound = by_name(check_machine(ABOUT))
    assert {finding.state for finding in sound.values()} == {OK}
    noted = [finding for finding in check_machine(replace(ABOUT, **changes)) if finding.state == NOTE]
    assert [finding.name for finding in noted] == [name]
    assert words in noted[0].advice


def test_telemetry_that_is_on_is_broken(monkeypatch):
    assert [finding.state for finding in check_telemetry()] == [OK]
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    monkeypatch.setitem(sys.modules, "openvino_telemetry", os)
    (found,) = check_telemetry()
    assert found.state == BROKEN and "onnxruntime and openvino" in found.found


def test_disks_are_full_nearly_full_and_not_writable(monkeypatch, tmp_path):
    usage = namedtuple("usage", "total used free")
    for free, state in ((100e9, OK), (1e9, NOTE), (1e6, BROKEN)):
        monkeypatch.setattr(shutil, "disk_usage", lambda path, free=free: usage(2e11, 0, free))
        assert {finding.state for finding in check_disk()} == {state}
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    found = by_name(check_disk())
    assert found["runs/"].state == BROKEN and str(tmp_path) in found["runs/"].found
    assert found["temporary"].state != OK or "cannot" not in found["temporary"].found


def test_a_device_that_is_elsewhere_is_noted_and_one_here_is_tried():
    found = by_name(check_device("pi4"))
    assert found["reach"].state == NOTE and "ssh://user@host" in found["reach"].advice
    assert found["table"].state == NOTE and "estimates are used" in found["table"].found
    here = by_name(check_device("cpu"))
    assert here["onnxruntime"].state == OK
    with pytest.raises(UsageError, match="nowhere"):
        list(check_device("nowhere"))
    with pytest.raises(UsageError, match="browser"):
        list(check_device("mobile-gpu", "browser"))


def test_a_phone_at_a_cable_answers_or_does_not(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "There is no adb here" in by_name(check_device("android"))["reach"].found
    (tmp_path / "adb").write_text("#!/bin/sh\necho Pixel 4a\n")
    (tmp_path / "adb").chmod(0o755)
    found = by_name(check_device("android", "adb:0123"))
    assert found["reach"].state == OK and found["reach"].found == "Pixel 4a answers over adb"


def test_advice_is_what_can_be_given():
    told = json.loads(doctor("--device", "pi4", "--json").stdout)
    assert {finding["name"]: finding["advice"] for finding in told["findings"]}["table"] == (
        "edgenas profile --device pi4 --on ssh://user@host"
    )


def test_runtimes_that_are_missing_say_how_to_get_them(monkeypatch):
    monkeypatch.setenv("EDGENAS_CACHE", "nowhere")
    monkeypatch.delenv("EDGENAS_TFLITE_RUNTIME_PYTHON", raising=False)
    assert get_runtime("tflite-runtime").how_to_install == "bash tools/tflite_runtime.sh"
    assert get_runtime("onnxruntime-cuda").how_to_install == "pip install onnxruntime-gpu"
    found = by_name(check_runtimes())
    assert found["tflite-runtime"].advice == "bash tools/tflite_runtime.sh"
    assert all(finding.advice for finding in found.values() if finding.state != OK)


def test_a_damaged_table_is_broken():
    path = table_path("pi4", Execution("litert"))
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    assert by_name(check_device("pi4"))["table"].state == BROKEN


def test_a_device_that_does_not_answer_is_broken_and_the_status_says_so(monkeypatch, tmp_path):
    fake = tmp_path / "ssh"
    fake.write_text("#!/bin/sh\necho 'ssh: connect to host pi port 22: Connection refused' >&2\nexit 255\n")
    fake.chmod(0o755)
    monkeypatch.setenv(ssh.SSH, str(fake))
    result = doctor("--device", "pi4", "--on", "ssh://pi@host")
    assert result.exit_code == 1 and "its ssh server runs" in result.output and "1 thing is broken: reach" in result.output
    told = doctor("--device", "pi4", "--on", "ssh://pi@host", "--json")
    assert told.exit_code == 1 and json.loads(told.stdout)["broken"] == 1


def test_a_device_over_ssh_is_looked_at_from_the_login_to_its_runtime(monkeypatch, tmp_path):
    """The far side is this machine."""
    fake = tmp_path / "ssh"
    fake.write_text('#!/bin/sh\nfor last; do :; done\neval "exec $last"\n')
    fake.chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    python = tmp_path / "bin" / "python3"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setenv(ssh.SSH, str(fake))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", f"{python.parent}:{os.environ['PATH']}")
    findings = list(check_device("cpu", "ssh://me@host"))
    assert not [finding for finding in findings if finding.state == BROKEN]
    found = by_name(findings)
    assert found["reach"].state == OK and "answers, and has Python" in found["reach"].found
    assert found["disk"].found.endswith("in the home folder there")
    assert found["onnxruntime"].state == OK and found["threads"].area == "device"
    assert list((home / ".cache" / "edgenas").iterdir()) == [], "nothing is left there"


def test_the_command_says_everything_and_that_nothing_is_broken():
    result = doctor()
    assert result.exit_code == 0, result.output
    for area in ("Installation", "Extras", "Runtimes", "Machine", "Telemetry", "Disk"):
        assert f"{area}\n" in result.stdout
    assert "Nothing is broken" in result.stdout
    assert metadata.version("torch") in result.stdout
    assert doctor("--on", "local").exit_code == 2
