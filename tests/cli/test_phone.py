"""A phone from one end to the other: measured, searched for, exported to, verified on; the phone is a stand-in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgenas.export import load_exports, load_verifications
from tests.cli.conftest import SMALLEST, edgenas, succeeds
from tests.phone import binary

__all__ = ["binary"]  # a fixture

RUN = Path("runs/phone")


def test_from_the_table_to_the_file_on_the_phone(binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    there = "--device", "android", "--on", "adb", "--binary", binary
    succeeds("train-supernet", "--data", "digits", *SMALLEST, "--epochs", 1, "--out", RUN)
    succeeds("profile", *there, "--time", "1s")
    succeeds("search", RUN, "--device", "android", "--latency", "1s", "--evaluations", 10)
    succeeds("export", RUN, "--format", "tflite")

    output = succeeds("verify", RUN, *there, "--images", 5)
    assert "on android" in output and "Convolution (NHWC, F32) GEMM" in output and "75.00 %" in output
    (model,) = load_exports(RUN / "export")
    (verified,) = load_verifications(model.folder)
    assert (verified.device, verified.execution.runtime, verified.images) == ("android", "litert", 5)
    assert verified.passed and verified.accuracy == verified.torch_accuracy and verified.predicted_ms is not None
    assert [share for _, share in verified.operator_shares] == [0.75, 0.25]
    assert not list((tmp_path / "phone").iterdir())

    succeeds("report", RUN)
    page = (RUN / "report.html").read_text()
    assert f"Where the time of {model.architecture.id} goes in litert" in page and "Convolution (NHWC, F32) DWConv" in page

    kept = model.folder / "verify-android.json"
    before = json.loads(kept.read_text())
    for row in before["results"]:
        del row["operators"]  # of an earlier version
    kept.write_text(json.dumps(before))
    assert load_verifications(model.folder)[0].operators == ()

    for options, why in (
        (("--binary", binary), "--binary is for a device"),
        (("--device", "pi4", "--on", "ssh://pi", "--binary", binary), "--binary is what a phone runs"),
        (("--device", "android", "--on", "adb", "--provision"), "--provision is for a device at ssh://"),
        (("--device", "android", "--on", "adb", "--binary", binary, "--sustained", "5m"), "leave out --sustained"),
    ):
        result = edgenas("verify", RUN, *options)
        assert result.exit_code == 2 and why in result.output, result.output
