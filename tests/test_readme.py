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
OPTIONAL = {"pretrained", "quickstart", "tune"}


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


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
def test_the_examples_run(code):
    names: dict = {}
    exec(code.replace("epochs=3", "epochs=1, batch_size=256"), names)
    assert "network" in names or names["front"].optimal
