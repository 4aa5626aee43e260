"""Weights that others trained, from the command line: as a beginning, and as they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from edgenas.export import load_exports, load_verifications
from edgenas.pretrained import PUBLISHED, imagenet, open_weights
from edgenas.run import Run
from edgenas.supernet import Supernet
from edgenas.training import Evaluator, Trainer
from edgenas.training.recipe import ADAPTING
from tests.cli.conftest import edgenas, succeeds
from tests.cli.test_errors import fails
from tests.pretrained.test_source import published_state

QUICK = ["--batch-size", 16, "--precision", "float32"]
SMALL = ["--resolutions", "32,40"]
MEAN = list(imagenet.MEAN)


def photos(folder: Path, classes: tuple[str, ...], n: int = 10) -> Path:
    rng = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for i in range(n):
            Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(folder / name / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    """A folder with photos/ of classes of one's own, val/ of ImageNet's, and files of weights."""
    folder = tmp_path_factory.mktemp("pretrained")
    photos(folder / "photos", ("daisy flower", "goldfish", "rose"))
    photos(folder / "val", ("n01440764", "goldfish", "2", "tiger shark, Galeocerdo cuvieri"))
    torch.save(published_state(PUBLISHED["torchvision/mobilenet_v3_small"]), folder / "v3.pth")
    torch.save({"state_dict": published_state(PUBLISHED["ofa_proxyless_d234_e346_k357_w1.3"])}, folder / "ofa")
    return folder


@pytest.fixture
def here(work, monkeypatch):
    monkeypatch.chdir(work)
    return work


def trained(*arguments: object) -> Run:
    result = edgenas("train-supernet", *arguments)
    assert result.exit_code == 0, result.output
    return Run.open(Path(arguments[arguments.index("--out") + 1]))


def test_the_list_says_what_there_is_and_whether_it_is_here(here):
    result = edgenas("pretrained")
    assert result.exit_code == 0
    assert all(name in result.output for name in PUBLISHED)
    assert "BSD-3-Clause" in result.output


def test_a_training_begins_with_published_weights(here):
    run = trained("--data", "photos", "--pretrained", "v3.pth", *SMALL, *QUICK, "--epochs", 1, "--out", "runs/begun")
    assert run.space.name == "mobilenetv3-published-small"
    assert run.space.batch_norm_epsilon == 1e-3
    assert run.config["data"]["mean"] == pytest.approx(MEAN)
    assert run.dataset().mean == pytest.approx(tuple(MEAN))
    about = run.config["pretrained"]
    assert about["name"] == "torchvision/mobilenet_v3_small"
    assert about["licence"] == "BSD-3-Clause"
    assert Path(about["file"]) == here / "v3.pth"
    assert run.provenance["pretrained"]["sha256"] == about["sha256"]
    assert "file" not in run.provenance["pretrained"]


def test_the_first_checkpoint_is_the_published_function_with_a_new_classifier(here, monkeypatch):
    """From there, an interrupted training goes on, and so do processes that train together."""
    monkeypatch.setattr("edgenas.cli.train.train_and_show", lambda run, data: None)
    run = trained("--data", "photos", "--pretrained", "v3.pth", *SMALL, *QUICK, "--epochs", 2, "--out", "runs/first")
    assert not run.weights.exists()
    trainer = Trainer(run.space, run.dataset(), run.recipe)
    trainer.load(run.checkpoint)
    assert trainer.epoch == 0
    weights = open_weights("v3.pth")
    source = Supernet(weights.space)
    source.load_state_dict(weights.tensors)
    goldfish, images = run.classes.index("goldfish"), torch.randn(2, 3, 40, 40)
    with torch.no_grad():
        ours = trainer.supernet.eval()(images, run.space.largest)
        theirs = source.eval()(images, weights.space.largest)
    torch.testing.assert_close(ours[:, goldfish], theirs[:, 1], rtol=1e-4, atol=1e-4)
    monkeypatch.undo()
    monkeypatch.chdir(here)
    assert edgenas("train-supernet", "--resume", "runs/first").exit_code == 0
    assert run.weights.exists()


def test_an_earlier_run_is_a_beginning_too(here):
    earlier = trained("--data", "photos", "--space", "lenet", *QUICK, "--epochs", 1, "--out", "runs/earlier")
    later = trained("--data", "photos", "--warm-start", "runs/earlier", *QUICK, "--epochs", 0, "--out", "runs/later")
    assert later.space == earlier.space
    assert later.config["warm_start"]["run"] == str(here / "runs/earlier")
    for name, tensor in later.supernet().state_dict().items():
        assert torch.equal(tensor, earlier.supernet().state_dict()[name])
    result = edgenas("train-supernet", "--data", "photos", "--warm-start", "runs/earlier", "--width", 0.75, "--out", "runs/no")
    assert fails(result, 2, "do not fit", "part 1 is conv blocks")
    assert not Path("runs/no").exists()


def test_weights_as_they_are_keep_their_classes_and_go_through_every_step(here, monkeypatch):
    """Folders may be named by WordNet's id, by any of the class's names, or by its index; most classes have no images."""
    (here / "alone").mkdir()
    monkeypatch.chdir(here / "alone")
    run = trained("--data", "../val", "--pretrained", "../v3.pth", "--resolutions", 32, "--epochs", 0, "--out", "runs/asis")
    assert len(run.classes) == 1000
    assert run.config["data"]["folders"] == {
        "n01440764": "tench", "goldfish": "goldfish", "2": "great white shark",
        "tiger shark, Galeocerdo cuvieri": "tiger shark",
    }  # fmt: skip
    dataset = run.dataset()
    assert set(dataset.test.labels) == {0, 1, 2, 3}
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (8, 16, 16)
    published, images = open_weights("../v3.pth"), torch.randn(1, 3, 32, 32)
    source = Supernet(published.space)
    source.load_state_dict(published.tensors)
    with torch.no_grad():
        ours, theirs = (net.eval()(images, net.space.largest) for net in (run.supernet(), source))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    for command in (
        ["profile", "--device", "cpu"],
        ["search", "runs/asis", "--device", "cpu", "--latency", "1s", "--evaluations", 12],
        ["export", "runs/asis"],
        ["verify", "runs/asis"],
        ["report", "runs/asis"],
    ):
        said = succeeds(*command)
        assert "Next: edgenas finetune" not in said  # there is nothing to train on with
    (model,) = load_exports(run.path / "export")
    assert model.classes == imagenet.classes()
    assert list(model.preprocessing.mean) == pytest.approx(MEAN)
    assert model.provenance["pretrained"]["licence"] == "BSD-3-Clause"
    assert all(verification.passed for verification in load_verifications(model.folder))
    recalls = {line.split(",")[3]: line.split(",")[5] for line in (run.path / "classes.csv").read_text().splitlines()[1:]}
    assert recalls["stingray"] == ""
    assert recalls["tench"] != ""
    assert len(json.loads((run.path / "report.json").read_text())) > 0


def test_a_published_supernet_is_imported_as_it_is(here):
    run = trained("--data", "val", "--pretrained", "ofa", *SMALL, "--epochs", 0, "--out", "runs/ofa")
    assert run.config["space"]["width"] == 1.3
    assert run.space.count() > 1e10
    dataset, supernet = run.dataset(), run.supernet()
    assert 0 <= Evaluator(supernet, dataset).accuracy(run.space.smallest) <= 1


@pytest.mark.parametrize(("arguments", "words"), [
    (["--data", "photos", "--pretrained", "v3.pth", "--epochs", 0], ["'daisy flower', 'rose'", "--epochs 0"]),
    (["--data", "photos", "--epochs", 0], ["--epochs 0", "--pretrained"]),
    (["--data", "photos", "--pretrained", "v3.pth", "--warm-start", "runs/x"], ["exclude each other"]),
    (["--data", "photos", "--pretrained", "resnet"], ["Unknown weights"]),
    (["--data", "photos", "--pretrained", "v3.pth", "--space", "mobilenetv4"], ["do not fit the space mobilenetv4-small"]),
])  # fmt: skip
def test_what_cannot_be_is_one_sentence(arguments, words, here):
    result = edgenas("train-supernet", *arguments, "--out", "runs/none")
    assert fails(result, 1 if "daisy" in words[0] else 2, *words)
    assert not Path("runs/none").exists()


@pytest.mark.parametrize(("given", "rate"), [
    ([], ADAPTING["learning_rate"]), (["--learning-rate", 0.01], 0.01), (["--optimizer", "adam"], 0.001),
])  # fmt: skip
def test_the_recipe_suits_weights_that_are_there_where_nothing_else_is_asked_for(given, rate, here, monkeypatch):
    monkeypatch.setattr("edgenas.cli.train.train_and_show", lambda run, data: None)
    out = f"runs/recipe{rate}"
    run = trained("--data", "photos", "--pretrained", "v3.pth", *SMALL, "--precision", "float32", *given, "--out", out)
    assert run.recipe.learning_rate == rate
    assert run.recipe.batch_size == ADAPTING["batch_size"]
    assert run.recipe.weight_decay == ADAPTING["weight_decay"]
