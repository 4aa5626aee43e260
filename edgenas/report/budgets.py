"""The latency of a run's files beside the budgets that they were chosen for, in every runtime that opens them.

A budget belongs to a runtime: two winners of a search in ONNX Runtime took 0.99 and 2.02 ms there, and 6.2 and 18.0 ms as
TFLite files in LiteRT.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from edgenas.device import RUNTIMES, Execution, get_runtime, load_device
from edgenas.device.runtimes import PYTHON
from edgenas.errors import EdgeNASError
from edgenas.export import ExportedModel
from edgenas.latency import LatencyTable, load_table
from edgenas.report.judgement import Timed
from edgenas.report.summary import Row
from edgenas.run import Run
from edgenas.search import SearchRecord, load_records


def timed(rows: Iterable[Row]) -> list[Timed]:
    """What was measured on the devices that were searched for, of the files in the precision that was."""
    return [
        Timed(row.name, row.file, row.searched_in, row.runtime, row.budget_here_ms, row.measured_ms)
        for row in rows
        if row.on_device and not row.emulated and row.precision == row.searched_precision
    ]


def elsewhere(run: Run, models: Sequence[ExportedModel]) -> list[Timed]:
    """Files of other formats than the searched runtime opens: as tables of runtimes that open them predict."""
    exported = {model.architecture: model for model in models}
    return [
        timed
        for record in load_records(run.path / "search")
        if record.best.architecture in exported
        for timed in _elsewhere(run, record, exported[record.best.architecture])
    ]


def _elsewhere(run: Run, record: SearchRecord, model: ExportedModel) -> Iterator[Timed]:
    searched = record.execution.runtime
    for file in model.variants:
        if file.format == get_runtime(searched).format:
            continue
        runtimes = [r.name for r in RUNTIMES.values() if (r.format, r.where) == (file.format, PYTHON)]
        tables = [(name, _table(run, record, Execution(name, record.execution.threads, file.precision))) for name in runtimes]
        for name, table in [pair for pair in tables if pair[1] is not None] or tables[:1]:
            latency_ms = None if table is None else table.predict_one(run.space, model.architecture)
            budget_ms = record.budget_in(name)
            yield Timed(record.label, file.path.name, searched, name, budget_ms, latency_ms, predicted=True)


def _table(run: Run, record: SearchRecord, execution: Execution) -> LatencyTable | None:
    """Of the device in another runtime; None where there is none that can be used."""
    try:
        return load_table(load_device(record.device), run.space, execution)
    except EdgeNASError:
        return None
