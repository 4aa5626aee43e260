"""`edgenas baseline` on a copy of the run that the other tests of this folder share."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgenas.baseline import OWN, SCRATCH, begins_with, folder_of, load_baselines
from edgenas.cli.display import scored
from edgenas.errors import DivergenceError
from edgenas.export import load_exports, load_verifications
from edgenas.metric import ACCURACY
from edgenas.run import Run
from tests.baseline.conftest import hide_weights, put_weights
from tests.cli.conftest import edgenas
from tests.cli.test_errors import fails
from tests.cli.test_pretrained import photos

RUN = Path("runs/digits")


@pytest.fixture(scope="module")
def run(workspace: Path, tmp_path_factory) -> Run:
    """With lenet, trained for two epochs, and a file of one's own: the run's own smallest winner."""
    folder = tmp_path_factory.mktemp("baseline") / "run"
    shutil.copytree(workspace / RUN, folder)
    (folder / "front.png").unlink()
    shutil.copy(load_exports(folder / "export")[0].file("onnx"), folder.parent / "mine.onnx")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workspace)
        patch.setenv("EDGENAS_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        said = ""
        for arguments in (["--network", "lenet", "--epochs", 2], ["--model", folder.parent / "mine.onnx"]):
            result = edgenas("baseline", folder, *arguments)
            assert result.exit_code == 0, result.output
            said += result.output
        (folder.parent / "said.txt").write_text(said)
        result = edgenas("report", folder)
        assert result.exit_code == 0, result.output
        (folder.parent / "report.txt").write_text(result.output)
    return Run.open(folder)


def written(run: Run) -> dict[Path, int]:
    return {file: file.stat().st_mtime_ns for file in (run.path / "baselines").rglob("*") if file.is_file()}


def diverges(*_, **__):
    """In place of `finish`: nothing is trained."""
    raise DivergenceError("The loss became nan")


def test_it_says_what_it_does_and_what_came_of_it(run):
    said = (run.path.parent / "said.txt").read_text()
    assert "1 baseline, each trained for 2 epochs: lenet-28" in said
    assert "lenet-28: 2 epochs, beginning with random weights\n" in said
    for baseline in load_baselines(run):
        first = baseline.verifications[0]
        assert f"{baseline.name}: {scored(first.score(ACCURACY))} of {first.images} test images, " in said
    assert f"Next: edgenas report {run.path}" in said


def test_a_network_is_a_run_of_its_own_on_the_same_images(run):
    lenet = Run.open(folder_of(run, "lenet-28"))
    assert lenet.recipe.epochs == 2
    assert begins_with(lenet) == SCRATCH
    for name in ("source", "seed", "classes", "images", "mean", "std"):
        assert lenet.config["data"][name] == run.config["data"][name]
    (model,) = load_exports(lenet.path / "export")
    verified = load_verifications(model.folder)
    assert {v.execution.runtime for v in verified} >= {"onnxruntime", "litert"}
    assert all(v.parity.holds for v in verified)


def test_a_winner_as_a_file_is_what_it_was_as_a_winner(run):
    mine = next(baseline for baseline in load_baselines(run) if baseline.begins_with == OWN)
    winner = load_exports(run.path / "export")[0]
    before = next(v for v in load_verifications(winner.folder) if v.execution.runtime == "onnxruntime")
    after = next(v for v in mine.verifications if v.execution.runtime == "onnxruntime")
    assert (mine.name, mine.resolution) == ("mine", winner.preprocessing.resolution)
    assert (after.accuracy, after.confusion) == (before.accuracy, before.confusion)
    assert after.parity is None
    # The clock of a busy machine says little; the bytes say that it is the same network.
    assert np.isclose(after.file_bytes, before.file_bytes, rtol=0.01)


def test_the_report_shows_them_in_table_file_and_picture(run):
    text = (run.path.parent / "report.txt").read_text()
    table = text[text.index("Beside networks that people pick by hand") :]
    (lenet,) = (line for line in table.splitlines() if "lenet-28" in line and "by hand" in line)
    assert SCRATCH in lenet
    (mine,) = (line for line in table.splitlines() if "mine" in line and "by hand" in line)
    assert OWN in mine
    report = json.loads((run.path / "report.json").read_text())
    assert {row["name"] for row in report["baselines"]} == {"lenet-28", "mine"}
    assert all(row["is_baseline"] and row["latency_ms"] > 0 for row in report["baselines"])
    assert report["winners"]
    assert all(sentence in " ".join(text.split()) for sentence in (" ".join(s.split()) for s in report["judgement"]))


def width(png: bytes) -> int:
    return int.from_bytes(png[16:20], "big")


def test_a_picture_with_baselines_has_a_second_panel(run, at_work):
    assert width((run.path / "front.png").read_bytes()) == 2 * width((RUN / "front.png").read_bytes())


def test_what_is_done_is_not_done_again(run, at_work):
    before = written(run)
    result = edgenas("baseline", run.path, "--network", "lenet", "--epochs", 9, "--model", run.path.parent / "mine.onnx")
    assert result.exit_code == 0, result.output
    assert "lenet-28: there already" in result.output
    assert "each trained for" not in result.output
    assert written(run) == before


def test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(run, at_work, monkeypatch):
    command = ["baseline", run.path, "--network", "strided-cnn", "--resolutions", 12, "--epochs", 2]

    def stop(metrics):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("edgenas.cli.baseline.show_epoch_by_hand", stop)
        result = edgenas(*command)
    assert result.exit_code == 130
    assert "the same command goes on from there" in result.output
    begun = Run.open(folder_of(run, "strided-cnn-12"))
    assert begun.checkpoint.exists()
    assert "strided-cnn-12" not in {baseline.name for baseline in load_baselines(run)}
    result = edgenas(*command)
    assert result.exit_code == 0, result.output
    assert "epoch    2" in result.output
    assert "epoch    1" not in result.output
    assert "strided-cnn-12" in {baseline.name for baseline in load_baselines(run)}
    shutil.rmtree(begun.path)


def test_one_that_diverges_is_left_out_and_the_others_are_made(run, at_work, monkeypatch):
    monkeypatch.setattr("edgenas.pipeline.baseline.finish", diverges)
    result = edgenas("baseline", run.path, "--network", "strided-cnn", "--network", "lenet", "--epochs", 1)
    assert result.exit_code == 0, result.output
    assert "strided-cnn-16: left out, since its training diverged" in result.output
    assert "lenet-28: there already" in result.output
    shutil.rmtree(folder_of(run, "strided-cnn-16"))


def test_photos_are_compared_with_what_begins_with_published_weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photos(tmp_path / "photos", ("daisy", "goldfish", "rose"))
    new = ["--space", "plain", "--width", 0.25, "--resolutions", 64, "--epochs", 1, "--batch-size", 8, "--out", "runs/photos"]
    assert edgenas("train-supernet", "--data", "photos", *new).exit_code == 0
    command = ["baseline", "runs/photos", "--network", "mobilenetv3-small", "--epochs", 1]
    hide_weights(tmp_path, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr("edgenas.pipeline.baseline.finish", diverges)
        result = edgenas(*command)
    assert result.exit_code == 0, result.output
    assert "beginning with random weights, since timm/mobilenetv3_small_100's are not here: load it with timm" in result.output
    shutil.rmtree("runs/photos/baselines")
    put_weights("torchvision/mobilenet_v3_small", "mobilenet_v3_small-0.pth", tmp_path, monkeypatch)
    for options in ([], ["--from-scratch"]):
        result = edgenas(*command, *options)
        assert result.exit_code == 0, result.output
    assert "mobilenetv3-small-64-scratch: 1 epoch, beginning with random weights\n" in result.output
    assert {baseline.name: baseline.begins_with for baseline in load_baselines(Run.open(Path("runs/photos")))} == {
        "mobilenetv3-small-64": "torchvision/mobilenet_v3_small", "mobilenetv3-small-64-scratch": SCRATCH,
    }  # fmt: skip


@pytest.mark.parametrize(("arguments", "words"), [
    (["--network", "lenett"], ["Unknown network", "lenet"]),
    (["--network", "lenet", "--resolutions", "12"], ["lenet cannot take images of 12 pixels"]),
    (["--time", "1m", "--epochs", 1], ["--time and --epochs exclude each other"]),
    (["--model", "missing.onnx"], ["There is no model at missing.onnx"]),
    (["--network", "lenet", "--epochs", 0], ["--epochs"]),
])  # fmt: skip
def test_what_cannot_be_is_one_sentence(arguments, words, run, at_work):
    before = written(run)
    fails(edgenas("baseline", run.path, *arguments), 2, *words)
    assert written(run) == before


def test_a_file_with_other_classes_is_refused(run, at_work, tmp_path):
    model = onnx.load(run.path.parent / "mine.onnx")
    for entry in model.metadata_props:
        if entry.key == "classes":
            entry.value = json.dumps(json.loads(entry.value)[::-1])
    onnx.save(model, tmp_path / "other.onnx")
    fails(edgenas("baseline", run.path, "--model", tmp_path / "other.onnx"), 2, "other classes than the data set")
    assert not folder_of(run, "other").exists()


def test_beside_a_run_that_is_not_trained_there_is_nothing_to_compare(run, at_work, tmp_path):
    shutil.copytree(run.path, tmp_path / "run", ignore=shutil.ignore_patterns("supernet.safetensors", "baselines"))
    fails(edgenas("baseline", tmp_path / "run"), 1, "is not trained to its end")
    fails(edgenas("baseline", tmp_path / "none"), 2, "is no run")
