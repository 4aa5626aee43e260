"""A device behind `ssh://user@host[:port]`, through plain `ssh`: the user's configuration, agent and jump hosts all count."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from edgenas.device import device_timer
from edgenas.device.provision import PROBE, RemotePython, download_packages
from edgenas.device.remote_shell import COMMAND, Lines, ended_because, past_greeting, script_bytes
from edgenas.device.runtimes import PYTHON, Runtime, get_runtime
from edgenas.device.targets import JobTarget
from edgenas.errors import EdgeNASError, UsageError
from edgenas.files import read_member, scratch
from edgenas.values import shown

CACHE = "~/.cache/edgenas"
"""All that is left on the device: what --provision unpacked. Safe to delete."""

SSH = "EDGENAS_SSH"
"""The environment variable that names another ssh command, such as `ssh -F my_config`."""

RECONNECTS = 5
RECONNECT_PAUSE_S = 2.0

_RESULTS = ("result.json", "outputs.npy")

MOST_BYTES, MOST_PRINTED = 2**30, 2**20
"""Of a result, and of what a command prints."""

# The archive on standard input is followed by silence. Its end means that the host has gone: then the timer goes too.
_JOB = """
mkdir -p {cache} && cd {cache} && folder=$(mktemp -d "$PWD/job.XXXXXX") || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 143' HUP INT TERM
head -c {size} | tar xf - -C "$folder" || exit 1
exec 3<&0
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH={packages}
python3 "$folder/device_timer.py" "$folder" </dev/null >"$folder/log" 2>&1 3<&- &
timer=$!
{{ cat <&3; kill $timer; }} >/dev/null 2>&1 &
wait $timer
status=$?
cd "$folder" && test -s result.json && {{ tar cf - $(ls {results} 2>/dev/null); exit; }}
tail -n 20 log >&2
head -c 4096 /dev/zero >room  # or it says that there is none
exit $((status ? status : 1))
"""

# Where it does not fit, nothing of it is left: what is to free space would find the less of it.
_UNPACK = """
rm -rf {folder} {folder}.part
mkdir -p {folder}.part && head -c {size} | tar xf - -C {folder}.part && mv {folder}.part {folder} && exit 0
rm -rf {folder}.part
exit 1
"""

# Prints nothing where it can be imported, else the reason.
_IMPORT = """
said=$(PYTHONDONTWRITEBYTECODE=1 ORT_DISABLE_TELEMETRY=1 PYTHONPATH={packages} python3 -c {code} 2>&1) && exit 0
printf '%s\n' "$said" | tail -n 1
"""

_PLAIN = (
    ("could not resolve hostname", "there is no such host: check the name, and that this machine is in the same network"),
    ("permission denied", "it does not let this user in: check the user name, and copy your key there with ssh-copy-id"),
    ("host key verification failed", "its host key is not known or has changed: log in once by hand with ssh and confirm it"),
    (
        "connection refused",
        "nothing answers at that port: check that its ssh server runs (on a Pi: raspi-config, Interface, SSH)",
    ),
    ("timed out", "it does not answer: check that it is on and in the same network"),
    ("no route to host", "it does not answer: check that it is on and in the same network"),
)
"""What ssh says, and what it means."""


class _ConnectionLost(Exception):
    pass


@contextmanager
def ssh_target(url: str, runtime: str, *, provision: bool = False) -> Iterator[JobTarget]:
    """The device at `ssh://user@host[:port]` as a target for one runtime.

    provision: first copy numpy and the runtime there, into `CACHE`, for a device that has no pip or no internet.

    A job that a dropped connection interrupts is done again. When the `with` block ends, or this process dies, nothing goes on
    running on either side, and of the jobs nothing is left. Raises UsageError for what is no such address, and EdgeNASError
    when the device cannot be reached or lacks Python or the runtime.
    """
    wanted = get_runtime(runtime, PYTHON)
    with _Connection(url) as connection:
        packages = f"{CACHE}/packages-{runtime}"
        python = _probe(connection)
        if provision:
            _provision(connection, packages, wanted, python)
        elif reason := _cannot_import(connection, packages, _modules(wanted)):
            raise EdgeNASError(_why_not_there(url, wanted, reason))
        yield JobTarget(lambda folder: _run_job(connection, packages, folder))


@contextmanager
def ssh_shell(url: str) -> Iterator[Shell]:
    """The device at `ssh://user@host[:port]`, for what is to stay there. Raises as `ssh_target` does."""
    with _Connection(url) as connection:
        yield Shell(connection, _probe(connection))


class Shell:
    """The shell of a device that has a Python."""

    def __init__(self, connection: _Connection, python: RemotePython):
        self._connection = connection
        self.python = python

    def run(self, script: str) -> str:
        """What a shell script prints. Raises EdgeNASError, with the last line of its standard error, when it fails."""
        return self._connection.run(script)

    def unpack(self, folder: str, *sources: Path) -> None:
        """Make a folder there of the content of folders, and of files, here; it replaces what was there."""
        with _archive(*sources) as archive:
            self._connection.run(_UNPACK.format(folder=folder, size=archive.seek(0, os.SEEK_END)), archive)

    def cannot_import(self, modules: Sequence[str], packages: str = "") -> str:
        """Why its Python cannot import some modules, also with the folder `packages`; nothing where it can."""
        return _cannot_import(self._connection, packages, modules)


@dataclass(frozen=True)
class _Address:
    """user: None is the one of ssh's own configuration. port: likewise."""

    user: str | None
    host: str
    port: str | None

    @classmethod
    def parse(cls, url: str) -> Self:
        """Of `ssh://[user@]host[:port]`; an IPv6 address stands in brackets, and may have a zone, such as `[fe80::1%eth0]`.

        Raises UsageError for what can be none: nothing in it is an option of ssh, or no text.
        """
        found = _ADDRESS.fullmatch(url)
        if found is None or not 0 < int(found["port"] or 22) < 65536:
            raise UsageError(f"{shown(url)} is no address of a device: write ssh://user@host or ssh://user@host:port.")
        # In an address of the web the zone's sign is written %25 (RFC 6874).
        return cls(found["user"], (found["address"] or found["host"]).replace("%25", "%"), found["port"])

    @property
    def arguments(self) -> list[str]:
        """As ssh takes them. Not as one address: in its own no zone can be written."""
        return [*(["-l", self.user] if self.user else []), *(["-p", self.port] if self.port else []), self.host]


