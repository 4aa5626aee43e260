"""A Raspberry Pi from one end to the other, as its user would go: measured, searched for, exported to, verified on.

It is emulated, so its times mean nothing; its outputs are aarch64's.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgenas.export import load_exports, load_verifications
from edgenas.latency import LatencyTable, table_path
from edgenas.search import load_records
from tests.cli.conftest import SMALLEST, edgenas, succeeds

RUN = Path("runs/pi")
THERE = "--device", "pi4", "--on", "ssh://pi"


def test_from_the_table_to_the_file_on_the_device(pi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # Everything takes a hundred times longer there, and no one will believe the times.
    for module, name, less in (("profile", "SESSIONS", 2), ("profile", "SESSION_NETWORKS", 4), ("bench", "LEAST_ROUNDS", 1)):
        monkeypatch.setattr(sys.modules[f"edgenas.latency.{module}"], name, less)
    succeeds("train-supernet", "--data", "digits", *SMALLEST, "--epochs", 1, "--out", RUN)

    output = succeeds("profile", *THERE, "--provision", "--time", "1s", "--allow-emulated")
    assert "Raspberry Pi 4 Model B" in output and "litert 2." in output and "EMULATED" in output

    search = "search", RUN, "--device", "pi4", "--latency", "1s", "--evaluations", 10
    refused = edgenas(*search)
    assert refused.exit_code == 1 and "timed in an emulator" in refused.output and "--allow-emulated" in refused.output
    output = succeeds(*search, "--allow-emulated")
    assert "EMULATOR" in output and "ms, emulated" in output
    assert load_records(RUN / "search")[0].latency_kind == "emulated"

    succeeds("export", RUN, "--format", "tflite")
    output = succeeds("verify", RUN, *THERE, "--images", 100, "--allow-emulated")
    assert "pi4, EMULATED" in output
    (model,) = load_exports(RUN / "export")
    (verified,) = load_verifications(model.folder)
    assert (verified.device, verified.execution.runtime, verified.images, verified.emulated) == ("pi4", "litert", 100, True)
    assert verified.parity.agreement == 1 and verified.accuracy == verified.torch_accuracy
    # A busy machine may make a table that fails its own check, and predicts nothing then.
    (calibration,) = LatencyTable.load(table_path("pi4", verified.execution)).calibrations.values()
    assert (verified.predicted_ms is None) == bool(calibration.fault)
    assert "litert (EMULATED)" in succeeds("report", RUN)
