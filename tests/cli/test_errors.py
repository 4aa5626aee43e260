"""Bad input: one clear sentence, the right exit code, no traceback, nothing lost."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from edgenas.cli import COMMANDS
from edgenas.device import load_device
from edgenas.latency import load_table
from edgenas.run import Run
from edgenas.search import fastest
from tests.cli.conftest import TRAIN, edgenas

RUN = Path("runs/digits")


def fails(result, code, *words):
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    for word in words:
        assert word in result.output
    return True


def images(folder: Path, classes=("cat", "dog"), n=8) -> Path:
    for label, name in enumerate(classes):
        for i in range(n):
            path = folder / name / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (16, 16), (label * 200, i * 20, 90)).save(path)
    return folder


def test_verifying_on_a_device_needs_both_its_name_and_its_address(at_work):
    fails(edgenas("verify", RUN, "--device", "pi4"), 2, "--device and --on belong together")
    fails(edgenas("verify", RUN, "--provision"), 2, "--provision is for a device")
    there = ["--device", "pi4", "--on", "ssh://pi@nowhere", "--runtime", "ncnn"]
    fails(edgenas("verify", RUN, *there), 2, "--runtime is for this machine")
    result = edgenas("verify", RUN, "--device", "pi4", "--on", "ssh://pi@nowhere")
    fails(result, 2, "No file of runs/digits was chosen for pi4", "edgenas search runs/digits --device pi4")
    fails(edgenas("search", RUN, "--latency", "1ms", "--confidence", "1"), 2, "--confidence")


def test_every_command_has_help_with_an_example():
    for name in COMMANDS:
        result = edgenas(name, "--help")
        assert result.exit_code == 0
        assert f"edgenas {name}" in result.output
    story = edgenas("--help").output
    positions = [
        story.index(f"\n  {name}")
        for name in ("tune", "train-supernet", "profile", "search", "finetune", "export", "verify", "report")
    ]
    assert positions == sorted(positions)


def test_usage(at_work):
    assert fails(edgenas("serch"), 2, "'search'")
    assert fails(edgenas("search", RUN, "--device", "p4", "--latency", "2ms"), 2, "'pi4'")
    assert fails(edgenas("search", RUN, "--latency", "2"), 2, "2ms")
    assert fails(edgenas("search", "runs/none", "--latency", "2ms"), 2, "runs/none is no run")
    assert fails(edgenas("train-supernet", *TRAIN), 2, "--data")
    assert fails(edgenas("train-supernet", "--data", "nowhere/"), 2, "nowhere")
    assert fails(edgenas("train-supernet", "--data", "digits", "--preset", "tny", "--out", "runs/x"), 2, "'tiny'")
    assert fails(edgenas("train-supernet", "--data", "digits", "--epochs", 1, "--time", "1m", "--out", "runs/x"), 2, "exclude")
    assert fails(edgenas("train-supernet", "--data", "digits", "--out", RUN), 2, "--resume")
    start = ("train-supernet", "--data", "digits", *TRAIN, "--out", "runs/x")
    assert fails(edgenas(*start, "--set", "cutmx=1"), 2, "Did you mean 'cutmix'")
    assert fails(edgenas(*start, "--set", "dropout=much"), 2, "dropout must be a number")
    assert fails(edgenas(*start, "--macs", "5M,many"), 2, "'many'", "40M")
    assert fails(edgenas(*start, "--teacher", "none.onnx"), 2, "There is no teacher at none.onnx")
    assert not Path("runs/x").exists()
    assert fails(edgenas("export", RUN, "--architecture", "00000000"), 2, "architecture")
    assert fails(edgenas("profile", "--run", RUN, "--space", "mobilenetv3"), 2, "exclude")


def test_an_impossible_budget_names_the_fastest(at_work):
    space = Run.open(RUN).space
    architecture, _ = fastest(space, load_table(load_device("cpu"), space))
    result = edgenas("search", RUN, "--device", "cpu", "--latency", "1us")
    assert fails(result, 1, "the lowest is", f"of {architecture}", "Allow at least")


def test_a_device_without_a_table_names_the_command(at_work):
    assert fails(edgenas("search", RUN, "--device", "mobile-gpu", "--latency", "9ms"), 1, "edgenas profile --device mobile-gpu")


def test_a_device_that_this_machine_is_not(at_work):
    assert fails(edgenas("profile", "--device", "pi4", "--run", RUN), 1, "pi4")


def test_image_folders_that_cannot_be_used(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert fails(edgenas("train-supernet", "--data", empty, *TRAIN, "--out", tmp_path / "a"), 1, "empty")
    one = images(tmp_path / "one", classes=("cat",))
    assert fails(edgenas("train-supernet", "--data", one, *TRAIN, "--out", tmp_path / "b"), 1, "class")
    assert not list(tmp_path.glob("[ab]/*"))


def test_a_corrupt_image_is_reported_and_left_out(tmp_path):
    folder = images(tmp_path / "photos", n=40)
    (folder / "cat" / "broken.jpg").write_bytes(b"\xff\xd8\xff not a picture")
    result = edgenas("train-supernet", "--data", folder, *TRAIN, "--epochs", 1, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert "Left out: cat/broken.jpg: " in result.output
    assert any("broken.jpg" in name for name in Run.open(tmp_path / "run").config["data"]["skipped"])


@pytest.fixture
def copy(at_work, tmp_path):
    shutil.copytree(RUN, tmp_path / "copy")
    return tmp_path / "copy"


def test_damaged_runs(copy):
    weights = copy / "supernet.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    assert fails(edgenas("search", copy, "--latency", "9ms"), 1, "damaged or incomplete", "supernet.safetensors")
    weights.unlink()
    assert fails(edgenas("search", copy, "--latency", "9ms"), 1, "--resume")
    (copy / "checkpoint.safetensors").write_bytes(whole[:1000])
    assert fails(edgenas("train-supernet", "--resume", copy), 1, "checkpoint.safetensors", "damaged or incomplete")
    assert (copy / "checkpoint.safetensors").exists()


def test_a_run_from_a_newer_version(copy):
    file = copy / "config.toml"
    file.write_text(file.read_text().replace("version = 1", "version = 2", 1))
    assert fails(edgenas("export", copy), 1, "newer EdgeNAS")


def test_a_damaged_search_and_export(copy):
    record = next((copy / "search").glob("*ms.json"))
    record.write_text(record.read_text()[:100])
    assert fails(edgenas("export", copy), 1, record.name)
    model = next((copy / "export").glob("*/model.json"))
    model.write_text("{}")
    assert fails(edgenas("verify", copy), 1, "model.json")


def test_commands_out_of_order(copy):
    shutil.rmtree(copy / "search")
    shutil.rmtree(copy / "export")
    assert fails(edgenas("export", copy), 2, "edgenas search")
    assert fails(edgenas("finetune", copy), 2, "edgenas search")
    assert fails(edgenas("verify", copy), 2, "edgenas export")
    assert fails(edgenas("report", copy), 2, "edgenas search")


def test_a_full_disk_loses_nothing(copy, monkeypatch):
    """Weights are written by another function of the system than text: both must end in one sentence."""
    import errno

    from edgenas import files

    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    assert fails(edgenas("export", copy), 1, "disk is full")
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before
