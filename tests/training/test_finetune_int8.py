"""Winners that learn in the arithmetic of their int8 files, and their float files, which stay what they were."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from edgenas.data import Dataset
from edgenas.errors import CheckpointError
from edgenas.quantisation.calibration import TRAINED
from edgenas.quantisation.computation import simulate
from edgenas.run import Run
from edgenas.space import Architecture
from edgenas.supernet import Network, fold
from edgenas.training import (
    Evaluator,
    FineTuned,
    Recipe,
    Trainer,
    finetune,
    finetune_recipe,
    load_finetuned,
    train_supernet,
)
from edgenas.training.finetuned import save_finetuned
from edgenas.training.quantised import QuantisedSupernet
from tests.training.conftest import make_dataset

SPACE = {"family": "mobilenetv3", "preset": "tiny", "width": 0.5, "resolutions": [12, 16]}


@pytest.fixture(scope="module")
def bars() -> Dataset:
    return make_dataset(192)


@pytest.fixture(scope="module")
def trained(bars: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    recipe = Recipe(epochs=6, batch_size=32, largest_alone=0.3)
    run = Run.create(tmp_path_factory.mktemp("runs") / "bars", SPACE, bars, 0, recipe)
    train_supernet(run, bars)
    return run


@pytest.fixture(scope="module")
def subnet(trained: Run) -> Architecture:
    return trained.space.decode(trained.space.sample(np.random.default_rng(3), 1)[0])


@pytest.fixture(scope="module")
def evaluator(trained: Run, bars: Dataset) -> Evaluator:
    return Evaluator(trained.supernet(), bars)


@pytest.fixture(scope="module")
def recipe(trained: Run) -> Recipe:
    return finetune_recipe(trained, epochs=2, learning_rate=0.01, precision="int8")


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def tune(run: Run, evaluator: Evaluator, subnet: Architecture, recipe: Recipe, **options: object) -> FineTuned:
    return finetune(run, evaluator, subnet, recipe, precision="int8", **options)


def test_it_begins_with_the_int8_file_and_learns_in_its_arithmetic(
    trained: Run, evaluator: Evaluator, subnet: Architecture, recipe: Recipe
) -> None:
    network = evaluator.network(subnet)
    calibration = evaluator.calibration(network)
    space = trained.space.restricted_to(subnet)
    supernet = QuantisedSupernet(space, network, calibration)
    assert same(supernet.extract(space.largest), network)
    assert replace(supernet.calibration, method=calibration.method).ranges.keys() == calibration.ranges.keys()
    images = torch.randn(8, 3, subnet.resolution, subnet.resolution)
    expected = simulate(calibration.quantisation(network.specs), fold(network))(images)
    assert torch.equal(supernet(images, space.largest), expected)

    trainer = Trainer(space, evaluator.dataset, recipe, supernet=supernet)
    trainer.run()
    learned, found = supernet.extract(space.largest), supernet.calibration
    assert not same(learned, network) and found.ranges != calibration.ranges and found.method == TRAINED
    statistics = [name for name in network.state_dict() if "running" in name]
    assert statistics and all(torch.equal(learned.state_dict()[name], network.state_dict()[name]) for name in statistics)
    computed = simulate(found.quantisation(learned.specs), fold(learned))(images)
    assert torch.equal(supernet(images, space.largest), computed)
    assert not torch.equal(computed, expected)


def test_precisions_are_kept_apart(trained: Run, evaluator: Evaluator, subnet: Architecture, recipe: Recipe) -> None:
    in_floats = finetune(trained, evaluator, subnet, finetune_recipe(trained, epochs=2))
    kept = (trained.path / "finetune" / f"{subnet.id}.safetensors").read_bytes()
    result = tune(trained, evaluator, subnet, recipe)
    assert (trained.path / "finetune" / f"{subnet.id}.safetensors").read_bytes() == kept
    assert {path.name for path in (trained.path / "finetune").iterdir()} == {
        f"{subnet.id}.safetensors", f"{subnet.id}-int8.safetensors"
    }  # fmt: skip
    assert load_finetuned(trained, subnet).calibration is None
    again = load_finetuned(trained, subnet, "int8")
    assert same(again.network, result.network) and again.calibration == result.calibration
    assert again.recipe == result.recipe == recipe

    # Both scores are of int8: of the float file's weights, calibrated, and of what was learned.
    begun = evaluator.calibration(in_floats.network)
    assert result.inherited.value == evaluator.answers(in_floats.network, calibration=begun).accuracy
    assert result.score.value == evaluator.answers(result.network, calibration=result.calibration).accuracy
    assert result.is_used


def test_what_was_done_in_the_same_way_is_not_done_again(
    trained: Run, evaluator: Evaluator, subnet: Architecture, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    tune(trained, evaluator, subnet, recipe)
    tune(trained, evaluator, subnet, recipe, track=None)  # nothing is trained, so nothing tracked
    with pytest.raises(TypeError, match="NoneType"):
        tune(trained, evaluator, subnet, recipe, per_tensor=True, track=None)
    with pytest.raises(TypeError, match="NoneType"):
        tune(trained, evaluator, subnet, recipe, distil=False, track=None)
    done = load_finetuned(trained, subnet)
    other = Network(done.network.specs)
    save_finetuned(trained, subnet, replace(done, network=other.eval()))
    with pytest.raises(TypeError, match="NoneType"):  # the float file has other weights now
        tune(trained, evaluator, subnet, recipe, track=None)
    save_finetuned(trained, subnet, done)


@pytest.mark.skipif(torch.cuda.is_available(), reason="cuDNN's gradients are not the same twice")
def test_an_interrupted_one_ends_with_the_same_weights(trained: Run, evaluator: Evaluator, recipe: Recipe) -> None:
    subnet = trained.space.smallest

    def interrupt(result: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(trained, evaluator, subnet, recipe, report=interrupt)
    assert (trained.path / "finetune" / f"{subnet.id}-int8.checkpoint.safetensors").exists()
    epochs: list[int] = []
    resumed = tune(trained, evaluator, subnet, recipe, report=lambda result: epochs.append(result.epoch))
    assert epochs == [2]
    (trained.path / "finetune" / f"{subnet.id}-int8.safetensors").unlink()
    whole = tune(trained, evaluator, subnet, recipe)
    assert same(resumed.network, whole.network) and resumed.calibration == whole.calibration


def test_a_time_decides_the_epochs(trained: Run, evaluator: Evaluator, subnet: Architecture, recipe: Recipe) -> None:
    result = tune(trained, evaluator, subnet, recipe, seconds=0.1)
    assert (result.recipe.epochs, result.seconds) == (1, 0.1)


def test_its_recipe_is_gentle(trained: Run) -> None:
    recipe, in_floats = finetune_recipe(trained, precision="int8"), finetune_recipe(trained)
    assert recipe.learning_rate == pytest.approx(in_floats.learning_rate / 10)
    assert 1 <= recipe.epochs <= in_floats.epochs
    assert (recipe.precision, recipe.dropout) == ("float32", 0.0)


def test_ranges_of_another_network_are_refused(
    trained: Run, evaluator: Evaluator, subnet: Architecture, recipe: Recipe
) -> None:
    result = tune(trained, evaluator, subnet, recipe)
    ranges = dict(result.calibration.ranges)
    ranges.popitem()
    save_finetuned(trained, subnet, replace(result, calibration=replace(result.calibration, ranges=ranges)))
    with pytest.raises(CheckpointError, match="another network"):
        load_finetuned(trained, subnet, "int8")
    save_finetuned(trained, subnet, result)
