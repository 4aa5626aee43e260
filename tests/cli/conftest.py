"""One small run through all commands, shared by the tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgenas.cli import main
from edgenas.device import load_device
from edgenas.latency import load_table
from edgenas.run import Run
from edgenas.search import fastest

TRAIN = ["--space", "mobilenetv3", "--preset", "tiny", "--width", "0.5", "--resolutions", "12,16", "--precision", "float32"]
SMALLEST = "--space", "mobilenetv3", "--preset", "tiny", "--width", 0.1, "--resolutions", "8"


def edgenas(*arguments: object) -> Result:
    """Run a command as a user would, but for the process; what would be a traceback is raised."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


def succeeds(*arguments: object) -> str:
    """What a command prints that ends well."""
    result = edgenas(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with runs/digits trained, devices/cpu measured, two budgets searched, exported and verified."""
    folder = tmp_path_factory.mktemp("workspace")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("EDGENAS_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        commands = [
            ["train-supernet", "--data", "digits", *TRAIN, "--epochs", 8, "--batch-size", 64, "--out", "runs/digits"],
            ["profile", "--device", "cpu"],
            ["profile", "--device", "cpu", "--runtime", "litert"],
        ]
        for command in commands:
            succeeds(*command)
        space = Run.open(Path("runs/digits")).space
        table = load_table(load_device("cpu"), space)
        slowest = table.predict_one(space, space.largest)
        least = float(table.interval(space, fastest(space, table)[1]).high)
        budgets = [f"{1.1 * least:.4f}ms", f"{1.1 * slowest:.4f}ms"]
        commands = [
            ["search", "runs/digits", "--device", "cpu", "--evaluations", 20, "--latency", budgets[0], "--latency", budgets[1]],
            ["export", "runs/digits", "--format", "onnx", "--format", "tflite"],
            ["verify", "runs/digits"],
            ["report", "runs/digits"],
        ]
        for command in commands:
            (folder / f"{command[0]}.txt").write_text(succeeds(*command))
    return folder


@pytest.fixture
def at_work(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(workspace)
    return workspace
