import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from edgenas.data import load_dataset
from edgenas.errors import UsageError
from edgenas.metric import Score
from edgenas.run import Run
from edgenas.space import Architecture, BlockChoice
from edgenas.supernet import Supernet
from edgenas.training import (
    Evaluator,
    Recipe,
    Trainer,
    finetune,
    finetune_recipe,
    load_finetuned,
    train_supernet,
    warm_started,
    weights_of,
)
from edgenas.training.finetuned import FineTuned

SPACE = {"family": "mobilenetv3", "preset": "tiny", "width": 0.5, "resolutions": [12, 16]}


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGENAS_CACHE", str(tmp_path_factory.mktemp("cache")))
        return load_dataset("digits", size=16)


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory):
    run = Run.create(
        tmp_path_factory.mktemp("runs") / "digits", SPACE, digits, 0, Recipe(epochs=4, batch_size=128, largest_alone=0.3)
    )
    train_supernet(run, digits)
    return run


@pytest.fixture(scope="module")
def subnet(trained):
    return trained.space.decode(trained.space.sample(np.random.default_rng(3), 1)[0])


@pytest.fixture(scope="module")
def evaluator(trained, digits):
    return Evaluator(trained.supernet(), digits)


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_subnet_gets_better_and_is_found_again(trained, evaluator, subnet):
    recipe = finetune_recipe(trained, epochs=3)
    assert load_finetuned(trained, subnet) is None
    result = finetune(trained, evaluator, subnet, recipe)
    assert result.network.specs == trained.space.blocks(subnet)
    assert result.inherited.value == evaluator.accuracy(subnet)
    assert result.score == evaluator.score(result.network)
    assert result.score.value > result.inherited.value + 0.02
    assert result.is_used
    again = load_finetuned(trained, subnet)
    assert same(again.network, result.network)
    assert (again.recipe, again.score) == (recipe, result.score)
    untouched = finetune(trained, evaluator, subnet, recipe, track=None)  # nothing is trained, so nothing tracked
    assert same(untouched.network, result.network)
    assert [file.name for file in (trained.path / "finetune").iterdir()] == [f"{subnet.id}.safetensors"]


@pytest.mark.parametrize("distil", [False, True], ids=["from labels", "from a teacher"])
def test_an_interrupted_finetuning_ends_with_the_same_weights(trained, evaluator, distil):
    subnet = trained.space.smallest
    recipe = finetune_recipe(trained, epochs=2, learning_rate=0.01, seed=int(distil))  # each one a training of its own

    def interrupt(result):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finetune(trained, evaluator, subnet, recipe, distil=distil, report=interrupt)
    assert (trained.path / "finetune" / f"{subnet.id}.checkpoint.safetensors").exists()
    epochs = []
    resumed = finetune(trained, evaluator, subnet, recipe, distil=distil, report=lambda result: epochs.append(result.epoch))
    assert epochs == [2]
    (trained.path / "finetune" / f"{subnet.id}.safetensors").unlink()
    whole = finetune(trained, evaluator, subnet, recipe, distil=distil)
    assert same(resumed.network, whole.network)
    other = finetune(trained, evaluator, subnet, recipe, distil=not distil)
    assert not same(whole.network, other.network)


def test_in_floats_nobody_teaches_unless_asked_to(trained, evaluator):
    assert not finetune(trained, evaluator, trained.space.smallest, finetune_recipe(trained, epochs=1)).distilled


def test_what_got_worse_by_more_than_chance_is_not_used(evaluator, subnet):
    def used(accuracy, standard_error):
        before, after = (Score.of_accuracy(value, 100) for value in (0.9, accuracy))
        return FineTuned(evaluator.network(subnet), Recipe(), True, before, after, standard_error).is_used

    assert used(0.9, 0.0)
    assert not used(0.89, 0.0)
    assert used(0.89, 0.01)
    assert not used(0.87, 0.01)


def test_the_standard_error_is_that_of_paired_images(trained, evaluator, subnet):
    result = finetune(trained, evaluator, subnet, finetune_recipe(trained, epochs=1, learning_rate=0.3))
    before, after = (evaluator.answers(network).correct for network in (evaluator.network(subnet), result.network))
    won, lost, n = int((after & ~before).sum()), int((before & ~after).sum()), len(before)
    assert won + lost > 0
    assert result.score.value - result.inherited.value == pytest.approx((won - lost) / n)
    assert result.standard_error == pytest.approx((won + lost + 2) ** 0.5 / n)  # Bonett and Price (2012)
    assert load_finetuned(trained, subnet).standard_error == result.standard_error


