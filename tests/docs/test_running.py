"""Examples that run: every one in Python, and of those for a shell what takes seconds."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edgenas
from edgenas.run import Run
from tests.docs.conftest import edgenas as command_line
from tests.docs.examples import EDGENAS, Example, in_language

QUICKER = {
    ("docs/library.md", 0): {
        '"photos/", preset="small", seconds=7200, out="runs/photos"':
            '"photos/", preset="tiny", width=0.5, resolutions=(12, 16), epochs=2, out="runs/library"',
        '.profile("cpu")': '.profile("cpu", seconds=10)',
        "2.0, 5.0": "50.0, evaluations=15",
        "seconds=1200": "epochs=1",
        "compare()": 'compare(networks=["lenet"], epochs=1)',
    },
    ("docs/library.md", 1): {"epochs=3": "epochs=1, batch_size=256"},
    ("docs/compare-devices.md", 0): {'"pi4": (60.0,)}': '"pi4": (60.0,)}, evaluations=12'},
}  # fmt: skip
"""What makes an example small, by its page and its place there."""

CHEAP = {"add-images", "data", "export", "predict", "pretrained", "report"}
ELSEWHERE = ("://", "browser", "--data shards")
"""What is not on the machine that tests."""

LIKEWISE = {
    r"runs/flowers": "runs/photos",
    r"flowers\.zip": "photos/",
    r"flowers-net\.zip": "cat.zip",
    r"tulips/\S+": "photo.jpg",
    r"\b[0-9a-f]{8}\b": "ID",
}
"""What pages call what is there under another name, as patterns. A network is named by eight hexadecimal digits."""

ON_DEVICES = "docs/deploy/"
"""Pages of programs that know nothing of EdgeNAS: `tests/deployment/test_pages_of_the_docs.py` runs those."""

PYTHON = [example for example in in_language("python") if not example.page.startswith(ON_DEVICES)]


def place(example: Example) -> tuple[str, int]:
    return example.page, [other for other in PYTHON if other.page == example.page].index(example)


def runs_here(arguments: list[str]) -> bool:
    return arguments[0] in CHEAP and not any(word in " ".join(arguments) for word in ELSEWHERE)


def as_it_is_here(line: str) -> str:
    for written, instead in LIKEWISE.items():
        line = re.sub(written, instead, line)
    return line


LINES = sorted(
    {as_it_is_here(" ".join(words)) for where, words in EDGENAS if runs_here(words) and not where.startswith(ON_DEVICES)}
)


def from_photos_to_verified_files(left: dict[str, Any]) -> None:
    run = left["run"]
    assert [v.passed for _, files in run.verify().results for v in files] == [True] * len(left["files"])
    assert {path.suffix for path in (run.path / "export").glob("*/model.*")} == {".json", ".onnx", ".tflite"}


def a_subnet_is_taken_out(left: dict[str, Any]) -> None:
    assert left["network"].resolution == left["space"].smallest.resolution


def the_search_works_alone(left: dict[str, Any]) -> None:
    assert left["front"].optimal


def a_hub_would_take_it(left: dict[str, Any]) -> None:
    assert {"README.md", "config.json", "model.onnx", "labels.txt"} <= {path.name for path in Path("hub/photos").iterdir()}


COMES_TO: dict[tuple[str, int], Callable[[dict[str, Any]], None]] = {
    ("docs/library.md", 0): from_photos_to_verified_files,
    ("docs/library.md", 1): a_subnet_is_taken_out,
    ("docs/searching.md", 0): the_search_works_alone,
    ("docs/interoperation.md", 0): a_hub_would_take_it,
}
"""What holds after an example, of what it leaves."""


@pytest.mark.parametrize("example", PYTHON, ids=str)
def test_every_python_example_runs(example, story, tmp_path, monkeypatch):
    """Where `run` is not made by an example, it is the one of the README's commands."""
    monkeypatch.chdir(shutil.copytree(story, tmp_path / "story"))
    code = example.code
    for written, instead in QUICKER.get(place(example), {}).items():
        assert written in code
        code = code.replace(written, instead)
    left: dict[str, Any] = {"edgenas": edgenas, "run": Run.open(Path("runs/photos"))}
    exec(code, left)
    if place(example) in COMES_TO:
        COMES_TO[place(example)](left)


def test_what_examples_come_to_is_asked_of_those_that_are_there():
    assert {*COMES_TO, *QUICKER} <= {place(example) for example in PYTHON}


def test_there_is_something_to_run():
    assert {line.split()[0] for line in LINES} == CHEAP


@pytest.mark.parametrize("line", LINES)
def test_commands_that_take_seconds_run(line, at_work):
    exported = sorted(path.name for path in (at_work / "runs/photos/export").iterdir())[0]
    if "cat.zip" in line and not line.startswith("export"):
        assert command_line(["export", "runs/photos", "--architecture", exported, "--bundle", "cat.zip"]).exit_code == 0
    result = command_line(line.replace("ID", exported).split())
    assert result.exit_code == 0, result.output


def test_the_story_left_a_run_that_opens(story):
    assert Run.open(story / "runs/photos").commands()
