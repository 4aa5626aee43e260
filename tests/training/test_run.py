import json
from dataclasses import asdict

import pytest
import torch

from edgenas.data import load_dataset
from edgenas.errors import CheckpointError, DataError, UsageError
from edgenas.run import Run
from edgenas.supernet import Supernet
from edgenas.training import Recipe, train_supernet
from edgenas.training.trainer import EpochResult

SPACE = {"family": "mobilenetv3", "preset": "tiny", "width": 0.5, "resolutions": [12]}
RECIPE = Recipe(epochs=2, batch_size=256, learning_rate=0.05)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGENAS_CACHE", str(tmp_path_factory.mktemp("cache")))
        return load_dataset("digits", size=12)


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory):
    run = Run.create(tmp_path_factory.mktemp("runs") / "digits", SPACE, digits, 0, RECIPE)
    train_supernet(run, digits)
    return run


def test_a_run_is_plain_files_that_read_back(trained):
    again = Run.open(trained.path)
    assert again.recipe == RECIPE
    assert again.space.resolutions == (12,)
    assert again.classes == tuple("0123456789")
    names = {file.name for file in trained.path.iterdir()}
    assert {"config.toml", "images.csv", "supernet.safetensors", "metrics.jsonl", "tensorboard"} <= names
    assert "checkpoint.safetensors" not in names
    state = again.supernet().state_dict()
    assert state.keys() == Supernet(again.space).state_dict().keys()
    assert not any(torch.isnan(tensor).any() for tensor in state.values())


def test_metrics_have_one_line_for_every_epoch(trained):
    rows = trained.metrics()
    assert [row["epoch"] for row in rows] == [1, 2]
    assert 0 <= rows[-1]["largest_validation_accuracy"] <= 1
    assert rows[-1]["seconds"] > rows[0]["seconds"] > 0


def test_tensorboard_can_read_the_metrics(trained):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(trained.path / "tensorboard")).Reload()
    losses = [event.value for event in events.Scalars("loss")]
    assert losses == pytest.approx([row["loss"] for row in trained.metrics()], rel=1e-5)


def test_metrics_after_the_checkpoint_are_dropped_on_resume(tmp_path, digits):
    run = Run.create(tmp_path / "run", SPACE, digits, 0, RECIPE)
    rows = [asdict(EpochResult(epoch, "largest", 1 / epoch, 0.1, 2.0 * epoch)) for epoch in (1, 2)]
    (run.path / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)) + '\n{"epoch": 3, "lo')
    assert run.metrics() == rows
    assert run.metrics(up_to_epoch=1) == rows[:1]


def test_a_run_folder_is_not_overwritten(trained, digits):
    with pytest.raises(UsageError, match="`resume`"):
        Run.create(trained.path, SPACE, digits, 0, RECIPE)


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(UsageError, match="train_supernet"):
        Run.open(tmp_path)
    with pytest.raises(UsageError, match="no trained run"):
        Run.latest(tmp_path)


def test_a_run_from_a_newer_version(tmp_path, digits):
    run = Run.create(tmp_path / "run", SPACE, digits, 0, RECIPE)
    file = run.path / "config.toml"
    file.write_text(file.read_text().replace("version = 1", "version = 99"))
    with pytest.raises(CheckpointError, match="newer EdgeNAS"):
        Run.open(run.path)


def test_a_damaged_configuration(tmp_path, digits):
    run = Run.create(tmp_path / "run", SPACE, digits, 0, RECIPE)
    (run.path / "config.toml").write_text("version = 1\n[space")
    with pytest.raises(CheckpointError, match="damaged"):
        Run.open(run.path)


def test_an_unfinished_run_says_how_to_go_on(tmp_path, digits):
    run = Run.create(tmp_path / "run", SPACE, digits, 0, RECIPE)
    with pytest.raises(CheckpointError, match="resume="):
        run.supernet()


def test_truncated_weights(tmp_path, trained, digits):
    run = Run.create(tmp_path / "run", SPACE, digits, 0, RECIPE)
    run.weights.write_bytes(trained.weights.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="damaged or incomplete"):
        run.supernet()


def test_other_images_than_those_of_the_run_are_refused(tmp_path, digits):
    run = Run.create(tmp_path / "run", SPACE, digits, 0, RECIPE)
    with pytest.raises(DataError, match="does not hold the images"):
        run.dataset("mnist5k")
    del run.config["data"]["recorded"]  # as in an older version
    run.config["data"]["images"]["train"] += 1
    with pytest.raises(CheckpointError, match="does not hold the images"):
        run.dataset()
    with pytest.raises(UsageError, match="`data`"):
        run.dataset(str(tmp_path / "nowhere"))


def test_the_latest_run(tmp_path, trained):
    import os
    import shutil

    for name, age in (("old", 100), ("new", 0)):
        shutil.copytree(trained.path, tmp_path / name)
        stat = trained.weights.stat()
        os.utime(tmp_path / name / "supernet.safetensors", (stat.st_atime, stat.st_mtime - age))
    assert Run.latest(tmp_path).path == tmp_path / "new"
