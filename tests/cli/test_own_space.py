"""A user's own space from the command line: the example of the docs trains, and the run goes where the file does not."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from edgenas.run import Run
from edgenas.training import Evaluator
from tests.cli.conftest import edgenas
from tests.docs.examples import in_language

EXAMPLE = next(example.code for example in in_language("toml") if example.page == "docs/spaces.md")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_space.toml").write_text(EXAMPLE)
    return tmp_path


def test_the_example_trains_and_its_run_can_be_moved(folder):
    result = edgenas("train-supernet", "--data", "digits", "--space", "my_space.toml", "--epochs", 1, "--out", "runs/mine")
    assert result.exit_code == 0, result.output
    assert "my_space: " in result.output
    before = Run.open(Path("runs/mine")).space
    (folder / "my_space.toml").unlink()
    shutil.move(folder / "runs", folder / "elsewhere")
    run = Run.open(folder / "elsewhere/mine")
    assert run.space == before
    assert [stage.op for stage in run.space.stages] == ["fused", "mbconv", "mbconv"]
    drawn = run.space.decode(run.space.sample(np.random.default_rng(0), 1)[0])
    assert 0 <= Evaluator(run.supernet(), run.dataset()).accuracy(drawn) <= 1


def test_mistakes_are_told_with_the_line(folder):
    (folder / "my_space.toml").write_text(EXAMPLE.replace("kernels = [0, 3]", "kernels = [0, 4]"))
    for command in (
        ["train-supernet", "--data", "digits", "--space", "my_space.toml", "--out", "runs/mine"],
        ["profile", "--space", "my_space.toml"],
    ):
        result = edgenas(*command)
        assert result.exit_code == 2
        assert "my_space.toml, line 10: kernels must be odd, so that it has a centre, not 4: take 3 or 5." in result.output
        assert "Traceback" not in result.output
    assert not (folder / "runs").exists()
    result = edgenas("train-supernet", "--data", "digits", "--space", "none.toml")
    assert (result.exit_code, "There is no description of a space at none.toml." in result.output) == (2, True)
    (folder / "my_space.toml").write_text(EXAMPLE)
    result = edgenas("train-supernet", "--data", "digits", "--space", "my_space.toml", "--preset", "tiny")
    assert (result.exit_code, "leave the preset out" in result.output) == (2, True)


def test_a_device_can_be_measured_before_there_is_a_run(folder):
    result = edgenas("profile", "--device", "pi4", "--bundle", "pi4.zip", "--space", "my_space.toml")
    assert result.exit_code == 0, result.output
    assert (folder / "pi4.zip").exists()