def test_a_time_decides_the_epochs(trained, evaluator, subnet):
    recipe, epochs = finetune_recipe(trained, epochs=7), []
    result = finetune(trained, evaluator, subnet, recipe, seconds=4.0, report=lambda result: epochs.append(result.epoch))
    assert result.recipe == replace(recipe, epochs=len(epochs))
    again = finetune(trained, evaluator, subnet, recipe, seconds=4.0, track=None)  # nothing is trained, so nothing tracked
    assert same(again.network, result.network)
    shorter = finetune(trained, evaluator, subnet, recipe, seconds=0.1)
    assert shorter.recipe.epochs == 1 <= result.recipe.epochs


def test_an_interrupted_time_keeps_its_epochs(trained, evaluator, subnet, monkeypatch):
    recipe = finetune_recipe(trained, seed=3)

    def interrupt(result):
        raise KeyboardInterrupt

    module = sys.modules["edgenas.training.finetune"]  # not the function of that name
    monkeypatch.setattr(module, "epochs_in", lambda trainer, seconds, track: 3)
    with pytest.raises(KeyboardInterrupt):
        finetune(trained, evaluator, subnet, recipe, seconds=60.0, report=interrupt)
    monkeypatch.setattr(module, "epochs_in", lambda trainer, seconds, track: 99)
    epochs = []
    result = finetune(trained, evaluator, subnet, recipe, seconds=60.0, report=lambda result: epochs.append(result.epoch))
    assert epochs == [2, 3]
    assert (result.recipe.epochs, result.seconds) == (3, 60.0)


def test_a_recipe_for_one_network(trained):
    recipe = finetune_recipe(trained)
    assert recipe.epochs == round(trained.recipe.epochs / 3) == 1
    assert finetune_recipe(trained, epochs=5, learning_rate=0.2) == replace(recipe, epochs=5, learning_rate=0.2)
    assert recipe.learning_rate == pytest.approx(0.05)
    adapted = Run(trained.path, trained.config | {"recipe": replace(trained.recipe, learning_rate=0.02).to_dict()})
    assert finetune_recipe(adapted).learning_rate == 0.02
    assert (recipe.scheme, recipe.ema, recipe.batch_size) == ("single-path", 0.0, trained.recipe.batch_size)


def test_a_warm_start_keeps_everything_but_the_classifier_of_new_classes(trained, digits):
    """Classes are found by name, and resolutions do not matter."""
    classes = ("7", "new", "3")
    dataset = type(digits)(**{**vars(digits), "classes": classes})
    space = type(trained)(trained.path, trained.config | {"data": {"classes": classes}}).space
    fresh = Trainer(space, dataset, Recipe(seed=1)).supernet.state_dict()
    warm = warm_started(Trainer(space, dataset, Recipe(seed=1)), weights_of(trained)).supernet.state_dict()
    learned = trained.supernet().state_dict()
    for name, tensor in warm.items():
        if "classify" not in name:
            assert torch.equal(tensor, learned[name]), name
            continue
        assert torch.equal(tensor[0], learned[name][7])
        assert torch.equal(tensor[1], fresh[name][1])
        assert torch.equal(tensor[2], learned[name][3])


def test_a_warm_start_from_another_space_is_refused(trained, digits):
    wider = type(trained)(trained.path, trained.config | {"space": SPACE | {"width": 0.75}}).space
    with pytest.raises(UsageError, match=r"part 1 is conv blocks with 8 channels .* and conv blocks with 16 channels"):
        warm_started(Trainer(wider, digits, Recipe()), weights_of(trained))


def test_one_network_is_a_space_of_its_own(space):
    mixed = Architecture(12, ((BlockChoice(3, 2), BlockChoice(5, 2)), (BlockChoice(7, 1.5),)))
    alone = space.restricted_to(mixed)
    assert alone.count() == 1
    assert alone.blocks(alone.largest) == space.blocks(mixed)
    supernet, trained = Supernet(alone), Supernet(space)
    network = trained.extract(mixed)
    supernet.adopt(network)
    assert same(supernet.extract(alone.largest), network)
    with pytest.raises(ValueError, match="resolutions"):
        space.restricted_to(Architecture(99, mixed.stages))
