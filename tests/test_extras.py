"""What only some need may be missing."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from edgenas.errors import EdgeNASError
from edgenas.extras import EXTRAS, is_installed, require

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]


def names(requirements: list[str]) -> tuple[str, ...]:
    return tuple(re.split(r"[\[>=]", text)[0] for text in requirements)


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_brings_what_is_looked_for(extra):
    asked = names(PROJECT["optional-dependencies"][extra])
    assert tuple(name.removesuffix("-skinny") for name in asked) == EXTRAS[extra]
    assert not set(EXTRAS[extra]) & set(names(PROJECT["dependencies"]))
    require(extra, "A test")


def test_what_is_missing_is_named_with_the_command_that_installs_it(without):
    without("browser")
    with pytest.raises(EdgeNASError) as caught:
        require("browser", "This")
    assert caught.value.exit_code == 1
    assert str(caught.value) == ("This needs cryptography and segno, which are not installed: pip install 'edgenas[browser]'")
    assert caught.value.hint == "pip install 'edgenas[browser]'"


def test_what_can_be_done_without_is_noted_once(without, caplog):
    assert is_installed("report", "A picture")
    without("report")
    with caplog.at_level("INFO", "edgenas"):
        assert not any(is_installed("report", "A picture", "There are tables.") for _ in range(3))
    assert caplog.messages == [
        "A picture needs jinja2 and matplotlib, which are not installed: pip install 'edgenas[report]'. There are tables."
    ]


def test_every_module_but_the_certificate_is_imported_without_extras():
    code = (
        "import pkgutil, sys, edgenas; from importlib import import_module\n"
        f"sys.modules |= dict.fromkeys({sum(EXTRAS.values(), ())})\n"
        "modules = [m.name for m in pkgutil.walk_packages(edgenas.__path__, 'edgenas.')]\n"
        "assert len(modules) > 100\n"
        "for name in set(modules) - {'edgenas.__main__', 'edgenas.device.browser.certificate'}: import_module(name)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
