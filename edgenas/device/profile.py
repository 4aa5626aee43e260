"""Devices by name: profiles in TOML."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from edgenas.cost import block_depthwise_macs, block_macs
from edgenas.device.execution import Execution
from edgenas.device.runtimes import RUNTIMES
from edgenas.errors import EdgeNASError, UsageError
from edgenas.space import BlockSpec
from edgenas.values import OneOf, Unfit, Within, decoded_toml, read, read_text, unknown
from edgenas.values.kinds import CoreList, Line, Name, Text, Threads

DEVICES = Path("devices")
"""In the working folder: the user's own profiles, and the tables that were measured."""

REACHES = ("local", "remote", "browser", "adb")

Cost = Annotated[float, Within(0, 1e6)]
"""Milliseconds, of something that may be free."""


@dataclass(frozen=True)
class Int8Estimate:
    """times_fp32: what a network takes in int8, as so many times what it takes in float32. The rest as of `Estimate`."""

    times_fp32: Annotated[float, Within(0, 100, above=True)]
    relative_interval: Annotated[float, Within(0, 1e3)]
    method: Text
    source: Text


@dataclass(frozen=True)
class Estimate:
    """A formula for block latencies of a device that nobody has measured yet: ms per million multiply-accumulates plus ms per
    block, in float32, or what the device computes in its place.

    dense_ms_per_mmac: of all convolutions and linear layers that are not depthwise.
    relative_interval: latency lies within `[ms / (1 + r), ms * (1 + r)]` with 90 % confidence.
    """

    dense_ms_per_mmac: Cost
    depthwise_ms_per_mmac: Cost
    block_ms: Annotated[float, Within(0, 1e6, above=True)]
    relative_interval: Annotated[float, Within(0, 1e3)]
    method: Text
    source: Text
    date: Line
    int8: Int8Estimate | None = None

    def in_precision(self, precision: str) -> Estimate | None:
        """None where nothing is known of it."""
        if precision == "fp32":
            return self
        if precision != "int8" or self.int8 is None:
            return None
        return replace(
            self,
            dense_ms_per_mmac=self.int8.times_fp32 * self.dense_ms_per_mmac,
            depthwise_ms_per_mmac=self.int8.times_fp32 * self.depthwise_ms_per_mmac,
            block_ms=self.int8.times_fp32 * self.block_ms,
            relative_interval=self.int8.relative_interval,
            method=f"{self.int8.method.strip()} In float32: {self.method.strip()}",
            source=f"{self.int8.source.strip()} In float32: {self.source.strip()}",
        )

    def block(self, spec: BlockSpec) -> float:
        """Milliseconds of one block."""
        depthwise = block_depthwise_macs(spec)
        dense = block_macs(spec) - depthwise
        return (self.dense_ms_per_mmac * dense + self.depthwise_ms_per_mmac * depthwise) / 1e6 + self.block_ms


@dataclass(frozen=True)
class DeviceProfile:
    """What EdgeNAS knows of a device before it is measured.

    arch: as `uname -m` says it, or several of those; "native" is any.
    runtime, threads: what its networks run on unless told otherwise. cores: that they are timed on; None: wherever the system
    puts them, which on a processor with fast and slow cores is now here, now there.
    reach: "local" when it is the machine that EdgeNAS runs on, "remote" when it is reached by ssh or a bundle, "browser" when
        it is measured by a page that it opens, "adb" when it is a phone that a program is copied to.
    """

    name: Name
    description: Text
    arch: Line | tuple[Line, ...]
    runtime: Annotated[str, OneOf("runtime", RUNTIMES)]
    threads: Threads
    reach: Annotated[str, OneOf("reach", REACHES)] = "local"
    estimate: Estimate | None = None
    cores: CoreList | None = None

    def execution(
        self, *, runtime: str | None = None, threads: int | None = None, precision: str | None = None
    ) -> Execution:  # fmt: skip
        """What its networks run on; what is None is the device's own, and fp32."""
        return Execution(
            self.runtime if runtime is None else runtime,
            self.threads if threads is None else threads,
            precision or "fp32",
            self.cores,
        )

    def require_reach(self, *, remotely: bool) -> None:
        """Raise EdgeNASError, saying what to do, when the device cannot be measured in this way."""
        if self.reach == "browser" and not remotely:
            raise EdgeNASError(
                f"{self.name} is not this machine: measure it in its browser with `on` browser, or over a USB cable with "
                "`on` browser:adb."
            )
        if self.reach == "adb" and not remotely:
            raise EdgeNASError(
                f"{self.name} is not this machine: measure it over a USB cable with `on` adb and `binary` benchmark_model, "
                "LiteRT's own program."
            )
        if self.reach == "remote" and not remotely:
            raise EdgeNASError(
                f"{self.name} is not this machine: measure it over the network with `on` ssh://user@host, or without one with "
                "`bundle` FILE.zip. If this is the device itself, add `on` local."
            )

    def require_arch(self, machine: str | None) -> None:
        """Raise EdgeNASError when what answers is another kind of machine."""
        allowed = (self.arch,) if isinstance(self.arch, str) else self.arch
        if "native" not in allowed and machine not in allowed:
            raise EdgeNASError(
                f"{self.name} is {' or '.join(allowed)}, but what answers is {machine}: choose another device or address."
            )


def device_folders() -> list[Path]:
    """Where profiles are looked for, in this order: ./devices, then those that come with EdgeNAS."""
    package = Path(__file__).parents[1]
    packaged = package / "_devices"
    return [DEVICES, packaged if packaged.is_dir() else package.parent / "devices"]


def load_device(name: str, folders: list[Path] | None = None) -> DeviceProfile:
    """The profile NAME.toml of the first folder that has one.

    Raises UsageError for an unknown name, and EdgeNASError naming file and field for a profile that is wrong.
    """
    folders = device_folders() if folders is None else folders
    found = {path.stem: path for folder in reversed(folders) for path in sorted(folder.glob("*.toml"))}
    if name not in found:
        raise UsageError(unknown("device", name, sorted(found)))
    path = found[name]
    try:
        device: DeviceProfile = read(DeviceProfile, decoded_toml(read_text(path, "device profile")))
    except Unfit as error:
        raise EdgeNASError(f"{path}: {error}") from None
    except ValueError as error:
        raise EdgeNASError(f"{path} is no TOML: {error}. Correct that line.") from error
    if device.name != name:
        raise EdgeNASError(f"{path}: name is {device.name!r}, but the file is called {name}.toml. Make them equal.")
    return device
