"""How a baseline begins: with which weights, by which recipe, for how long."""

from dataclasses import replace

import pytest
import torch

from edgenas.baseline import (
    SCRATCH,
    Choice,
    at_largest,
    begins_with,
    create,
    finish,
    folder_of,
    is_done,
    load_baselines,
    published_weights,
    recipe_for,
    trained_seconds,
)
from edgenas.errors import UsageError
from edgenas.export import load_exports
from edgenas.pretrained import PUBLISHED, open_weights, published_for
from edgenas.report import contestants, side_by_side
from edgenas.space import NETWORKS
from edgenas.supernet import Supernet
from edgenas.training import Recipe, Trainer
from edgenas.training.recipe import ADAPTING, DEFAULTS
from tests.baseline.conftest import put_weights

V3 = "torchvision/mobilenet_v3_small"
SMALL = Choice("mobilenetv3-small", 64)


@pytest.fixture
def weights_here(tmp_path, monkeypatch):
    put_weights(V3, "mobilenet_v3_small-0.pth", tmp_path, monkeypatch)


def test_published_weights_of_a_network_are_those_of_it_alone():
    assert published_for("efficientnet-lite0")[0].name == "efficientnet-lite0"
    assert published_for("lenet") == []
    found = {entry.name for network in NETWORKS for entry in published_for(network)}
    assert found == {name for name in PUBLISHED if not name.startswith("ofa_")}


def test_beside_photos_it_begins_with_weights_that_are_here(make_run, weights_here):
    baseline, dataset = create(make_run(64), SMALL, epochs=2)
    assert begins_with(baseline) == V3
    assert baseline.config["pretrained"]["licence"] == "BSD-3-Clause"
    assert (dataset.mean, dataset.std) == (PUBLISHED[V3].mean, PUBLISHED[V3].std)
    for name in ("learning_rate", "batch_size", "weight_decay", "random_resized_crop"):
        assert getattr(baseline.recipe, name) == ADAPTING[name]
    assert baseline.recipe.epochs == 2
    trainer = Trainer(baseline.space, baseline.dataset(), baseline.recipe)
    trainer.load(baseline.checkpoint)
    assert (trainer.dataset.mean, trainer.dataset.std) == (dataset.mean, dataset.std)
    weights, images = open_weights(V3), torch.randn(2, 3, 64, 64)
    source = Supernet(weights.space)
    source.load_state_dict(weights.tensors)
    source.eval(), trainer.supernet.eval()
    with torch.no_grad():  # the classifier is new; what it reads is not
        for old, new in zip(source.blocks[:-1], trainer.supernet.blocks[:-1], strict=True):
            for name, tensor in new.state_dict().items():
                torch.testing.assert_close(tensor, old.state_dict()[name])
        assert trainer.supernet(images, baseline.space.largest).shape == (2, 3)


def test_stopped_before_it_has_its_weights_it_is_no_run_yet(make_run, weights_here):
    """Else it would go on from random ones, and be called pretrained."""
    run = make_run(64)

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "save", stop)
        with pytest.raises(KeyboardInterrupt):
            create(run, SMALL, epochs=1)
    assert not (folder_of(run, SMALL.name) / "config.toml").exists()
    baseline, _ = create(run, SMALL, epochs=1)
    assert begins_with(baseline) == V3
    assert baseline.checkpoint.exists()


def test_from_scratch_it_begins_so_whatever_is_here(make_run, weights_here):
    run = make_run(64)
    baseline, dataset = create(run, replace(SMALL, from_scratch=True), epochs=1)
    assert begins_with(baseline) == SCRATCH
    assert not baseline.checkpoint.exists()
    assert baseline.recipe == replace(run.recipe, scheme="single-path", epochs=1)
    assert dataset.mean == run.dataset().mean
    beside, _ = create(run, SMALL, epochs=1)
    assert begins_with(beside) == V3


def test_tiny_images_and_networks_without_weights_begin_from_scratch(make_run, weights_here):
    run = make_run(24)
    assert published_weights(run, Choice("mobilenetv3-small", 24)) == []
    baseline, _ = create(run, Choice("mobilenetv3-small", 32), epochs=1)
    assert begins_with(baseline) == SCRATCH


def test_a_tiny_run_that_begins_with_weights_has_rivals_that_do(make_run, weights_here):
    run = make_run(24, about={"pretrained": {"name": V3}})
    assert [entry.name for entry in published_weights(run, Choice("mobilenetv3-small", 24))][-1] == V3
    baseline, _ = create(run, Choice("mobilenetv3-small", 32), epochs=1)
    assert begins_with(baseline) == V3


