"""What the README and the pages of docs/ show is real: commands can be given as written, files and extras are there."""

import re
import shlex
import tomllib

import click
import pytest

from edgenas.cli import COMMANDS, main
from edgenas.device.profile import DeviceProfile
from edgenas.space import get_space
from edgenas.values import read
from tests.docs.examples import EDGENAS, PAGES, ROOT, SHELL, in_language

OPTIONAL = {"add-images", "doctor", "pretrained", "quickstart", "tune", "ui"}
"""Commands that are no step of the README's story."""

IN_HELP = [
    (name, line.strip())
    for name in COMMANDS
    for line in (main.get_command(click.Context(main), name).help or "").splitlines()
    if line.strip().startswith("edgenas ")
]


def can_be_given(arguments: list[str]) -> None:
    name, *rest = arguments
    if name in ("-h", "--help", "--version"):
        return
    command = main.get_command(click.Context(main), name)
    assert command is not None, f"there is no command {name}"
    if not {"-h", "--help"} & set(rest):
        command.make_context(name, rest, parent=click.Context(main))


@pytest.mark.parametrize("where, arguments", EDGENAS, ids=[f"{where} {' '.join(words)}" for where, words in EDGENAS])
def test_every_command_can_be_given_as_written(where, arguments):
    can_be_given(arguments)


@pytest.mark.parametrize("name, line", IN_HELP, ids=[line for _, line in IN_HELP])
def test_so_can_those_in_the_help(name, line):
    can_be_given(shlex.split(line.partition("|")[0], comments=True)[1:])


def test_the_readme_tells_the_pipeline_in_order():
    told = [words[0] for where, words in EDGENAS if where.startswith("README.md")]
    pipeline = [name for name in COMMANDS if name in told and name not in OPTIONAL]
    assert [name for name in told if name not in OPTIONAL] == pipeline
    assert {"data", "train-supernet", "profile", "search", "finetune", "export", "verify", "predict", "deploy", "baseline",
            "report"} <= set(pipeline)  # fmt: skip


def test_the_readme_is_one_screen_and_a_table_of_links():
    assert len((ROOT / "README.md").read_text().splitlines()) < 150


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_named_files_are_there(page):
    text = page.read_text()
    for path in re.findall(r"\b(?:tools|tests|docs|edgenas|examples)/[\w./-]+\.(?:py|sh|toml|txt|md|png|ipynb)\b", text):
        if "_build" not in path:
            assert (ROOT / path).exists(), path
    if page.parent == ROOT:  # the links of other pages are followed when the site is made
        for link in re.findall(r"\]\(([^)#:]+)[^):]*\)", text):
            assert (ROOT / link).exists(), link


def test_no_page_is_called_as_one_of_sphinx_is():
    assert not {"search", "genindex"} & {page.stem for page in PAGES}


def test_extras_that_are_to_be_installed_exist():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    text = "\n".join(page.read_text() for page in PAGES)
    named = {name for listed in re.findall(r"(?:edgenas|'\.|\"\.)\[([\w,]+)\]", text) for name in listed.split(",")}
    assert named and named <= set(extras)


def test_scripts_that_are_to_be_run_exist():
    scripts = {words[1] for _, words in SHELL if words[0] in ("bash", "python", "python3") and words[1].startswith("tools/")}
    assert {"tools/quickstart.sh", "tools/test.sh"} <= scripts
    for script in scripts:
        assert (ROOT / script).exists(), script


@pytest.mark.parametrize("example", in_language("toml"), ids=str)
def test_toml_is_a_space_or_a_device(example, tmp_path):
    data = tomllib.loads(example.code)
    if "stages" in data:
        (tmp_path / "own.toml").write_text(example.code)
        assert len(get_space(str(tmp_path / "own.toml"), None, 10).stages) == len(data["stages"])
    else:
        assert read(DeviceProfile, data).name == data["name"]
