"""Wheels for a device that has no pip or no internet, downloaded here for its Python and unpacked into one folder."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from edgenas.device.device_timer import IN_32_BIT
from edgenas.errors import EdgeNASError
from edgenas.values import Within, decoded_json, read
from edgenas.values.kinds import Line, Name

MANYLINUX2014_GLIBC = 17
"""The oldest glibc 2.X that a manylinux wheel of today asks for."""


PROBE = (
    "import importlib.util, json, platform, struct, sys; "
    "print(json.dumps([sys.version_info[:2], platform.machine(), platform.libc_ver()[1], 8 * struct.calcsize('P'), "
    "importlib.util.find_spec('numpy') is not None]))"
)
"""Prints what `RemotePython.parse` reads. A pointer's size tells the ELF class of the Python, whatever the kernel's is."""

_Number = Annotated[int, Within(0, 1000)]
_ANSWER = tuple[tuple[_Number, _Number], Name, Line, Annotated[int, Within(32, 64)], bool]

WITHOUT_NUMPY = ("armv7l", "armv6l")
"""Machines for which PyPI has no numpy; Debian and Raspberry Pi OS have."""
ONLY_RUNTIMES = {"armv7l": ("tflite-runtime", "ncnn")}
"""Those that have wheels, for machines that others have none for. Of tflite-runtime it is the last, for Python up to 3.11."""


@dataclass(frozen=True)
class RemotePython:
    """A device's Python: (major, minor), the machine that it is built for, the minor version of glibc 2.

    machine: as `uname -m` says it on a system of the same bits: a 32-bit Python on a 64-bit kernel is one of armv7l.
    """

    version: tuple[int, int]
    machine: str
    glibc_minor: int
    has_numpy: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """From what `PROBE` prints, `[[3, 11], "aarch64", "2.36", 64, false]`.

        Raises EdgeNASError for a Python or a C library without wheels.
        """
        try:
            answer = decoded_json(text.strip().splitlines()[-1])
            (major, minor), kernel, libc, bits, has_numpy = read(_ANSWER, answer, "the answer")
            glibc = re.fullmatch(r"2\.(\d{1,4}).*", libc)
        except (ValueError, IndexError):
            raise EdgeNASError(f"The device's python3 gave no sensible answer ({text.strip()[:80]!r}).") from None
        if (major, minor) < (3, 8):
            raise EdgeNASError(f"The device has Python {major}.{minor}: install Python 3.8 or newer there.")
        machine = IN_32_BIT.get(kernel, kernel) if bits == 32 else kernel
        return cls((major, minor), machine, int(glibc[1]) if glibc else 0, has_numpy)

    def has_wheels_of(self, package: str) -> bool:
        """Whether a runtime's package is published for such a machine."""
        return package in ONLY_RUNTIMES.get(self.machine, (package,))

    @property
    def platforms(self) -> list[str]:
        """The wheel tags that run there, newest first."""
        newest = range(self.glibc_minor, MANYLINUX2014_GLIBC - 1, -1)
        return [f"manylinux_2_{minor}_{self.machine}" for minor in newest] + [f"manylinux2014_{self.machine}"]


def download_packages(folder: Path, package: str, python: RemotePython, *others: str) -> None:
    """Unpack numpy, a runtime's package and others, with what they need, for another machine's Python into `folder`.

    Without numpy where there is none to be had and the device has its own. Raises EdgeNASError when there are no such wheels or
    no internet here either.
    """
    if not python.has_wheels_of(package):
        raise EdgeNASError(
            f"The device's Python is a 32-bit one ({python.machine}), for which there is no {package}: choose `runtime` "
            f"{' or '.join(ONLY_RUNTIMES[python.machine])}, which have wheels for it, or install a 64-bit system on the device."
        )
    brings_numpy = python.machine not in WITHOUT_NUMPY
    if not brings_numpy and not python.has_numpy:
        raise EdgeNASError(
            f"The device's Python is one of {python.machine} without numpy, which PyPI does not have for it: install it on the "
            "device with sudo apt install python3-numpy, then run the same command again."
        )
    version = ".".join(map(str, python.version))
    platforms = [word for tag in python.platforms for word in ("--platform", tag)]
    packages = [package, "numpy", *others] if brings_numpy else ["--no-deps", package, *others]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile",
               "--target", str(folder), "--only-binary=:all:", *platforms, "--python-version", version,
               "--implementation", "cp", "--abi", f"cp{version.replace('.', '')}", *packages]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["ERROR: pip failed"]
        raise EdgeNASError(
            f"pip finds no {package} for Python {version} on {python.machine} "
            f"({errors[-1].removeprefix('ERROR: ')}). Install it on the device yourself, or choose another runtime."
        )
