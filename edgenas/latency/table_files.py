"""Latency tables by device: where the measured ones are kept, and a device's formula as one."""

from __future__ import annotations

from pathlib import Path

from edgenas.device.profile import DEVICES, DeviceProfile
from edgenas.device.runtimes import FORMATS, WEB_PROVIDERS
from edgenas.errors import EdgeNASError
from edgenas.latency.table import EMULATED, ESTIMATED, Calibration, Entry, LatencyTable
from edgenas.space import SearchSpace


def table_path(device: str, runtime: str, threads: int, precision: str = "fp32") -> Path:
    """Where a device's measured table is kept, in the working folder."""
    return DEVICES / device / f"{runtime}-{precision}-{threads}t.json"


def load_table(
    device: DeviceProfile,
    space: SearchSpace,
    *,
    runtime: str | None = None,
    threads: int | None = None,
    precision: str = "fp32",
    allow_emulated: bool = False,
) -> LatencyTable:
    """The device's measured table when there is one that covers the space, else its estimate, which holds for the profile's
    own file format and threads.

    Raises EdgeNASError saying how to measure when there is neither, when the table that is there is damaged, and when it was
    timed in an emulator, unless that is allowed.
    """
    runtime, threads = runtime or device.runtime, threads or device.threads
    path = table_path(device.name, runtime, threads, precision)
    if path.exists():
        table = LatencyTable.load(path)
        if table.kind == EMULATED and not allow_emulated:
            raise EdgeNASError(f"{path} was timed in an emulator, which says nothing about a real {device.name}: delete it and "
                               "measure the device, or, for a trial, add --allow-emulated.")  # fmt: skip
        if table.covers(space):
            return table
    # The formula was fitted to one kind of runtime and one number of threads; of others it knows nothing.
    known = _kernels(device.runtime), device.threads, "fp32"
    if device.estimate is not None and (_kernels(runtime), threads, precision) == known:
        return estimated_table(device, space, runtime, threads, precision)
    raise EdgeNASError(
        f"No latencies of {space.name} on {device.name} ({runtime}, {threads} thread{'s' * (threads > 1)}) have been measured: "
        f"run `edgenas profile --device {device.name}` first."
    )


def _kernels(runtime: str) -> tuple[str | None, str | None]:
    """What runtimes have in common that compute with the same code: LiteRT and tflite-runtime do, the providers of ONNX Runtime
    do not."""
    return FORMATS.get(runtime), WEB_PROVIDERS.get(runtime)


def timed_tables() -> list[LatencyTable]:
    """All tables in the working folder that were timed, be it in an emulator: any device and runtime."""
    tables = [LatencyTable.load(path) for path in sorted(DEVICES.glob("*/*.json"))]
    return [table for table in tables if table.kind != ESTIMATED]


def estimated_table(device: DeviceProfile, space: SearchSpace, runtime: str, threads: int, precision: str) -> LatencyTable:
    """The device's formula as a table that covers the space; its kind is "estimated"."""
    estimate = device.estimate
    return LatencyTable(
        device.name,
        runtime,
        threads,
        precision,
        kind=ESTIMATED,
        provenance={"method": estimate.method, "source": estimate.source, "date": estimate.date},
        entries={spec.key: Entry(estimate.block(spec), 0.0, 0) for spec in space.distinct_blocks},
        calibrations={space.fingerprint: Calibration(0.0, 1.0, 0.0, fitted_on=0, stated_interval=estimate.relative_interval)},
    )
