"""What is handed out: the wheel alone runs, the sdist makes the same wheel, pins have hashes, an SBOM says what is in it."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = {canonicalize_name(name): version for name, version in (
    line.split("==") for line in (ROOT / "tools" / "constraints.txt").read_text().split())}  # fmt: skip

STORY = """
import edgenas
from pathlib import Path
assert Path(edgenas.__file__).is_relative_to({home!r}), edgenas.__file__
run = edgenas.train_supernet("digits", family="plain", preset="tiny", resolutions=(20,), width=0.5, epochs=2, out="runs/mini")
run.profile("cpu", seconds=5)
run.search(20.0, evaluations=10)
run.export("onnx", "tflite")
assert all(file.passed for _, files in run.verify().results for file in files)
assert run.report().page.stat().st_size > 10_000
assert edgenas.load_device("pi4").runtime == "litert"
print("told by", edgenas.__version__)
"""
"""The quickstart's steps, on few images."""


@pytest.fixture(scope="module")
def released(tmp_path_factory) -> Path:
    """The folder that tools/release.sh writes."""
    folder = tmp_path_factory.mktemp("dist")
    environment = os.environ | {"PYTHON": sys.executable}
    made = subprocess.run(["bash", ROOT / "tools/release.sh", folder], env=environment, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(released) -> Path:
    return next(released.glob("*.whl"))


def contents(wheel: Path) -> set[str]:
    return {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}


def test_the_wheel_has_every_file_of_the_package_and_the_devices(wheel):
    package = {path.relative_to(ROOT).as_posix() for path in (ROOT / "edgenas").rglob("*") if path.is_file()}
    kept = subprocess.run(["git", "ls-files", "devices"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    devices = {f"edgenas/_devices/{Path(path).name}" for path in kept or ["devices/cpu.toml"]}
    expected = {path for path in package if "__pycache__" not in path} | devices
    assert contents(wheel) == expected
    assert {"edgenas/py.typed", "edgenas/_devices/pi4.toml"} <= expected


def test_the_sdist_makes_the_same_wheel(released, wheel, tmp_path):
    with tarfile.open(next(released.glob("*.tar.gz"))) as archive:
        archive.extractall(tmp_path, filter="data")
    source = next(tmp_path.iterdir())
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path], cwd=source, check=True)
    assert contents(next(tmp_path.glob("*.whl"))) == contents(wheel)
    assert {"tests", "docs", "tools", "CHANGELOG.md"} <= {path.name for path in source.iterdir()}


def test_the_wheel_alone_tells_the_story(wheel, tmp_path):
    """In an environment of its own, which has the dependencies of this one and nothing of the checkout."""
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel], check=True
    )
    own = next((tmp_path / "venv").glob("lib/*/site-packages"))
    (own / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*command: object) -> str:
        ran = subprocess.run([*map(str, command)], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    edgenas = tmp_path / "venv" / "bin" / "edgenas"
    assert "train-supernet" in run(edgenas, "--help")
    assert PROJECT["version"] in run(edgenas, "--version")
    assert f"told by {PROJECT['version']}" in run(python, "-c", STORY.format(home=str(own)))


def test_the_sbom_knows_what_edgenas_needs(released):
    bom = json.loads(next(released.glob("*.cdx.json")).read_text())
    assert bom["bomFormat"] == "CycloneDX" and bom["metadata"]["component"]["name"] == "edgenas"
    names = {canonicalize_name(component["name"]) for component in bom["components"]}
    assert {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]} <= names


def test_checksums_are_those_of_the_files(released):
    checked = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=released, capture_output=True, text=True)
    assert checked.returncode == 0 and checked.stdout.count(": OK") == 3


def test_everything_that_may_be_asked_for_is_pinned():
    asked = [*PROJECT["dependencies"], *(text for extra in PROJECT["optional-dependencies"].values() for text in extra)]
    for requirement in map(Requirement, asked):
        if requirement.name != "edgenas":
            assert requirement.specifier.contains(PINS[canonicalize_name(requirement.name)]), requirement


def test_pins_have_hashes():
    """All but torch's, whose builds are different files; bash tools/lock.sh writes them."""
    text = (ROOT / "tools" / "requirements.lock").read_text()
    locked = re.findall(r"^([\w.-]+)==(\S+) \\\n((?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", text, re.MULTILINE)
    assert {canonicalize_name(name): version for name, version, _ in locked} == {
        name: version for name, version in PINS.items() if name != "torch"
    }


def test_the_changelog_begins_with_this_version():
    first = re.search(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert first is not None
    assert first[1] == "Unreleased" if ".dev" in PROJECT["version"] else first[1].startswith(PROJECT["version"])
