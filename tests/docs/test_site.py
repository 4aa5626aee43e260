"""The site: made without a warning, and it opens without a network."""

import re
import subprocess
import sys

import click
import pytest

import edgenas
from edgenas.cli import COMMANDS, main
from tests.docs.examples import ROOT

pytest.importorskip("sphinx")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A whole site, in a folder of its own; the pages from the code are made beside the others, as always."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", "-E"]
    made = subprocess.run([*command, "-d", folder / "trees", ROOT / "docs", folder / "html"], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return folder / "html"


def test_nothing_comes_from_elsewhere(site):
    """Links to papers may lead away; what a page is made of may not."""
    for page in site.rglob("*.html"):
        parts = re.findall(r"<(?:link|script|img|iframe)\b[^>]*?(?:href|src)=\"([^\"]+)\"", page.read_text())
        assert parts and not [part for part in parts if part.startswith(("http:", "https:", "//"))], page
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(?:https?:)?//|@import", style.read_text()), style


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_page_with_its_options(site, name):
    page = (site / "commands" / f"{name}.html").read_text()
    for param in main.get_command(click.Context(main), name).params:
        assert all(f"{option}" in page for option in param.opts if isinstance(param, click.Option) and not param.hidden)


@pytest.mark.parametrize("name", sorted(set(edgenas.__all__) - {"__version__"}))
def test_every_public_name_has_its_entry(site, name):
    assert f'id="edgenas.{name}"' in (site / "api" / "index.html").read_text()
