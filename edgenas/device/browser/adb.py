"""A phone on a USB cable: `adb` makes a port of this machine the phone's own, and to its own ports a browser gives everything
that elsewhere needs HTTPS."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from edgenas.device.adb import PATIENCE_S, adb


@contextmanager
def reversed_port(port: int) -> Iterator[None]:
    """The phone's `localhost:port` is this machine's while the `with` block lasts. Raises EdgeNASError without adb or phone."""
    adb("reverse", f"tcp:{port}", f"tcp:{port}")
    try:
        yield
    finally:
        # The phone may be gone by now.
        subprocess.run(["adb", "reverse", "--remove", f"tcp:{port}"], capture_output=True, timeout=PATIENCE_S)
