"""A phone on a USB cable: `adb` makes a port of this machine the phone's own, and to its own ports a browser gives everything
that elsewhere needs HTTPS."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from edgenas.errors import EdgeNASError

_PATIENCE_S = 30


@contextmanager
def reversed_port(port: int) -> Iterator[None]:
    """The phone's `localhost:port` is this machine's while the `with` block lasts. Raises EdgeNASError without adb or phone."""
    _adb("reverse", f"tcp:{port}", f"tcp:{port}")
    try:
        yield
    finally:
        # The phone may be gone by now.
        subprocess.run(["adb", "reverse", "--remove", f"tcp:{port}"], capture_output=True, timeout=_PATIENCE_S)


def _adb(*arguments: str) -> None:
    try:
        done = subprocess.run(["adb", *arguments], capture_output=True, text=True, timeout=_PATIENCE_S)
    except FileNotFoundError:
        raise EdgeNASError("There is no adb here: install it (on Debian: apt install adb), or use --on browser.") from None
    except subprocess.TimeoutExpired:
        raise EdgeNASError("adb does not answer: run adb kill-server, and the same command again.") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise EdgeNASError(
            f"adb cannot reach the phone ({' '.join(said).strip()}): plug it in, turn on USB debugging in its developer "
            "options, and confirm on its screen."
        )
