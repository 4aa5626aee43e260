"""What is shown of a device's latency table."""

from __future__ import annotations

from typing import Any

from edgenas.cli.display import answer
from edgenas.latency import LatencyTable
from edgenas.pipeline.profile import Checked
from edgenas.space import SearchSpace
from edgenas.values import plain


def show_table(measured: LatencyTable, space: SearchSpace) -> None:
    calibration = measured.calibration(space)
    about, execution = measured.provenance, measured.execution
    where = (f"{space.name} on {measured.device} ({about.cpu}), {execution.runtime} {about.runtime_version}, "
             f"{execution.precision}, {execution.threads} thread(s)")  # fmt: skip
    kind = "measured" if measured.measured else f"{measured.kind.upper()} {about.method}"
    answer(f"{where}: {len(space.distinct_blocks)} blocks {kind}.")
    if (check := calibration.check) is None:
        return
    answer(f"Check on {len(check.errors)} subnets, each predicted without it: mean error {100 * check.mean_error:.1f} %, "
        f"worst {100 * check.worst_error:.1f} %, Spearman {check.spearman:.3f}; "
        f"90 % of subnets lie within {100 * calibration.relative_interval(0.9):.1f} %.")  # fmt: skip


def about_table(measured: LatencyTable, space: SearchSpace) -> dict[str, Any]:
    """What a table's file has, without its entries, and what its check has shown."""
    calibration = measured.calibration(space)
    about = {"device": measured.device, "kind": measured.kind, "space": space.name, "blocks": len(space.distinct_blocks)}
    check = calibration.check and {
        "networks": len(calibration.check.errors),
        "mean_error": calibration.check.mean_error,
        "worst_error": calibration.check.worst_error,
        "spearman": calibration.check.spearman,
        "interval_90": calibration.relative_interval(0.9),
    }
    return about | plain(measured.execution) | {"provenance": plain(measured.provenance), "check": check}


def show_drift(checked: Checked) -> None:
    drift = checked.drift
    answer(
        f"{checked.path}: {drift.entries} entries timed again. The machine takes {drift.speed:.2f} times as long as then; "
        f"on top of that entries changed by {100 * drift.median_change:+.1f} % (median), "
        f"{100 * drift.worst_change:+.1f} % (worst)."
    )
    for change in drift.changes:
        answer(f"Changed {change}")
