"""A phone on a USB cable, by `adb`."""

from __future__ import annotations

import subprocess

from edgenas.errors import EdgeNASError

PATIENCE_S = 30.0


def adb(*arguments: str, serial: str = "", patience_s: float | None = PATIENCE_S) -> str:
    """What adb prints, of the phone with this serial number, or of the only one there is.

    Raises EdgeNASError without adb or phone, and for a command of the phone's that fails.
    """
    which = ["-s", serial] if serial else []
    try:
        done = subprocess.run(["adb", *which, *arguments], capture_output=True, text=True, errors="replace", timeout=patience_s)
    except FileNotFoundError:
        raise EdgeNASError("There is no adb here: install it (on Debian: apt install adb), or use --on browser.") from None
    except subprocess.TimeoutExpired:
        raise EdgeNASError("adb does not answer: run adb kill-server, and the same command again.") from None
    if done.returncode:
        said = " ".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]).strip()
        if arguments[0] == "shell" and not said.startswith(("adb:", "error:")):
            raise EdgeNASError(f"The phone could not do what it was told ({said or f'exit status {done.returncode}'}).")
        raise EdgeNASError(
            f"adb cannot reach the phone ({said}): plug it in, turn on USB debugging in its developer options, and confirm on "
            "its screen."
        )
    return done.stdout
