"""The installation: EdgeNAS, what it needs, what its extras bring, and that nothing of it tells anybody that it is used."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

import torch

import edgenas
from edgenas.device import device_timer
from edgenas.doctor.finding import BROKEN, NOTE, OK, Finding
from edgenas.extras import EXTRAS, PURPOSES, has

AREA, TELEMETRY = "installation", "telemetry"
OLDEST_PYTHON = (3, 11)

_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(\[[^]]*\])?\s*(>=\s*(?P<least>[0-9.]+))?")
"""Such as `psycopg[binary]>=3.2`."""


def check_installation() -> Iterator[Finding]:
    where = Path(edgenas.__file__).parent
    yield Finding(AREA, "edgenas", OK, f"EdgeNAS {_version('edgenas') or '(no version)'} in {where}")
    python = f"Python {platform.python_version()} on {platform.platform()}"
    if sys.version_info < OLDEST_PYTHON:
        newer = ".".join(map(str, OLDEST_PYTHON))
        yield Finding(AREA, "python", BROKEN, python, f"install Python {newer} or newer, and EdgeNAS in it.")
    else:
        yield Finding(AREA, "python", OK, python)
    yield from _requirements()
    yield _torch()


def _requirements() -> Iterator[Finding]:
    """What EdgeNAS cannot do without, by the versions that it asks for."""
    found, wrong = [], []
    for name, least in _packages("").items():
        there = _version(name)
        found.append(f"{name} {there}")
        if there is None or _numbers(there) < _numbers(least):
            wrong.append(f"{name} {there or 'is missing'}{f', which needs {least}' if there else ''}")
    if not found:
        yield Finding(AREA, "packages", NOTE, "EdgeNAS runs from its sources: what it needs is not known", "pip install .")
    elif wrong:
        yield Finding(AREA, "packages", BROKEN, "; ".join(wrong), "pip install --upgrade edgenas")
    else:
        yield Finding(AREA, "packages", OK, f"all {len(found)} that it needs: {', '.join(found)}")


def _packages(extra: str) -> dict[str, str]:
    """What EdgeNAS itself, or an extra of it, asks for, with the least version; nothing where that is not known."""
    try:
        requirements = distribution("edgenas").requires or []
    except PackageNotFoundError:
        return {}
    found = {}
    for package, _, marker in (text.partition(";") for text in requirements):
        match, of = _REQUIREMENT.match(package.strip()), re.search(r"extra == ['\"]([\w-]+)['\"]", marker)
        if match and match["name"] != "edgenas" and (of[1] if of else "") == extra:
            found[match["name"]] = match["least"] or "0"
    return found


def _numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text.split("+")[0])[:3]]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _torch() -> Finding:
    """It is asked to compute something: a library may be there and not work on this processor."""
    try:
        right = bool((torch.ones(8, 8) @ torch.ones(8, 8) == 8).all())
    except Exception as error:  # whatever a broken build raises
        return Finding(AREA, "torch", BROKEN, f"torch cannot compute ({error})", "pip install --force-reinstall torch")
    if not right:
        return Finding(AREA, "torch", BROKEN, "torch multiplies wrongly", "pip install --force-reinstall torch")
    gpus = f"{torch.cuda.device_count()} GPU(s) to train on" if torch.cuda.is_available() else "no GPU: trains on the CPU"
    return Finding(AREA, "torch", OK, f"torch {torch.__version__} computes, {gpus}")


def check_extras() -> Iterator[Finding]:
    for extra, purpose in PURPOSES.items():
        if has(extra) if extra in EXTRAS else all(map(_version, _packages(extra))):
            yield Finding("extras", extra, OK, purpose)
        else:
            yield Finding("extras", extra, NOTE, f"missing; for {purpose}", f"pip install 'edgenas[{extra}]'")


def check_telemetry() -> Iterator[Finding]:
    """EdgeNAS sends nothing anywhere; what some runtimes would send is turned off where they are imported."""
    off = {
        "onnxruntime": os.environ.get("ORT_DISABLE_TELEMETRY") == "1",
        "openvino": sys.modules.get("openvino_telemetry", device_timer) is None,
    }
    if all(off.values()):
        yield Finding(TELEMETRY, "telemetry", OK, f"off; EdgeNAS itself sends nothing, and {' and '.join(off)} are told not to")
    else:
        on = " and ".join(name for name, is_off in off.items() if not is_off)
        advice = "set ORT_DISABLE_TELEMETRY=1, import edgenas before openvino, and please report it."
        yield Finding(TELEMETRY, "telemetry", BROKEN, f"{on} may send usage data", advice)