def test_the_recipe_follows_the_beginning_where_the_runs_is_another(make_run):
    own = Recipe(epochs=5, optimizer="adam", learning_rate=0.003, batch_size=16, mixup=0.2, macs=(1000,))
    run = make_run(24, recipe=own)
    alone = replace(own, scheme="single-path", macs=())
    assert recipe_for(run, has_weights=False) == alone
    adapting = recipe_for(run, has_weights=True)
    assert (adapting.optimizer, adapting.learning_rate, adapting.mixup) == ("sgd", ADAPTING["learning_rate"], 0.2)
    begun = replace(run, config=run.config | {"pretrained": {"name": V3}})
    assert recipe_for(begun, has_weights=True) == alone
    scratch = recipe_for(begun, has_weights=False)
    assert all(getattr(scratch, name) == getattr(DEFAULTS, name) for name in ADAPTING)


def test_it_has_the_runs_time_unless_another_is_given(make_run, monkeypatch):
    run = make_run(28, trained=True)
    asked = []
    monkeypatch.setattr("edgenas.training.train.epochs_in", lambda trainer, seconds, track: asked.append(seconds) or 7)
    baseline, _ = create(run, Choice("lenet", 28))
    assert asked == pytest.approx([trained_seconds(run)])
    assert baseline.recipe.epochs == 7
    again, _ = create(run, Choice("lenet", 28), epochs=3)
    assert again.recipe.epochs == 7  # begun is begun


def test_beside_an_untrained_run_somebody_must_say_how_long(make_run):
    with pytest.raises(UsageError, match="`seconds`"):
        create(make_run(28), Choice("lenet", 28))


def test_an_interrupted_baseline_goes_on_and_is_shown_when_it_is_verified(make_run):
    run = make_run(28, trained=True)
    baseline, dataset = create(run, Choice("lenet", 28), epochs=2)

    def stop(metrics):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finish(baseline, dataset, report=stop)
    assert load_baselines(run) == []
    assert not is_done(baseline)
    verified = finish(*create(run, Choice("lenet", 28)))
    assert [row["epoch"] for row in baseline.metrics()] == [1, 2]
    assert is_done(baseline)
    (found,) = load_baselines(run)
    assert (found.name, found.resolution, found.begins_with) == ("lenet-28", 28, SCRATCH)
    assert found.verifications == tuple(verified)
    assert found.training_seconds == baseline.metrics()[-1]["seconds"]
    (model,) = load_exports(baseline.path / "export")
    assert found.validation_accuracy == model.validation.accuracy
    dates = [file.stat().st_mtime_ns for file in baseline.path.rglob("verify.json")]
    assert finish(baseline, dataset) == verified
    assert [file.stat().st_mtime_ns for file in baseline.path.rglob("verify.json")] == dates


def test_what_is_trained_is_exported_again_where_the_winners_are_in_int8(make_run):
    run = make_run(28, trained=True)
    baseline, dataset = create(run, Choice("lenet", 28), epochs=1)
    finish(baseline, dataset)
    weights, epochs = baseline.weights.read_bytes(), baseline.metrics()
    assert is_done(baseline) and not is_done(baseline, ("fp32", "int8"))
    finish(baseline, dataset, precisions=("fp32", "int8"))
    assert is_done(baseline, ("fp32", "int8"))
    assert (baseline.weights.read_bytes(), baseline.metrics()) == (weights, epochs)
    by_hand = [contestant for contestant in contestants(run) if contestant.is_baseline]
    assert {contestant.title for contestant in by_hand} == {"lenet-28", "lenet-28 int8"}
    (table,) = side_by_side(by_hand)
    assert [line.of.title for line in table.lines].count("lenet-28 int8") == 1
    assert all("onnxruntime" in line.ms for line in table.lines)


def test_the_name_of_a_file_of_yours_is_not_taken(make_run):
    run = make_run(28)
    folder_of(run, "lenet-28").mkdir(parents=True)
    (folder_of(run, "lenet-28") / "file.json").write_text("{}")
    with pytest.raises(UsageError, match="file of yours"):
        create(run, Choice("lenet", 28), epochs=1)


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_is_a_space_of_one_member(network):
    choice = at_largest(network, (64,))
    space = choice.space(classes=5)
    assert space.count() == 1
    assert space.largest.resolution == choice.resolution
