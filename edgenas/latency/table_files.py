"""Latency tables by device: where the measured ones are kept, and a device's formula as one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgenas.device import DEVICES, DeviceProfile, Estimate, Execution, Provenance, get_runtime
from edgenas.errors import EdgeNASError
from edgenas.files import sweep
from edgenas.latency.table import EMULATED, ESTIMATED, Calibration, Entry, LatencyTable
from edgenas.names import pasted
from edgenas.space import SearchSpace


def table_path(device: str, execution: Execution) -> Path:
    """Where a device's measured table is kept, in the working folder."""
    return DEVICES / device / f"{execution.runtime}-{execution.precision}-{execution.threads}t.json"


def load_table(
    device: DeviceProfile,
    space: SearchSpace,
    execution: Execution | None = None,
    *,
    allow_emulated: bool = False,
) -> LatencyTable:
    """The device's measured table when there is one that covers the space, else its estimate.

    execution: the device's own unless told otherwise. An estimate holds for that alone, in the precisions that it knows.

    Raises EdgeNASError saying how to measure when there is neither, when the table that is there is damaged, and when it was
    timed in an emulator, unless that is allowed. What killed processes left there is swept.
    """
    sweep(DEVICES / device.name)
    return peek_table(device, space, execution, allow_emulated=allow_emulated)


def peek_table(
    device: DeviceProfile,
    space: SearchSpace,
    execution: Execution | None = None,
    *,
    allow_emulated: bool = False,
) -> LatencyTable:
    """As `load_table`, but nothing is touched, whoever measures meanwhile."""
    execution = execution or device.execution()
    path = table_path(device.name, execution)
    if path.exists():
        table = LatencyTable.load(path)
        table.require_of(device.name, execution, path)
        if table.kind == EMULATED and not allow_emulated:
            raise EdgeNASError(f"{path} was timed in an emulator, which says nothing about a real {device.name}: delete it and "
                               "measure the device, or, for a trial, add `allow_emulated`.")  # fmt: skip
        if table.covers(space):
            table.require_plausible(space)
            return table
    # The formula was fitted to one kind of runtime and one number of threads; of others it knows nothing.
    estimate = device.estimate and device.estimate.in_precision(execution.precision)
    if estimate is not None and _kernels(execution) == _kernels(device.execution()):
        return estimated_table(device.name, estimate, space, execution)
    raise EdgeNASError(f"No latencies of {space.name} on {device.name} ({execution}) have been measured: "
                       f"run `{_measuring(device, execution)}` first.")  # fmt: skip


def _measuring(device: DeviceProfile, execution: Execution) -> str:
    """The step that measures so: what the device usually does goes without saying."""
    usual = device.execution()
    others = {name: getattr(execution, name) for name in ("runtime", "threads", "precision")
              if getattr(execution, name) != getattr(usual, name)}  # fmt: skip
    return f"profile({', '.join([f'device={pasted(device.name)}', *(f'{name}={value}' for name, value in others.items())])})"


def _kernels(execution: Execution) -> tuple[str, int]:
    """What executions have in common that compute with the same code: those of LiteRT and of tflite-runtime do."""
    return get_runtime(execution.runtime).provider, execution.threads


def timed_tables() -> list[LatencyTable]:
    """All tables in the working folder that were timed, be it in an emulator: any device and runtime. They predict nothing of
    the spaces for which they failed their check."""
    for folder in DEVICES.glob("*/"):
        sweep(folder)
    tables = [LatencyTable.load(path) for path in sorted(DEVICES.glob("*/*.json"))]
    return [replace(table, calibrations={space: found for space, found in table.calibrations.items() if not found.fault})
            for table in tables if table.kind != ESTIMATED]  # fmt: skip


def estimated_table(device: str, estimate: Estimate, space: SearchSpace, execution: Execution) -> LatencyTable:
    """A device's formula as a table that covers the space; its kind is "estimated"."""
    return LatencyTable(
        device,
        execution,
        kind=ESTIMATED,
        provenance=Provenance(method=estimate.method, source=estimate.source, date=estimate.date),
        entries={spec.key: Entry(estimate.block(spec), 0.0, 0) for spec in space.distinct_blocks},
        calibrations={space.fingerprint: Calibration(0.0, 1.0, 0.0, fitted_on=0, stated_interval=estimate.relative_interval)},
    )
