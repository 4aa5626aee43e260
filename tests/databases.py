"""Database servers of a test's own: in a temporary folder, on a free port, gone with the test."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import free_port, wait_until


@contextmanager
def postgresql() -> Iterator[str]:
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
    initdb = shutil.which("initdb", path=programs)
    if initdb is None:
        pytest.skip("PostgreSQL is not installed")
    # It refuses to be run by root.
    user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    with tempfile.TemporaryDirectory() as folder:
        shutil.chown(folder, user)
        run = {"user": user, "cwd": folder, "stdout": subprocess.DEVNULL}
        subprocess.run([initdb, "-D", f"{folder}/data", "-U", "edgenas", "--auth", "trust", "--no-sync"], check=True, **run)
        port = free_port()
        server = [Path(initdb).with_name("postgres"), "-D", f"{folder}/data", "-p", str(port), "-k", folder, "-h", "127.0.0.1"]
        with _running(server, port, run):
            yield f"postgresql://edgenas@127.0.0.1:{port}/postgres"


@contextmanager
def mysql() -> Iterator[str]:
    """MariaDB, which speaks MySQL's protocol."""
    install, server = shutil.which("mariadb-install-db"), shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin")
    if install is None or server is None:
        pytest.skip("MariaDB is not installed")
    user = pwd.getpwuid(os.getuid()).pw_name
    with tempfile.TemporaryDirectory() as folder:
        run = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        where = ["--no-defaults", f"--datadir={folder}/data", f"--user={user}"]
        subprocess.run([install, *where, "--auth-root-authentication-method=normal"], check=True, **run)
        port = free_port()
        options = [f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder}/socket", f"--pid-file={folder}/pid"]
        with _running([server, *where, *options], port, run):
            yield f"mysql://root@127.0.0.1:{port}/test"


@contextmanager
def _running(command: list[str | Path], port: int, run: dict[str, Any]) -> Iterator[None]:
    server = subprocess.Popen(command, **run | {"stderr": subprocess.DEVNULL})
    try:
        wait_until(lambda: _answers(port))
        yield
    finally:
        server.send_signal(signal.SIGQUIT)  # a SIGTERM PostgreSQL would take as: when all connections are closed
        server.wait()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
