"""A device over ssh: plain words for what ssh says, and a real sshd with an emulated Raspberry Pi behind it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgenas.device import python_target, ssh, ssh_target
from edgenas.device.provision import RemotePython
from edgenas.errors import EdgeNASError, UsageError
from edgenas.latency.microbenchmark import REFERENCE, model_bytes
from tests.conftest import ORT, wait_until

# ---- without a device ----


@pytest.fixture
def fake_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes `ssh` a shell script; the master connection is called with -M."""

    def install(script: str) -> None:
        (tmp_path / "ssh").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "ssh").chmod(0o755)
        monkeypatch.setenv(ssh.SSH, str(tmp_path / "ssh"))

    return install


@pytest.mark.parametrize("endless", ["yes", "yes | tr -d '\\n'"])
def test_a_login_that_never_stops_talking_is_left(fake_ssh, endless: str) -> None:
    fake_ssh(endless)
    with pytest.raises(EdgeNASError, match="ssh://pi@host: "), ssh_target("ssh://pi@host", "onnxruntime"):
        pass


@pytest.mark.parametrize(
    "url", ["pi@host", "http://pi@host", "ssh://", "ssh://pi@host/home", "ssh://[::1", "ssh://pi:x", "ssh://-oProxyCommand=x"]
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(UsageError, match="write ssh://user@host"), ssh_target(url, "onnxruntime"):
        pass


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("ssh: Could not resolve hostname pj: Name or service not known", "there is no such host"),
        ("pi@host: Permission denied (publickey,password).", "ssh-copy-id"),
        ("ssh: connect to host pi port 22: Connection refused", "its ssh server runs"),
        ("ssh: connect to host pi port 22: Connection timed out", "check that it is on"),
        ("Host key verification failed.", "log in once by hand"),
        ("Bad configuration option: foo", "Bad configuration option: foo"),
        ("", "without a word"),
    ],
)
def test_what_ssh_says_in_plain_words(fake_ssh, said: str, meant: str) -> None:
    fake_ssh(f"echo '{said}' >&2; exit 255")
    with pytest.raises(EdgeNASError, match=f"^ssh://pi@host: .*{meant}"), ssh_target("ssh://pi@host", "onnxruntime"):
        pass


def test_no_ssh_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ssh.SSH, "/no/ssh")
    with pytest.raises(EdgeNASError, match=r"/no/ssh cannot be run .*OpenSSH"), ssh_target("ssh://pi@host", "onnxruntime"):
        pass


MASTER = 'case "$*" in *" -M "*|"-M "*) echo ready; exec cat >/dev/null;; esac\n'


def test_a_device_without_python(fake_ssh) -> None:
    fake_ssh(MASTER)
    with pytest.raises(EdgeNASError, match=r"has no python3: install Python 3\.8"), ssh_target("ssh://pi@host", "onnxruntime"):
        pass


def test_a_connection_that_keeps_breaking(fake_ssh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "RECONNECT_PAUSE_S", 0.0)
    fake_ssh(MASTER + "exit 255")
    with (
        pytest.raises(EdgeNASError, match="keeps breaking: run the same command again"),
        ssh_target("ssh://a@b", "onnxruntime"),
    ):
        pass


def test_which_wheels_a_python_takes() -> None:
    python = RemotePython.parse('a greeting\n[[3, 11], "aarch64", "2.19"]\n')
    assert python == RemotePython((3, 11), "aarch64", 19)
    assert python.platforms == [f"manylinux_2_{n}_aarch64" for n in (19, 18, 17)] + ["manylinux2014_aarch64"]
    with pytest.raises(EdgeNASError, match=r"Python 3\.7: install Python 3\.8"):
        RemotePython.parse('[[3, 7], "aarch64", "2.28"]')
    with pytest.raises(EdgeNASError, match="no sensible answer"):
        RemotePython.parse("hello")


# ---- with one ----


@pytest.fixture(scope="module")
def provisioned(pi: Path) -> Path:
    with ssh_target("ssh://pi", "onnxruntime", provision=True):
        return pi


def _jobs(home: Path) -> list[Path]:
    return list(home.glob(".cache/edgenas/job.*"))


def test_without_the_runtime_it_says_provision(pi: Path) -> None:
    with pytest.raises(EdgeNASError, match=r"has no litert .*: add `provision`"), ssh_target("ssh://pi", "litert"):
        pass


def test_no_login_without_a_key(pi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ssh.SSH, f"{os.environ[ssh.SSH]} -o PubkeyAuthentication=no")
    with pytest.raises(EdgeNASError, match="ssh-copy-id"), ssh_target("ssh://pi", "onnxruntime"):
        pass


def test_a_provisioned_device_measures_runs_and_keeps_only_its_cache(provisioned: Path) -> None:
    model = model_bytes(REFERENCE, "onnxruntime")
    images = np.random.default_rng(0).standard_normal((4, 3, 32, 32)).astype(np.float32)
    with ssh_target("ssh://pi", "onnxruntime") as target:
        environment = target.environment("onnxruntime")
        assert (environment.machine, environment.cpu) == ("aarch64", "Raspberry Pi 4 Model B Rev 1.4")
        assert environment.emulated and environment.governor == "ondemand"
        times = target.time({"net": model}, ORT, rounds=2)
        assert len(times["net"]) == 2 and min(times["net"]) > 0
        outputs = target.run(model, images, ORT)
        with pytest.raises(EdgeNASError, match="The device's timer failed"):
            target.time({"broken": b"not a model"}, ORT, rounds=1)
    np.testing.assert_allclose(outputs, python_target().run(model, images, ORT), atol=1e-4)
    left = [str(path.relative_to(provisioned)) for path in sorted(provisioned.rglob("*"))]
    assert all(path.startswith(".cache") for path in left)
    assert os.listdir(provisioned / ".cache" / "edgenas") == ["packages-onnxruntime"]
    assert not any("__pycache__" in path for path in left)


def test_a_dropped_connection_is_taken_up_again(pi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "RECONNECT_PAUSE_S", 0.2)
    with ssh._Connection("ssh://pi") as connection:
        drop = threading.Timer(1, connection._master.kill)
        drop.start()
        try:
            assert connection.run('echo try >>"$HOME/tries"; sleep 2; cat "$HOME/tries"') == "try\ntry\n"
        finally:
            drop.cancel()
            (pi / "tries").unlink()


HOST = """
from edgenas.device import Execution, ssh_target
from edgenas.latency.microbenchmark import REFERENCE, model_bytes
with ssh_target("ssh://pi", "onnxruntime") as target:
    target.time({"net": model_bytes(REFERENCE, "onnxruntime")}, Execution("onnxruntime"), rounds=10000)
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_when_the_host_dies_nothing_goes_on_running(provisioned: Path, end: signal.Signals) -> None:
    host = subprocess.Popen([sys.executable, "-c", HOST], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: any((job / "log").exists() for job in _jobs(provisioned)))
        time.sleep(1)
        (job,) = _jobs(provisioned)
        assert _running(job)
    finally:
        host.send_signal(end)
        host.wait()
    wait_until(lambda: not _jobs(provisioned) and not _running(job))


def _running(job: Path) -> bool:
    """Whether any process of this machine works in a job's folder."""
    lines = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(process.read_bytes())
        except OSError:
            continue
    return any(os.fsencode(job) in line for line in lines)
