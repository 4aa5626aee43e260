"""`deploy`: a bundle on a device, which here is this machine's shell with a home folder of its own."""

from __future__ import annotations

import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from edgenas.deployment import install as installing
from edgenas.device.provision import RemotePython
from edgenas.errors import EdgeNASError, UsageError
from edgenas.pipeline.deploy import deploy, name_of, undeploy
from tests.device.test_ssh import Board, board, fake_ssh  # noqa: F401  # fixtures

HOST = "ssh://pi@host"
NEEDED = ("dirname", "env", "rmdir", "touch")


@pytest.fixture
def device(board: Board, monkeypatch: pytest.MonkeyPatch) -> Board:  # noqa: F811
    """A board with a Python that has everything."""
    for tool in NEEDED:
        (board.programs / tool).symlink_to(shutil.which(tool))
    board.has("python3", f'exec {sys.executable} "$@"')
    monkeypatch.setattr("edgenas.deployment.predict.BENCHMARK_S", 0.2)
    return board


def all_files(device: Board) -> set[str]:
    return {path.relative_to(device.home).as_posix() for path in device.home.rglob("*") if path.is_file()}


def test_it_is_tested_timed_and_works_there(device: Board, bundle: Path) -> None:
    done = deploy(bundle, HOST)
    assert done.folder == "~/edgenas/cat" and done.runtime == "onnxruntime" and not done.service
    assert "preparation: equal to the last bit" in done.tested and "model.onnx in onnxruntime: " in done.tested
    assert "model.onnx in onnxruntime: " in done.timed and " ms (median of " in done.timed
    folder = device.home / "edgenas" / "cat"
    assert {"classify", "predict.py", "model.onnx", "model.json"} <= {path.name for path in folder.iterdir()}
    assert not (folder / "packages").exists()  # its Python has them
    assert not list(folder.parent.glob("*.part"))


def test_a_runtime_may_be_chosen(device: Board, bundle: Path) -> None:
    assert deploy(bundle, HOST, name="second", runtime="litert").timed.startswith("model.tflite in litert: ")
    assert (device.home / "edgenas" / "second" / "classify").exists()


def test_what_is_taken_away_leaves_nothing(device: Board, bundle: Path) -> None:
    before = all_files(device)
    deploy(bundle, HOST)
    assert undeploy(bundle, HOST)
    assert all_files(device) == before and not (device.home / "edgenas").exists()
    assert not undeploy(bundle, HOST)


def test_what_computes_something_else_does_not_stay(device: Board, bundle: Path, tmp_path: Path) -> None:
    broken = tmp_path / "cat.zip"
    with zipfile.ZipFile(bundle) as whole, zipfile.ZipFile(broken, "w") as archive:
        for name in whole.namelist():
            content = whole.read(name)
            archive.writestr(name, content[:-9] + b"123456789" if name.endswith("model.onnx") else content)
    with pytest.raises(EdgeNASError, match=r"model\.onnx is missing, damaged or changed"):
        deploy(broken, HOST)
    assert not (device.home / "edgenas").exists()


SYSTEMCTL = """echo "$*" >>"$HOME/systemctl"
test "$2" != show-environment || exit {has}
"""


def test_a_service(device: Board, bundle: Path) -> None:
    device.has("systemctl", SYSTEMCTL.format(has=0))
    done = deploy(bundle, HOST, service="rpicam-vid -t 0 --codec mjpeg -o -")
    assert done.service == "edgenas-cat.service"
    unit = (device.home / ".config/systemd/user/edgenas-cat.service").read_text()
    assert "ExecStart=/bin/sh %h/edgenas/cat/serve" in unit
    serve = (device.home / "edgenas/cat/serve").read_text()
    assert 'rpicam-vid -t 0 --codec mjpeg -o - | "$(dirname "$0")/classify" - --json' in serve
    asked = (device.home / "systemctl").read_text()
    assert "--user enable --quiet edgenas-cat.service" in asked and "--user restart edgenas-cat.service" in asked
    assert undeploy(bundle, HOST)
    assert "--user disable --quiet --now edgenas-cat.service" in (device.home / "systemctl").read_text()
    assert all_files(device) == {"systemctl"}


@pytest.mark.parametrize("has", [None, 1])
def test_without_systemd_it_is_said(device: Board, bundle: Path, has: int | None) -> None:
    if has is not None:
        device.has("systemctl", SYSTEMCTL.format(has=has))
    with pytest.raises(EdgeNASError, match="it has no systemd for users"):
        deploy(bundle, HOST, service="true")
    assert not (device.home / "edgenas").exists()


def test_packages_are_brought_where_they_lack(device: Board, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is downloaded is told by the arguments; here it is a module that says that it was imported."""
    device.has(
        "python3",
        f"""
case "$*" in *"import PIL"*|*"import numpy, PIL"*) test -e "$HOME/edgenas/cat/packages/PIL.py" || {{
    echo "ModuleNotFoundError: No module named 'PIL'" >&2; exit 1; }};; esac
exec {sys.executable} "$@"
""",
    )
    asked = []

    def download(folder: Path, package: str, python: RemotePython, *others: str) -> None:
        asked.append((package, *others))
        (folder / "brought.txt").touch()

    monkeypatch.setattr(installing, "download_packages", download)
    deploy(bundle, HOST)
    assert asked == [("onnxruntime", "pillow")]
    assert (device.home / "edgenas" / "cat" / "packages" / "brought.txt").exists()


def test_a_32_bit_device_gets_tflite_runtime(device: Board, bundle: Path) -> None:
    class Shell:
        python = RemotePython((3, 11), "armv7l", 36, True)

    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(device.home)
    assert installing._runtime_for(Shell(), device.home / "cat") == "tflite-runtime"
    (device.home / "cat" / "model.tflite").unlink()
    with pytest.raises(EdgeNASError, match="armv7l, for which there are no wheels of onnxruntime: export a TFLite file"):
        installing._runtime_for(Shell(), device.home / "cat")


@pytest.mark.parametrize("name", ["../up", "a b", "-x", "a;b", "", "x" * 65])
def test_names_that_lead_elsewhere(device: Board, bundle: Path, name: str) -> None:
    with pytest.raises(UsageError, match="name"):
        deploy(bundle, HOST, name=name)
    assert not all_files(device)


def test_a_network_is_called_after_its_run(tmp_path: Path) -> None:
    assert name_of(tmp_path / "cats & dogs.zip") == "cats---dogs"
    assert name_of(tmp_path / "..ß") == "network" or name_of(tmp_path / "..ß").isascii()


def test_an_emulated_pi(pi: Path, bundle: Path) -> None:
    done = deploy(bundle, "ssh://pi", runtime="litert")
    assert "preparation: equal to the last bit" in done.tested and "model.tflite in litert: " in done.tested
    assert (pi / "edgenas" / "cat" / "packages").is_dir()
    assert undeploy(bundle, "ssh://pi")
    assert not (pi / "edgenas").exists()
