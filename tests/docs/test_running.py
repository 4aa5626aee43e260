"""Examples that run: every one in Python, and of those for a shell what takes seconds."""

import re

import pytest

from edgenas.run import Run
from tests.docs.conftest import edgenas
from tests.docs.examples import EDGENAS, in_language

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
}  # fmt: skip
"""What makes an example small, by its page and its place there."""

CHEAP = {"add-images", "data", "export", "predict", "pretrained", "report", "verify"}
ELSEWHERE = ("://", "browser", "--data shards")
"""What is not on the machine that tests."""

PYTHON = in_language("python")


def place(example) -> tuple[str, int]:
    return example.page, [other for other in PYTHON if other.page == example.page].index(example)


def runs_here(arguments: list[str]) -> bool:
    return arguments[0] in CHEAP and not any(word in " ".join(arguments) for word in ELSEWHERE)


LINES = sorted({" ".join(words) for _, words in EDGENAS if runs_here(words)})


@pytest.fixture(scope="module")
def names(story):
    """What each Python example leaves, by its page and place."""
    return {}


@pytest.mark.parametrize("example", PYTHON, ids=str)
def test_every_python_example_runs(example, at_work, names):
    code = example.code
    for written, instead in QUICKER.get(place(example), {}).items():
        assert written in code
        code = code.replace(written, instead)
    left: dict = {}
    exec(code, left)
    names[place(example)] = left


def test_from_photos_to_verified_files(names, at_work):
    left = names["docs/library.md", 0]
    run = left["run"]
    assert [v.passed for _, files in run.verify().results for v in files] == [True] * len(left["files"])
    assert {path.suffix for path in (run.path / "export").glob("*/model.*")} == {".json", ".onnx", ".tflite"}


def test_a_supernet_is_trained_and_a_subnet_taken_out_of_it(names):
    left = names["docs/library.md", 1]
    assert left["network"].resolution == left["space"].smallest.resolution


def test_the_search_works_alone(names):
    assert names["docs/search.md", 0]["front"].optimal


def test_there_is_something_to_run():
    assert {line.split()[0] for line in LINES} == CHEAP


@pytest.mark.parametrize("line", LINES)
def test_commands_that_take_seconds_run(line, at_work):
    exported = sorted(path.name for path in (at_work / "runs/photos/export").iterdir())[0]
    if "cat.zip" in line and not line.startswith("export"):
        assert edgenas(["export", "runs/photos", "--architecture", exported, "--bundle", "cat.zip"]).exit_code == 0
    result = edgenas(re.sub(r"\b1f0c53aa\b", exported, line).split())
    assert result.exit_code == 0, result.output


def test_the_story_left_a_run_that_opens(story):
    assert Run.open(story / "runs/photos").commands()