_ADDRESS = re.compile(
    r"ssh://(?:(?P<user>[\w.+][\w.+-]{0,63})@)?(?:\[(?P<address>[0-9a-fA-F:.]{2,45}(?:%(?:25)?[\w.-]{1,32})?)\]|(?P<host>\w[\w.-]{0,252}))"
    r"(?::(?P<port>\d{1,5}))?/?",
    re.ASCII,
)


class _Connection:
    """One login, which all commands share (ControlMaster)."""

    def __init__(self, url: str):
        self._address = _Address.parse(url)
        self.url = url
        self._ssh = shlex.split(os.environ.get(SSH, "ssh"))
        self._master: subprocess.Popen[bytes] | None = None
        self._open = ExitStack()

    def __enter__(self) -> Self:
        # Not in the user's temporary folder, whose name can be too long for a socket.
        self._folder = self._open.enter_context(scratch("ssh", Path("/tmp")))
        try:
            self._connect()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._disconnect()
        self._open.close()

    def run(self, script: str, archive: IO[bytes] | None = None, into: Path | None = None) -> str:
        """What a shell script prints. `{size}` in it is the archive's, which it gets on standard input.

        into: a folder for the files of the archive that the script prints instead. After a dropped connection the script runs
        again, from the start. Raises EdgeNASError when it fails.
        """
        for attempt in range(RECONNECTS + 1):
            try:
                return self._run(script, archive, into)
            except _ConnectionLost:
                if attempt == RECONNECTS:
                    break
                self._reconnect(last=attempt == RECONNECTS - 1)
        raise EdgeNASError(
            f"The connection to {self.url} keeps breaking: run the same command again, it goes on where it stopped."
        )

    def _run(self, script: str, archive: IO[bytes] | None, into: Path | None) -> str:
        with tempfile.TemporaryFile() as errors:
            content = script_bytes(script)
            process = subprocess.Popen(
                [*self._ssh, "-S", self._socket, "-o", "ControlMaster=no", "-o", "BatchMode=yes", *self._address.arguments,
                 COMMAND.format(size=len(content))],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, bufsize=0,
            )  # fmt: skip
            to_device, from_device = _pipes(process)
            text, greeting = b"", Lines()
            try:
                _write_all(to_device, content)
                if past_greeting(from_device, greeting):
                    text = self._talk(to_device, from_device, archive, into)
            except (BrokenPipeError, tarfile.TarError, EOFError):
                pass  # the exit status tells why
            finally:
                # Closing standard input ends the job on the device.
                to_device.close()
                from_device.close()
                if process.poll() is None:
                    _ended(process)
            if process.returncode in (255, -15, -9):
                raise _ConnectionLost
            errors.seek(0)
            if process.returncode or not greeting.ended:
                raise EdgeNASError(f"{self.url}: {ended_because(process.returncode, errors.read(), greeting)}.")
        return text.decode(errors="replace")

    def _talk(self, to_device: IO[bytes], from_device: IO[bytes], archive: IO[bytes] | None, into: Path | None) -> bytes:
        """Hand over the archive, and take what the script prints."""
        if archive is not None:
            archive.seek(0)
            while chunk := archive.read(1 << 16):
                _write_all(to_device, chunk)
        if into is None:
            to_device.close()
            return _read_all(from_device, self.url)
        _extract(from_device, into)
        to_device.close()
        return b""

    def _connect(self) -> None:
        self._socket = str(self._folder / "socket")
        content = script_bytes("exec cat >/dev/null")
        command = [*self._ssh, "-M", "-S", self._socket, "-o", "ControlPersist=no", "-o", "ConnectTimeout=10",
                   "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3",
                   *self._address.arguments, COMMAND.format(size=len(content))]  # fmt: skip
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115, closed in _disconnect
        try:
            # The far end reads what we never write: when this process ends, however it ends, so does the connection.
            self._master = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, bufsize=0
            )
        except OSError as error:
            self._errors.close()
            raise EdgeNASError(f"{command[0]} cannot be run ({error.strerror}): install the OpenSSH client.") from error
        to_device, says = _pipes(self._master)
        greeting = Lines()
        with suppress(BrokenPipeError):  # it has ended, and has said why
            _write_all(to_device, content)
        if not past_greeting(says, greeting):
            code = _close(self._master)
            self._errors.seek(0)
            message = self._errors.read()
            self._disconnect()
            plain = next((plain for said, plain in _PLAIN if said in message.decode(errors="replace").lower()), None)
            raise EdgeNASError(f"{self.url}: {plain or ended_because(code, message, greeting)}.")

    def _disconnect(self) -> None:
        if self._master is not None:
            _close(self._master)
            self._errors.close()
            self._master = None

    def _reconnect(self, last: bool) -> None:
        self._disconnect()
        time.sleep(RECONNECT_PAUSE_S)
        try:
            self._connect()
        except EdgeNASError:
            if last:
                raise


