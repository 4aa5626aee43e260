"""A device over ssh: plain words for what ssh says, and a real sshd with an emulated Raspberry Pi behind it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edgenas.device import python_target, ssh, ssh_target
from edgenas.device.provision import RemotePython, download_packages
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
    "url",
    [
        "pi@host",
        "http://pi@host",
        "ssh://",
        "ssh://pi@host/home",
        "ssh://[::1",
        "ssh://pi:x",
        "ssh://-oProxyCommand=x",
        "ssh://pi:0",
        "ssh://pi:70000",
        "ssh://pi@[fe80::1%]",
        "ssh://pi@[host]",
        "ssh://-l@pi",
        "ssh://pi pi",
    ],
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


# A device whose login shell is this machine's: the last argument is what it is told to run.
AS_LOGIN = 'for command; do :; done\nHOME="{home}" BASH_ENV="{home}/.bashrc" PATH="{path}" exec {shell} -c "$command"\n'
TOOLS = ("cat", "dd", "head", "ls", "mkdir", "mktemp", "mv", "rm", "sh", "tail", "tar", "test")
GREETINGS = {"bash": ".bashrc", "fish": ".config/fish/config.fish", "tcsh": ".cshrc"}


@dataclass
class Board:
    """A stand-in for a device: its home folder, and the programs that it has."""

    home: Path
    programs: Path
    install: Callable[[str], None]

    def has(self, program: str, script: str) -> None:
        (self.programs / program).unlink(missing_ok=True)
        (self.programs / program).write_text(f"#!/bin/sh\n{script}\n")
        (self.programs / program).chmod(0o755)

    def has_python(self, machine: str = "aarch64", bits: int = 64, numpy: bool = False, imports: str = "exit 1") -> None:
        """imports: what it does when it is to import something."""
        answer = json.dumps([[3, 11], machine, "2.36", bits, numpy])
        self.has("python3", f"""case "$*" in *calcsize*) echo '{answer}';; *) {imports};; esac""")

    def logs_in_with(self, shell: str) -> None:
        program = shutil.which(shell)
        if program is None:
            pytest.skip(f"there is no {shell}: install Debian's")
        self.install(AS_LOGIN.format(home=self.home, path=self.programs, shell=program))

    def greets(self, shell: str, line: str) -> None:
        file = self.home / GREETINGS[shell]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{line}\n")


@pytest.fixture
def board(fake_ssh, tmp_path: Path) -> Board:
    home, programs = tmp_path / "home", tmp_path / "programs"
    home.mkdir(), programs.mkdir()
    for tool in TOOLS:
        (programs / tool).symlink_to(shutil.which(tool))
    board = Board(home, programs, fake_ssh)
    board.logs_in_with("bash")
    return board


def refused(runtime: str = "onnxruntime", **options: bool) -> str:
    with pytest.raises(EdgeNASError) as refusal, ssh_target("ssh://pi@host", runtime, **options):
        pass
    return str(refusal.value)


def test_a_device_without_python(board: Board) -> None:
    assert "has no python3: install Python 3.8" in refused()


MISSING = "echo \"ModuleNotFoundError: No module named 'onnxruntime'\" >&2; exit 1"


@pytest.mark.parametrize("shell", GREETINGS)
@pytest.mark.parametrize("greeting", ["echo 'Welcome to the lab'", "echo ready", "printf 'no end of line'", "echo warning >&2"])
def test_any_login_shell_and_whatever_it_prints(board: Board, shell: str, greeting: str) -> None:
    board.has_python(imports="exit 0")
    board.greets(shell, greeting.replace(">&2", "> /dev/stderr"))
    board.logs_in_with(shell)
    with ssh_target("ssh://pi@host", "onnxruntime"):
        pass
    board.has_python(imports=MISSING)
    assert refused() == "ssh://pi@host has no onnxruntime that its python3 can import: add `provision` to copy it there."


@pytest.mark.parametrize("shell", GREETINGS)
def test_a_job_behind_any_login_shell(board: Board, shell: str) -> None:
    """What is sent is there to the last byte, and so is what comes back."""
    (board.programs / "wc").symlink_to(shutil.which("wc"))
    answer = json.dumps({"environment": {"runtime": "onnxruntime", "machine": "aarch64"}, "times_ms": {"net": [1.5]}})
    whole = 'test "$(wc -c <"$2/0.model")" -eq 300000'
    board.has_python(imports=f"""test "$1" = -c || {{ {whole} && echo '{answer}' >"$2/result.json"; }}""")
    board.greets(shell, "echo 'Welcome to the lab'")
    board.logs_in_with(shell)
    with ssh_target("ssh://pi@host", "onnxruntime") as target:
        assert target.time({"net": bytes(range(256)) * 1171 + bytes(224)}, ORT, rounds=1) == {"net": [1.5]}
    assert not list(board.home.glob(".cache/edgenas/job.*"))


def test_a_login_that_ends_before_it_runs_anything(board: Board) -> None:
    board.greets("bash", "echo 'This account is not available.'; exit 0")
    assert "its login shell ends before it runs a command (it says: This account is not available)" in refused()


NO_ROOM = "cat >/dev/null; echo 'tar: numpy/core.so: Cannot write: No space left on device' >&2; exit 2"


def test_a_full_disk_is_said_and_what_was_copied_is_gone(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    board.has_python(imports=MISSING)
    board.has("tar", NO_ROOM)
    monkeypatch.setattr(ssh, "download_packages", lambda folder, package, python: (folder / "numpy").write_bytes(bytes(10**6)))
    assert "its disk is full" in (said := refused(provision=True)) and "df -h" in said
    assert not list(board.home.glob(".cache/edgenas/packages*"))


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ("kill -9 $$", "killed the timer (SIGKILL), as it does where memory runs out"),
        ("kill -4 $$", "instructions that its processor does not have"),
        ("echo 'Error: no such thing.' >&2; exit 3", "ssh://pi@host: Error: no such thing."),
    ],
)
def test_a_timer_that_ends_without_a_result(board: Board, ends: str, said: str) -> None:
    board.has_python(imports=f'case "$1" in *device_timer.py) {ends};; esac')
    with ssh_target("ssh://pi@host", "onnxruntime") as target, pytest.raises(EdgeNASError) as failure:
        target.time({"net": b"model"}, ORT, rounds=1)
    assert said in str(failure.value) and not list(board.home.glob(".cache/edgenas/job.*"))


def test_what_is_there_and_cannot_be_imported(board: Board) -> None:
    board.has_python(imports="echo 'ImportError: libatomic.so.1: cannot open shared object file' >&2; exit 1")
    assert "has onnxruntime, but its python3 cannot import it (ImportError: libatomic.so.1: cannot open" in refused()


@pytest.mark.parametrize("kernel", ["aarch64", "armv7l"])
def test_a_32_bit_python_is_told_the_runtime_that_has_a_wheel(board: Board, kernel: str) -> None:
    board.has_python(kernel, bits=32, imports=MISSING)
    said = refused(provision=True)
    assert "is a 32-bit one (armv7l), for which there is no onnxruntime: choose `runtime` tflite-runtime or ncnn, which" in said
    said = refused("tflite-runtime", provision=True)
    assert "apt install python3-numpy" in said


def test_a_32_bit_python_takes_the_wheel_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran = []

    def run(command, **options):
        ran.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    python = RemotePython.parse('[[3, 11], "aarch64", "2.36", 32, true]')
    download_packages(tmp_path, "tflite-runtime", python)
    assert "manylinux_2_34_armv7l" in ran[0] and ran[0][-2:] == ["--no-deps", "tflite-runtime"]


@pytest.mark.parametrize(
    ("url", "arguments"),
    [
        ("ssh://pi@[fe80::1%eth0]", ["-l", "pi", "fe80::1%eth0"]),
        ("ssh://pi@[fe80::1%25wlan0]:2222", ["-l", "pi", "-p", "2222", "fe80::1%wlan0"]),
        ("ssh://[::1]", ["::1"]),
        ("ssh://MyBoard", ["MyBoard"]),
        ("ssh://pi@host.local:22/", ["-l", "pi", "-p", "22", "host.local"]),
    ],
)
def test_addresses_as_ssh_takes_them(fake_ssh, tmp_path: Path, url: str, arguments: list[str]) -> None:
    fake_ssh(f"""printf '%s\\n' "$@" >{tmp_path}/called; exit 255""")
    with pytest.raises(EdgeNASError), ssh_target(url, "onnxruntime"):
        pass
    called = (tmp_path / "called").read_text().splitlines()[:-1]  # the last one is the command
    assert called[-len(arguments) :] == arguments and called[-len(arguments) - 1] == "ServerAliveCountMax=3"


def test_a_connection_that_keeps_breaking(board: Board, fake_ssh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "RECONNECT_PAUSE_S", 0.0)
    login = AS_LOGIN.format(home=board.home, path=board.programs, shell=shutil.which("bash"))
    fake_ssh(f'case "$*" in *"-M "*) ;; *) exit 255;; esac\n{login}')
    assert "keeps breaking: run the same command again" in refused()


def test_which_wheels_a_python_takes() -> None:
    python = RemotePython.parse('a warning\n[[3, 11], "aarch64", "2.19", 64, false]\n')
    assert python == RemotePython((3, 11), "aarch64", 19)
    assert python.platforms == [f"manylinux_2_{n}_aarch64" for n in (19, 18, 17)] + ["manylinux2014_aarch64"]
    with pytest.raises(EdgeNASError, match=r"Python 3\.7: install Python 3\.8"):
        RemotePython.parse('[[3, 7], "aarch64", "2.28", 64, false]')
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
