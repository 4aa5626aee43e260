"""What a page tells of its browser, as the provenance that `device_timer.environment` gives of a machine."""

from __future__ import annotations

import hashlib
import re
import time
from typing import Any

from edgenas.device.provenance import Cores, Provenance
from edgenas.device.runtimes import get_runtime
from edgenas.values import read
from edgenas.values.kinds import Line, Milliseconds

_BROWSERS = re.compile(r"(SamsungBrowser|Edg|OPR|Firefox|Chrome|Version)[A-Za-z]*/(\d+)")
_NAMES = {
    "SamsungBrowser": "Samsung Internet", "Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "Chrome": "Chrome",
    "Version": "Safari",
}  # fmt: skip
"""What a user agent calls a browser and what it is; others also call themselves Chrome."""

_MACHINES = {("x86", "64"): "x86_64", ("arm", "64"): "aarch64", ("arm", "32"): "armv7l"}

_SOFTWARE = re.compile("swiftshader|llvmpipe|lavapipe|softpipe|warp|basic render|software", re.IGNORECASE)
"""What software that draws like a GPU is called."""


def provenance(runtime: str, told: dict[str, Any]) -> Provenance:
    """As of a machine, and `adapter`: what WebGPU says of the GPU.

    told: the page's `environment`; its fields are checked. Raises KeyError, TypeError or ValueError.

    A browser's version counts as part of the runtime's, since it compiles what runs. `machine` is "unknown" on phones, whose
    browsers keep it to themselves. `emulated` is whether a GPU is software: the adapter says that it is a fallback, or does not
    deny it, or bears a name of such.
    """
    texts = {name: _text(told[name]) for name in
             ("platform", "platformVersion", "model", "architecture", "bitness", "user_agent", "runtime_version")}  # fmt: skip
    cores, tick_ms = read(Cores, told["cores"], "cores"), read(Milliseconds, told["tick_ms"], "tick_ms")
    provider = get_runtime(runtime).provider
    adapter = _adapter(told["adapter"]) if provider == "webgpu" else None
    device = texts["model"] or texts["platform"] or "unknown device"
    processor = f"CPU of {device}" if adapter is None else f"GPU {' '.join(_names(adapter)) or 'without a name'} of {device}"
    machine = _MACHINES.get((texts["architecture"], texts["bitness"]), "unknown")
    return Provenance(
        runtime=runtime,
        runtime_version=f"{texts['runtime_version']} in {_browser(texts['user_agent'])}",
        execution_providers=(provider,),
        machine=machine,
        cpu=processor,
        cores=cores,
        fingerprint=hashlib.sha256(f"{processor}|{cores}|{machine}".encode()).hexdigest()[:8],
        clock=f"performance.now, ticks {tick_ms:.3f} ms",
        date=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        emulated=adapter is not None and _is_software(adapter),
        adapter=adapter,
        system=f"{texts['platform']} {texts['platformVersion']}".strip(),
        isolated=told["isolated"] is True,
        user_agent=texts["user_agent"],
    )


def _adapter(told: dict[str, Any]) -> dict[str, Any]:
    names = {name: _text(told[name]) for name in ("vendor", "architecture", "device", "description")}
    return names | {"fallback": told["fallback"] if isinstance(told["fallback"], bool) else None}


def _is_software(adapter: dict[str, Any]) -> bool:
    named = adapter["vendor"] == "google" or _SOFTWARE.search(" ".join(_names(adapter)))
    return bool(adapter["fallback"] is not False or named)


def _names(adapter: dict[str, Any]) -> list[str]:
    return [adapter[name] for name in ("vendor", "architecture", "device", "description") if adapter[name]]


def _browser(user_agent: str) -> str:
    found = dict(_BROWSERS.findall(user_agent))
    name = next((name for name in _NAMES if name in found), None)
    return f"{_NAMES[name]} {found[name]}" if name else "an unknown browser"


def _text(value: Any) -> str:
    text: str = read(Line, value, "a text")
    return "".join(c for c in text if c.isprintable()).strip()
