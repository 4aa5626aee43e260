"""Without extras: what can be done is done, and what to install is said."""

import shutil
from pathlib import Path

import pytest

from edgenas.cli.quickstart import _Shown
from edgenas.pipeline.report import Report
from edgenas.run import Run
from tests.cli.conftest import TRAIN, edgenas


def test_a_browser_cannot_be_asked(at_work, without):
    without("browser")
    result = edgenas("profile", "--device", "mobile-gpu", "--on", "browser")
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
    assert result.output.endswith(
        "Error: Measuring in a browser needs cryptography and segno, which are not installed: pip install 'edgenas[browser]'\n"
    )


@pytest.fixture
def copied(at_work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run of the workspace, which may be changed, without the pictures."""
    monkeypatch.chdir(shutil.copytree(at_work, tmp_path / "copied"))
    for picture in [*Path("runs/digits").glob("*.png"), *Path("runs/digits").glob("*.html")]:
        picture.unlink()
    return Path("runs/digits")


def test_a_report_has_its_tables_and_no_picture(at_work, copied, without):
    without("report")
    result = edgenas("report", copied)
    assert result.exit_code == 0, result.output
    assert result.output.count("The page, with its pictures, needs jinja2 and matplotlib, which are not installed: ") == 1
    assert "pip install 'edgenas[report]'" in result.output
    assert "Drawn" not in result.output and not list(copied.glob("*.png")) + list(copied.glob("report.html"))
    rest = result.output.partition("'edgenas[report]'")[2].strip()
    told = (at_work / "report.txt").read_text().splitlines(keepends=True)
    assert rest and rest in "".join(line for line in told if not line.startswith(("Drawn: ", "Written: ")))
    assert (copied / "report.json").exists()


def test_a_training_has_neither_event_files_nor_a_picture(tmp_path, monkeypatch, without):
    monkeypatch.chdir(tmp_path)
    without("tensorboard", "report")
    result = edgenas("train-supernet", "--data", "digits", *TRAIN, "--epochs", 2, "--batch-size", 256, "--out", "run")
    assert result.exit_code == 0, result.output
    for extra in ("tensorboard", "report"):
        assert result.output.count(f"pip install 'edgenas[{extra}]'") == 1
    assert "metrics.jsonl holds the same" in result.output
    run = Run.open(Path("run"))
    assert run.weights.exists() and len(run.metrics()) == 2
    assert not (run.path / "tensorboard").exists() and not (run.path / "training.png").exists()


@pytest.mark.parametrize("pictures", [(), (Path("runs/digits/front.png"),)])
def test_the_quickstart_names_the_picture_where_there_is_one(pictures, capsys):
    report = Report(rows=(), files=(), classes=(), records=(), pictures=pictures, judgement=(), page=None)
    _Shown().reported(Run(Path("runs/digits"), {}), report)
    output = "".join(capsys.readouterr())
    assert "The model files are in runs/digits/export" in output
    assert ("the picture is runs/digits/front.png" in output) == bool(pictures)
