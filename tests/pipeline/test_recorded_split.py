"""A run whose images are renamed, moved, relabelled, added to and lost after its training."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import edgenas
from edgenas.cli import main
from edgenas.errors import CheckpointError, DataError, UsageError
from edgenas.latency import Calibration, Entry, LatencyTable
from edgenas.pipeline.evaluations import run_ledger
from edgenas.pipeline.train import create
from edgenas.run import Run
from edgenas.training import Evaluator
from tests.conftest import ORT

SMALL = {"preset": "tiny", "width": 0.5, "resolutions": (12, 16), "precision": "float32", "batch_size": 16}


def write_photos(folder, count=40):
    rng = np.random.default_rng(0)
    for name, bright in (("cat", 0), ("dog", 1)):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 160, (20, 20, 3), dtype=np.uint8)
            pixels[:, 10 * bright : 10 * bright + 10] += 60
            Image.fromarray(pixels).save(folder / name / f"{number:02}.png")
    return folder


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A folder with photos/ and a trained run of them."""
    folder = tmp_path_factory.mktemp("original")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGENAS_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        write_photos(folder / "photos")
        edgenas.train_supernet(folder / "photos", out=folder / "runs" / "photos", epochs=2, **SMALL)
    return folder


@pytest.fixture
def run(original, tmp_path, monkeypatch):
    """A copy whose photos are to be changed."""
    shutil.copytree(original, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return Run.open(Path("runs/photos"))


def renamed(folder):
    for number, file in enumerate(sorted(folder.rglob("*.png"), reverse=True)):
        file.rename(file.with_name(f"IMG_{number:04}.png"))


def one_more(folder):
    Image.fromarray(np.random.default_rng(9).integers(0, 255, (20, 20, 3), dtype=np.uint8)).save(folder / "cat" / "00a.png")


def made_table(space):
    blocks = space.distinct_blocks
    latencies = np.random.default_rng(0).uniform(0.01, 0.1, len(blocks))
    entries = {spec.key: Entry(float(ms), 0.01, 3) for spec, ms in zip(blocks, latencies, strict=True)}
    calibrations = {space.fingerprint: Calibration(0.3, 1.2, 0.5, fitted_on=5, stated_interval=0.1)}
    return LatencyTable("box", ORT, reference_ms=0.1, entries=entries, calibrations=calibrations)


def story(run, data):
    """What search, export and verify come to, with the images at `data`."""
    table = made_table(run.space)
    run.search(2 * table.predict_one(run.space, run.space.largest), device=table, evaluations=12, data=data)
    run.finetune(epochs=1, data=data)
    exported = run.export("onnx", data=data)
    ((_, verifications),) = run.verify(data=data).results
    return (
        dict(run_ledger(run).items()),
        [model.folder.name for model in exported.models],
        [(v.accuracy, v.torch_accuracy, v.images) for v in verifications],
    )


def test_the_story_is_the_same_whatever_the_images_are_called(run, original, tmp_path):
    shutil.copytree(run.path, tmp_path / "runs" / "photos")
    renamed(Path("photos"))
    one_more(Path("photos"))
    assert story(run, "photos") == story(Run.open(tmp_path / "runs" / "photos"), str(original / "photos"))


def test_an_image_more_is_told_and_an_image_less_too(run, caplog):
    before = len(run.dataset("photos").train)
    one_more(Path("photos"))
    Path("photos/dog/07.png").write_bytes(b"")
    dataset = run.dataset("photos")
    assert sum(map(len, dataset.splits.values())) == 79 and before - 1 <= len(dataset.train) <= before
    assert "1 image of the run is not in" in caplog.text and "such as dog/07.png" in caplog.text
    assert "photos, but not in the run's record, such as cat/00a.png: left aside" in caplog.text


def test_swapped_class_folders_are_refused(run):
    for old, new in (("cat", "other"), ("dog", "cat"), ("other", "dog")):
        Path("photos", old).rename(Path("photos", new))
    for step in (run.export, run.verify, run.finetune):
        with pytest.raises((DataError, UsageError)):
            step(data="photos")
    with pytest.raises(DataError, match="most images of 'cat' are now in 'dog', of 'dog' are now in 'cat'"):
        run.dataset("photos")


def test_new_images_are_taken_on_request(run):
    before = run.dataset("photos")
    ledger = run_ledger(run)
    ledger.evaluate(run.space.largest, lambda _: 0.5)
    assert len(run_ledger(run)) == len(ledger)
    for number in range(10):
        pixels = np.random.default_rng(number).integers(0, 255, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(f"photos/cat/0{number}-new.png")
    output = CliRunner().invoke(main, ["add-images", "runs/photos", "--data", "photos"]).output
    assert "10 new images in the splits of runs/photos: 8 for train, 1 for validation, 1 for test." in output
    again = Run.open(run.path)
    after = again.dataset("photos")
    assert after.changes == ()
    assert len(run_ledger(again)) == 0  # what was measured on other images is not compared with what will be
    assert {part: again.images(part) for part in after.splits} == {part: len(split) for part, split in after.splits.items()}
    for part, split in after.splits.items():
        old = before.splits[part]
        first = np.arange(len(old))
        assert np.array_equal(split.batch(first)[0], old.batch(first)[0]) and len(split) > len(old)
    assert "No image there is new" in CliRunner().invoke(main, ["add-images", "runs/photos", "--data", "photos"]).output
    # A killed process may have written the record and not the configuration.
    run.path.joinpath("config.toml").write_bytes(Path("../copy/runs/photos/config.toml").read_bytes())
    assert len(Run.open(run.path).dataset("photos").train) == len(after.train)
    assert Run.open(run.path).add_images(data="photos").run.config == again.config


def test_weights_are_not_judged_by_what_they_were_trained_on(run, caplog):
    renamed(Path("photos"))
    caplog.set_level("INFO")
    begun = create("photos", out=Path("runs/again"), warm_start=run.path, seed=3, epochs=1)
    assert "The run that this begins with knows 80 images of these" in caplog.text
    first, second = (Evaluator(run.supernet(), each.dataset("photos")).dataset for each in (run, begun))
    assert np.array_equal(np.sort(first.train.rows), np.sort(second.train.rows))
    assert np.array_equal(np.sort(first.test.rows), np.sort(second.test.rows))


@pytest.mark.parametrize("damage", ["missing", "cut", "other"])
def test_a_damaged_record(run, damage):
    file = run.images_file
    if damage == "missing":
        file.unlink()
    elif damage == "cut":
        file.write_text("\n".join(file.read_text().splitlines()[:-3]) + "\n")
    else:
        file.write_bytes(b"\0" * 1000)
    with pytest.raises(CheckpointError, match=r"images\.csv") as raised:
        run.dataset("photos")
    assert len(str(raised.value)) < 400


def test_a_run_of_an_older_version_takes_no_new_images(tmp_path):
    shutil.copytree(Path(__file__).parent / "run_of_1a12b32", tmp_path / "old")
    with pytest.raises(UsageError, match="older version, which recorded no images"):
        Run.open(tmp_path / "old").add_images()
