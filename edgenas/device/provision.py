"""Wheels for a device that has no pip or no internet, downloaded here for its Python and unpacked into one folder."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from edgenas.errors import EdgeNASError
from edgenas.values import Within, decoded_json, read
from edgenas.values.kinds import Line, Name

MANYLINUX2014_GLIBC = 17
"""The oldest glibc 2.X that a manylinux wheel of today asks for."""


_Number = Annotated[int, Within(0, 1000)]
_ANSWER = tuple[tuple[_Number, _Number], Name, Line]


@dataclass(frozen=True)
class RemotePython:
    """A device's Python: (major, minor), the machine as `uname -m` says it, and the minor version of glibc 2."""

    version: tuple[int, int]
    machine: str
    glibc_minor: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `[[3, 11], "aarch64", "2.36"]`. Raises EdgeNASError for a Python or a C library without wheels."""
        try:
            (major, minor), machine, libc = read(_ANSWER, decoded_json(text.strip().splitlines()[-1]), "the answer")
            glibc = re.fullmatch(r"2\.(\d{1,4}).*", libc)
        except (ValueError, IndexError):
            raise EdgeNASError(f"The device's python3 gave no sensible answer ({text.strip()[:80]!r}).") from None
        if (major, minor) < (3, 8):
            raise EdgeNASError(f"The device has Python {major}.{minor}: install Python 3.8 or newer there.")
        return cls((major, minor), machine, int(glibc[1]) if glibc else 0)

    @property
    def platforms(self) -> list[str]:
        """The wheel tags that run there, newest first."""
        newest = range(self.glibc_minor, MANYLINUX2014_GLIBC - 1, -1)
        return [f"manylinux_2_{minor}_{self.machine}" for minor in newest] + [f"manylinux2014_{self.machine}"]


def download_packages(folder: Path, package: str, python: RemotePython) -> None:
    """Unpack numpy and a runtime's package, with what they need, for another machine's Python into `folder`.

    Raises EdgeNASError when there are no such wheels or no internet here either.
    """
    version = ".".join(map(str, python.version))
    platforms = [word for tag in python.platforms for word in ("--platform", tag)]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile",
               "--target", str(folder), "--only-binary=:all:", *platforms, "--python-version", version,
               "--implementation", "cp", "--abi", f"cp{version.replace('.', '')}", package, "numpy"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["ERROR: pip failed"]
        raise EdgeNASError(
            f"pip finds no {package} for Python {version} on {python.machine} "
            f"({errors[-1].removeprefix('ERROR: ')}). Install it on the device yourself, or choose another runtime."
        )
