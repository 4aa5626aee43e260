"""Names of classes as the command line shows them, whatever is in them."""

import os
import subprocess
import sys
import tomllib

import pytest

from edgenas.cli.display import say, tabulate
from edgenas.cli.show_report import show_classes
from edgenas.report import ClassRow
from tests.cli.conftest import TRAIN, edgenas
from tests.cli.test_errors import images
from tests.test_names import ASCII_LOCALE


def test_names_are_no_markup(capsys):
    rows = [
        ClassRow("1f", "model.onnx", "onnxruntime", f"wine {kind}", 5, 1.0, None, None) for kind in ("[red]", "[/b]", ":cat:")
    ]
    show_classes(rows)
    say("[bold]:cat:[/red]")
    output = "".join(capsys.readouterr())
    for name in ("wine [red]", "wine [/b]", "wine :cat:", "[bold]:cat:[/red]"):
        assert name in output


def test_a_cell_is_a_line_whatever_is_in_it(capsys):
    tabulate("", ["<class"], [["a\nb\x1b[2J"]])
    assert r"a\nb\x1b[2J" in capsys.readouterr().out


def test_photos_are_trained_on_where_they_are(tmp_path, monkeypatch):
    """`runs/` is then among the photos."""
    monkeypatch.chdir(images(tmp_path / "photos"))
    for out in ([], ["--out", "runs/again"], ["--out", "mine"], []):
        result = edgenas("train-supernet", "--data", ".", *TRAIN, "--epochs", 1, *out)
        if result.exit_code == 2:
            assert "holds a run already" in result.output
        else:
            assert result.exit_code == 0, result.output
            assert "in 2 classes" in result.output
    assert sorted(path.name for path in (tmp_path / "photos" / "runs").iterdir()) == ["again", "photos"]


@pytest.mark.skipif(sys.platform == "win32", reason="has no such locales")
def test_a_locale_that_is_not_utf_8(tmp_path):
    """Training writes names that the locale cannot say, and reads them again."""
    folder = images(tmp_path / "phötos", classes=("café 🐸", "dog"))
    start = [sys.executable, "-m", "edgenas", "train-supernet"]
    options = {"env": os.environ | ASCII_LOCALE, "capture_output": True, "cwd": tmp_path}
    training = [*start, "--data", folder, *TRAIN, "--epochs", "1", "--out"]
    ran = subprocess.run([str(each) for each in [*training, "rün"]], **options)
    assert ran.returncode == 2 and b"--out, or set PYTHONUTF8=1" in ran.stderr and not (tmp_path / "rün").exists()
    for command in ([*training, "run"], [*start, "--resume", "run"]):
        ran = subprocess.run([str(each) for each in command], **options)
        assert ran.returncode == 0, ran.stderr.decode()
        (tmp_path / "run" / "supernet.safetensors").unlink()
    config = tomllib.loads((tmp_path / "run" / "config.toml").read_text(encoding="utf-8"))
    assert config["data"]["classes"] == ["café 🐸", "dog"] and config["data"]["source"] == str(folder)