def _run_job(connection: _Connection, packages: str, folder: Path) -> None:
    with _archive(folder, Path(device_timer.__file__)) as archive:
        size = archive.seek(0, os.SEEK_END)
        script = _JOB.format(cache=CACHE, size=size, packages=packages, results=" ".join(_RESULTS))
        connection.run(script, archive, into=folder)


def _probe(connection: _Connection) -> RemotePython:
    found = connection.run(f"command -v python3 >/dev/null || exit 0; python3 -c {shlex.quote(PROBE)}")
    if not found:
        raise EdgeNASError(
            f"{connection.url} has no python3: install Python 3.8 or newer there (on Debian: apt install python3)."
        )
    return RemotePython.parse(found)


def _cannot_import(connection: _Connection, packages: str, modules: Sequence[str]) -> str:
    """Why its Python cannot import some modules; nothing where it can."""
    code = shlex.quote(f"import {', '.join(modules)}")
    return connection.run(_IMPORT.format(packages=packages, code=code)).strip()


def _modules(runtime: Runtime) -> tuple[str, ...]:
    """What a timer imports."""
    return "numpy", runtime.module


def _why_not_there(url: str, runtime: Runtime, reason: str) -> str:
    if reason.startswith("ModuleNotFoundError"):
        return f"{url} has no {runtime.name} that its python3 can import: add `provision` to copy it there."
    return f"{url} has {runtime.name}, but its python3 cannot import it ({reason}): add `provision` to copy another there."


def _provision(connection: _Connection, packages: str, runtime: Runtime, python: RemotePython) -> None:
    """Bring numpy and the runtime, unless an earlier run did."""
    if not _cannot_import(connection, packages, _modules(runtime)):
        return
    with scratch("wheels") as wheels:
        download_packages(wheels, runtime.package, python)
        with _archive(wheels) as archive:
            connection.run(_UNPACK.format(folder=packages, size=archive.seek(0, os.SEEK_END)), archive)
    if reason := _cannot_import(connection, packages, _modules(runtime)):
        raise EdgeNASError(f"{connection.url} cannot import the {runtime.name} that was copied to {packages}: {reason}.")


@contextmanager
def _archive(*sources: Path) -> Iterator[IO[bytes]]:
    """The content of folders, and single files, as one tar file."""
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            for source in sources:
                for path in sorted(source.iterdir()) if source.is_dir() else [source]:
                    tar.add(path, path.name)
        yield file


def _extract(stream: IO[bytes], folder: Path) -> None:
    """The result files of a tar stream, up to its end mark; what else a device may send is ignored."""
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            if member.isfile() and member.name in _RESULTS:
                if member.size > MOST_BYTES:
                    raise EdgeNASError(f"The device sent {member.size} bytes of {member.name}: it is no timer of ours.")
                (folder / member.name).write_bytes(read_member(tar, member))


def _read_all(stream: IO[bytes], url: str) -> bytes:
    """What a command prints. Raises EdgeNASError for more than any of ours does."""
    text = b""
    while chunk := stream.read(1 << 16):
        text += chunk
        if len(text) > MOST_PRINTED:
            raise EdgeNASError(f"{url} prints without end: log in by hand and see what its shell prints.")
    return text


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    """The standard input and output of a process that was started with pipes for both."""
    assert process.stdin is not None and process.stdout is not None
    return process.stdin, process.stdout


def _write_all(stream: IO[bytes], data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[stream.write(view) :]


def _ended(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(10)
    except subprocess.TimeoutExpired:
        process.terminate()
        return process.wait()


def _close(process: subprocess.Popen[bytes]) -> int:
    """End it by closing its pipes. Returns its status."""
    for pipe in _pipes(process):
        pipe.close()
    return _ended(process)
