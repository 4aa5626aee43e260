"""A device: what is known of it, whether it answers, and whether its runtime works there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from edgenas.device import DEVICES, DeviceProfile, get_runtime, load_device, python_target, ssh_shell, ssh_target
from edgenas.device.adb import adb
from edgenas.device.runtimes import BROWSER
from edgenas.doctor.finding import BROKEN, NOTE, OK, Finding
from edgenas.doctor.machine import check_machine
from edgenas.doctor.runtimes import try_runtime
from edgenas.errors import EdgeNASError, UsageError
from edgenas.extras import has
from edgenas.latency import LatencyTable
from edgenas.names import pasted
from edgenas.progress import Track, quiet

AREA = "device"


def check_device(name: str, on: str | None = None, track: Track = quiet) -> Iterator[Finding]:
    """name: of a profile. on: where it is, as for `profile`: `local`, or `ssh://USER@HOST[:PORT]`.

    Raises UsageError for an unknown device, and for a way that only a measurement can go.
    """
    device = load_device(name)
    runtime = get_runtime(device.runtime)
    yield Finding(AREA, "profile", OK, f"{device.name}: {device.description} ({device.execution()})")
    yield from _tables(device)
    if on is not None and on.startswith("browser"):
        raise UsageError("A browser is reached when it measures: run `profile(device=mobile-gpu, on=browser)`.")
    if runtime.where == BROWSER:
        yield _browser(device)
    elif device.reach == "adb" or (on or "").partition(":")[0] == "adb":
        yield _phone(device, (on or "").partition(":")[2])
    elif on is not None and on != "local":
        yield from _by_ssh(device, on, track)
    elif device.reach == "local" or on == "local":
        yield from _here(device)
    else:
        yield Finding(AREA, "reach", NOTE, f"{device.name} is not this machine, and was not looked for",
                      f"say where it is with `on` ssh://user@host, or measure it without a network: "
                      f"`profile(device={pasted(name)}, bundle={pasted(name)}.zip)`")  # fmt: skip


def _tables(device: DeviceProfile) -> Iterator[Finding]:
    """Its latency tables in the working folder."""
    paths = sorted((DEVICES / device.name).glob("*.json"))
    for path in paths:
        try:
            table = LatencyTable.load(path)
        except EdgeNASError as error:
            yield Finding(AREA, "table", BROKEN, str(error), f"delete it, and `profile(device={pasted(device.name)})` again.")
        else:
            about = f"{table.kind} on {table.provenance.date}, {len(table.entries)} blocks"
            yield Finding(AREA, "table", OK, f"{path}: {about}")
    if not paths:
        instead = "estimates are used" if device.estimate else "nothing can be searched for it"
        where = {"remote": ", on=ssh://user@host", "browser": ", on=browser", "adb": ", on=adb, binary=benchmark_model"}
        how = f"`profile(device={pasted(device.name)}{where.get(device.reach, '')})`"
        yield Finding(AREA, "table", NOTE, f"{device.name} has not been measured: {instead}", how)


def _browser(device: DeviceProfile) -> Finding:
    if not has("browser"):
        return Finding(AREA, "browser", BROKEN, "its browser cannot be asked to measure", "pip install 'edgenas[browser]'")
    cable = "adb is there for a USB cable" if shutil.which("adb") else "no adb is there for a USB cable"
    how = f"measured by a page that it opens: `profile(device={pasted(device.name)}, on=browser)`; {cable}"
    return Finding(AREA, "browser", OK, how)


def _phone(device: DeviceProfile, serial: str) -> Finding:
    """At a USB cable. What is timed there is timed by a program that measuring brings."""
    try:
        model = adb("shell", "getprop ro.product.model", serial=serial).strip()
    except EdgeNASError as error:
        return Finding(AREA, "reach", BROKEN, str(error), "mend that, and run the same command again.")
    return Finding(AREA, "reach", OK, f"{model} answers over adb")


def _here(device: DeviceProfile) -> Iterator[Finding]:
    runtime = get_runtime(device.runtime)
    if runtime.python is None:
        yield Finding(AREA, runtime.name, BROKEN, "its runtime is not installed", runtime.how_to_install)
        return
    target = python_target(runtime.python)
    try:
        device.require_arch(target.environment(runtime.name).machine)
    except EdgeNASError as error:
        yield Finding(AREA, "machine", BROKEN, str(error), "choose another device.")
        return
    yield try_runtime(runtime, target, AREA)


def _by_ssh(device: DeviceProfile, on: str, track: Track) -> Iterator[Finding]:
    """From the login to a network that is computed there."""
    runtime, mend = get_runtime(device.runtime), "mend that, and run the same command again."
    steps = track(range(3), f"Looking at {device.name}", 3)
    next(steps, None)
    try:
        with ssh_shell(on) as shell:
            python = shell.python
            free = shell.run("df -Pk ~ 2>/dev/null | awk 'END {print $4}'").strip()
        version = ".".join(map(str, python.version))
        yield Finding(AREA, "reach", OK, f"{on} answers, and has Python {version} on {python.machine}")
        device.require_arch(python.machine)
        yield from _room(free)
        next(steps, None)
        with ssh_target(on, runtime.name) as target:
            yield try_runtime(runtime, target, AREA)
            next(steps, None)
            yield from check_machine(target.environment(runtime.name), AREA)
    except EdgeNASError as error:
        yield Finding(AREA, "reach", BROKEN, str(error), mend)
    finally:
        steps.close()


def _room(free: str) -> Iterator[Finding]:
    """free: KiB, as df says it, if it does."""
    if not free.isdigit():
        return
    gigabytes = int(free) * 1024 / 1e9
    found = f"{gigabytes:.1f} GB are free in the home folder there"
    if gigabytes < 0.5:
        yield Finding(AREA, "disk", NOTE, found, "free some space: a runtime takes up to 200 MB.")
    else:
        yield Finding(AREA, "disk", OK, found)
