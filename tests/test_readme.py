"""The README's commands and code are real."""

import re
import shlex
from pathlib import Path

import click
import pytest

from edgenas.cli import COMMANDS, main

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()
LINES = re.findall(r"^    (edgenas .+)$", re.sub(r"\\\n +", "", TEXT), re.MULTILINE)
OPTIONAL = {"add-images", "doctor", "pretrained", "quickstart", "tune"}


@pytest.mark.parametrize("line", LINES)
def test_every_command_can_be_given_as_written(line):
    _, name, *arguments = shlex.split(line, comments=True)
    command = main.get_command(click.Context(main), name)
    command.make_context(name, arguments)


def test_the_pipeline_is_told_in_order():
    pipeline = [name for name in COMMANDS if name not in OPTIONAL]
    assert [shlex.split(line)[1] for line in LINES[: len(pipeline)]] == pipeline


NAMED = {path for path in re.findall(r"\b(?:tools|devices)/[\w.]+", TEXT) if "NAME" not in path}


@pytest.mark.parametrize("path", sorted(NAMED))
def test_named_files_exist(path):
    assert (ROOT / path).exists()


EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def run_example(code: str, quicker: dict[str, str]) -> dict:
    for written, instead in quicker.items():
        assert written in code
        code = code.replace(written, instead)
    names: dict = {}
    exec(code, names)
    return names


def test_there_are_three_examples():
    assert len(EXAMPLES) == 3


def test_the_search_works_alone():
    assert run_example(EXAMPLES[0], {})["front"].optimal


def test_from_photos_to_verified_files(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = run_example(EXAMPLES[1], {
        '"photos/", preset="small", seconds=7200': '"digits", preset="tiny", width=0.5, resolutions=(12, 16), epochs=2',
        '.profile("cpu")': '.profile("cpu", seconds=10)',
        "2.0, 5.0": "50.0, evaluations=15",
        "seconds=1200": "epochs=1",
        "compare()": 'compare(networks=["lenet"], epochs=1)',
    })  # fmt: skip
    run = names["run"]
    assert [v.passed for _, files in run.verify().results for v in files] == [True] * len(names["files"])
    assert {path.suffix for path in (run.path / "export").glob("*/model.*")} == {".json", ".onnx", ".tflite"}
    printed = capsys.readouterr().out
    assert str(names["model"].folder) in printed and "ms in litert" in printed
    assert all(sentence in printed for sentence in run.report().judgement)


def test_a_supernet_is_trained_and_a_subnet_taken_out_of_it():
    names = run_example(EXAMPLES[2], {"epochs=3": "epochs=1, batch_size=256"})
    assert names["network"].resolution == names["space"].smallest.resolution
