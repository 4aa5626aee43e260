import time
import tomllib
from dataclasses import replace

import numpy as np
import pytest
import tomli_w
import torch

from edgenas.errors import CheckpointError, DivergenceError, UsageError
from edgenas.supernet import Supernet
from edgenas.training import Evaluator, Recipe, Trainer
from edgenas.training.checkpoint import load_tensors, save_tensors
from edgenas.training.optimizer import learning_rate, make_optimizer
from edgenas.training.recipe import ADAPTING, INITIALISATIONS, LEARNING_RATES, parse_settings
from edgenas.training.timing import epochs_in, settled
from tests.training.conftest import make_dataset

SHORT = Recipe(epochs=4, batch_size=16, learning_rate=0.05)


class StopAfter(Exception):
    pass


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.trained().state_dict().items()}


def same(a, b) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(
    "recipe",
    [
        SHORT,
        Recipe(epochs=4, batch_size=16, learning_rate=0.05, scheme="progressive-shrinking", ema=0.9),
        Recipe(epochs=4, batch_size=16, optimizer="adamw"),
        Recipe(
            epochs=4,
            batch_size=16,
            learning_rate=0.05,
            precision="bfloat16",
            dropout=0.3,
            randaugment=9.0,
            mixup=0.2,
            cutmix=1.0,
            cutout=0.3,
            random_resized_crop=0.5,
            macs=(100_000,),
            progressive_resolution=True,
        ),
    ],
    ids=["sandwich", "progressive shrinking with average", "adamw", "everything random"],
)
@pytest.mark.parametrize("interrupted_after", [1, 2, 3])
def test_a_resumed_training_ends_with_the_very_same_weights(space, dataset, tmp_path, recipe, interrupted_after):
    whole = Trainer(space, dataset, recipe)
    whole.run()

    first = Trainer(space, dataset, recipe)

    def stop(result):
        first.save(tmp_path / "checkpoint.safetensors")
        if result.epoch == interrupted_after:
            raise StopAfter

    with pytest.raises(StopAfter):
        first.run(after_epoch=stop)
    second = Trainer(space, dataset, recipe)
    second.load(tmp_path / "checkpoint.safetensors")
    assert second.epoch == interrupted_after
    second.run()
    assert same(weights(whole), weights(second))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(space, dataset):
    def trained(seed):
        trainer = Trainer(space, dataset, Recipe(epochs=1, batch_size=16, learning_rate=0.05, seed=seed))
        trainer.run()
        return weights(trainer)

    assert same(trained(0), trained(0))
    assert not same(trained(0), trained(1))


@pytest.mark.parametrize("scheme", ["sandwich", "progressive-shrinking"])
def test_every_subnet_learns(space, scheme):
    dataset = make_dataset(600)
    trainer = Trainer(space, dataset, Recipe(epochs=10, batch_size=32, learning_rate=0.1, scheme=scheme))
    losses = []
    trainer.run(after_epoch=lambda result: losses.append(result.loss))
    evaluator = Evaluator(trainer.trained(), dataset)
    random = [space.decode(g) for g in space.sample(np.random.default_rng(0), 5)]
    accuracies = [evaluator.accuracy(a, dataset.test) for a in (space.largest, space.smallest, *random)]
    assert losses[-1] < losses[0]
    assert min(accuracies) > 0.9


def test_the_learning_rate_warms_up_and_falls_to_nothing():
    rates = [learning_rate(Recipe(learning_rate=0.4, warmup=0.2), step, 400) for step in range(400)]
    peak = int(np.argmax(rates))
    assert peak == pytest.approx(80, abs=1)
    assert max(rates) == pytest.approx(0.4)
    assert (np.diff(rates[: peak + 1]) > 0).all()
    assert (np.diff(rates[peak + 1 :]) < 0).all()
    assert rates[-1] < 0.001


def test_weight_decay_spares_norms_biases_and_kernel_transforms(space, dataset):
    trainer = Trainer(space, dataset, SHORT)
    decayed = {id(p) for p in make_optimizer(trainer.supernet, SHORT).param_groups[0]["params"]}
    for name, parameter in trainer.supernet.named_parameters():
        spared = "norm" in name or name.endswith("bias") or "kernel_transforms" in name
        assert (id(parameter) in decayed) != spared, name


def test_the_classifier_may_learn_faster_than_the_rest(space, dataset):
    """A step without momentum moves it by the factor, and everything else as before."""
    plain = Recipe(epochs=1, batch_size=16, learning_rate=0.01, momentum=0.0, warmup=0.0, scheme="single-path")
    moved = []
    for recipe in (plain, replace(plain, classifier_rate=5.0)):
        trainer = Trainer(space, dataset, recipe)
        before = weights(trainer)
        trainer.step(0, *next(iter(trainer.batches(0))))
        moved.append({name: value - before[name] for name, value in weights(trainer).items() if "running" not in name})
    for name, step in moved[0].items():
        torch.testing.assert_close(moved[1][name], step * (5 if "classify" in name else 1), rtol=1e-3, atol=1e-6)


def test_who_only_teaches_does_not_learn(space, dataset):
    """The blocks of the largest alone get no gradient in a step in which it teaches, and get one where it learns."""
    recipe = Recipe(epochs=1, batch_size=16, learning_rate=0.05, largest_alone=0.0, largest_share=1e-9, random_subnets=0)
    for share, learns in ((1e-9, False), (1.0, True)):
        trainer = Trainer(space, dataset, replace(recipe, largest_share=share))
        trainer.step(0, *next(iter(trainer.batches(0))))
        used = {slot for slot, _ in space.placed_blocks(space.smallest)}
        dropped = [block for slot, block in enumerate(trainer.supernet.blocks) if slot not in used]
        assert dropped
        assert any(p.grad is not None for block in dropped for p in block.parameters()) == learns
        assert all(p.grad is not None for p in trainer.supernet.blocks[0].parameters() if p.dim() > 1)


def test_channels_are_sorted_where_the_sandwich_begins(space, dataset):
    """Also where it begins at once, since weights may have been learned elsewhere."""
    trainer = Trainer(space, dataset, Recipe(epochs=1, batch_size=16, largest_alone=0.0))
    sorted_before = []
    trainer.supernet.sort_channels = lambda: sorted_before.append(True)
    batch = next(iter(trainer.batches(0)))
    trainer.step(0, *batch)
    trainer.step(1, *batch)
    assert len(sorted_before) == 1


def test_test_images_are_not_seen_in_training(space, dataset):
    """The same weights come out when the test split is another one."""
    other = make_dataset(seed=5)
    changed = type(dataset)(**{**vars(dataset), "test": other.test, "validation": other.validation})
    results = []
    for data in (dataset, changed):
        trainer = Trainer(space, data, Recipe(epochs=1, batch_size=16, learning_rate=0.05))
        trainer.run()
        results.append(weights(trainer))
    assert same(*results)


def test_divergence_is_told(space, dataset):
    trainer = Trainer(space, dataset, Recipe(epochs=3, batch_size=16, learning_rate=1e6, warmup=0.0))
    with pytest.raises(DivergenceError, match="lower `learning_rate`"):
        trainer.run()


def test_epochs_fit_into_a_time(space, dataset):
    trainer = Trainer(space, dataset, SHORT)
    few, many = epochs_in(trainer, 1.0), epochs_in(trainer, 20.0)
    assert 1 <= few < many
    assert same(weights(trainer), weights(Trainer(space, dataset, SHORT)))  # the trial leaves no trace


def test_a_checkpoint_of_another_recipe_is_refused(space, dataset, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    Trainer(space, dataset, SHORT).save(path)
    with pytest.raises(CheckpointError, match="another space, data set or recipe"):
        Trainer(space, dataset, Recipe(epochs=5, batch_size=16, learning_rate=0.05)).load(path)


def test_a_checkpoint_whose_recipe_lacks_what_is_new_is_read(space, dataset, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    Trainer(space, dataset, SHORT).save(path)
    tensors, about = load_tensors(path)
    del about["recipe"]["split_batch"]
    save_tensors(path, tensors, about)
    Trainer(space, dataset, SHORT).load(path)
    with pytest.raises(CheckpointError, match="another space, data set or recipe"):
        Trainer(space, dataset, replace(SHORT, split_batch=False)).load(path)


def test_a_truncated_checkpoint_is_told(space, dataset, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    Trainer(space, dataset, SHORT).save(path)
    content = path.read_bytes()
    for kept in (len(content) // 2, 4, 0):
        path.write_bytes(content[:kept])
        with pytest.raises(CheckpointError, match="damaged or incomplete"):
            Trainer(space, dataset, SHORT).load(path)


@pytest.mark.parametrize(
    ("optimizer", "initialisation"), [*((name, "he") for name in LEARNING_RATES), ("sgd", INITIALISATIONS[-1])]
)
def test_every_optimizer_learns(space, dataset, optimizer, initialisation):
    rate = 0.01 if optimizer.startswith("adam") else None  # their usual 0.001 takes more steps than there are here
    recipe = Recipe(
        epochs=12,
        batch_size=16,
        optimizer=optimizer,
        learning_rate=rate,
        initialisation=initialisation,
        scheme="single-path",
    )
    losses = []
    Trainer(space, dataset, recipe).run(after_epoch=lambda result: losses.append(result.loss))
    assert min(losses[-3:]) < 0.9 * losses[0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"optimizer": "sdg"},
        {"initialisation": "none"},
        {"scheme": "magic"},
        {"epochs": -1},
        {"momentum": 1.0},
        {"learning_rate": -1},
        {"precision": "float16"},
        {"cutout": 1.0},
        {"random_resized_crop": 1.0},
        {"classifier_rate": 0.0},
        {"largest_share": 0.0},
        {"largest_share": 1.5},
        {"mixup": -0.1},
        {"randaugment": 11},
        {"batch_norm_momentum": 0.0},
        {"macs": (0,)},
    ],
)
def test_impossible_recipes_are_refused(wrong):
    with pytest.raises(UsageError):
        Recipe(**wrong)


def test_recipes_read_back():
    recipe = Recipe(macs=(5_000_000, 20_000_000), mixup=0.2)
    assert Recipe.from_dict(tomllib.loads(tomli_w.dumps(recipe.to_dict()))) == recipe
    with pytest.raises(UsageError, match="Did you mean 'learning_rate'"):
        Recipe.from_dict({"learning_rat": 1})
    with pytest.raises(UsageError, match="nesterov must be true or false, not 1"):
        Recipe.from_dict({"nesterov": 1})


def test_what_suits_adapting_is_a_recipe():
    recipe = Recipe.from_dict(ADAPTING)
    assert recipe.learning_rate < Recipe().learning_rate and recipe.epochs < Recipe().epochs


def test_settings_are_written_as_in_toml():
    settings = parse_settings(["cutmix=1", "nesterov=false", "initialisation=xavier", "macs=[5e6, 20_000_000]", "epochs=3"])
    assert Recipe.from_dict(settings) == Recipe(
        cutmix=1.0, nesterov=False, initialisation="xavier", macs=(5_000_000, 20_000_000), epochs=3
    )
    with pytest.raises(UsageError, match="NAME=VALUE"):
        parse_settings(["cutmix"])
    with pytest.raises(UsageError, match=r"epochs must be a whole number .*, not 1\.5"):
        Recipe.from_dict(parse_settings(["epochs=1.5"]))


def test_dropout_and_batch_norm_momentum_reach_every_subnet(space):
    supernet = Supernet(space, dropout=0.5, batch_norm_momentum=0.3).train()
    x = torch.randn(8, 3, 12, 12)
    with torch.no_grad():
        assert not torch.equal(supernet(x, space.smallest), supernet(x, space.smallest))
    norm = supernet.blocks[0].full.conv_norm
    norm.running_mean.zero_()
    with torch.no_grad():
        supernet(x, space.smallest)
        mean = supernet.blocks[0].full.conv(x).mean((0, 2, 3))
    torch.testing.assert_close(norm.running_mean, 0.3 * mean)
    plain = Supernet(space).train()
    with torch.no_grad():  # another supernet's settings are its own
        assert torch.equal(plain(x, space.smallest), plain(x, space.smallest))


def test_bfloat16_follows_float32(space, dataset):
    """The same losses to bfloat16's precision; weights, which must not lose small updates, stay float32."""
    losses = {}
    for precision in ("float32", "bfloat16"):
        trainer = Trainer(space, dataset, replace(SHORT, epochs=3, largest_alone=0.0, precision=precision))
        results = []
        trainer.run(after_epoch=lambda result, results=results: results.append(result.loss))
        losses[precision] = results
        assert {p.dtype for p in trainer.supernet.parameters()} == {torch.float32}
    assert losses["bfloat16"] != losses["float32"]
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.05)


def test_auto_is_settled_once_by_timing(space, dataset, monkeypatch):
    recipe = replace(SHORT, precision="auto")
    with pytest.raises(UsageError, match="precision is still auto"):
        Trainer(space, dataset, recipe)
    assert settled(space, dataset, recipe).precision in ("float32", "bfloat16")
    assert settled(space, dataset, SHORT) is SHORT
    step, slow = Trainer.step, {}

    def dawdling(self, *arguments):
        if self.recipe.precision == slow["precision"]:
            time.sleep(0.2)
        return step(self, *arguments)

    monkeypatch.setattr(Trainer, "step", dawdling)
    for slow["precision"], fast in (("float32", "bfloat16"), ("bfloat16", "float32")):
        assert settled(space, dataset, recipe).precision == fast


def test_few_images_and_a_ragged_calibration_are_no_obstacle(space):
    """One image in a batch would have no variance where the feature map is a single pixel."""
    dataset = make_dataset(200)  # 133 training images: a calibration batch of 128, and 5 left over
    trainer = Trainer(space, dataset, Recipe(epochs=1, batch_size=131, learning_rate=0.01, largest_alone=0.0))
    trainer.run()
    evaluator = Evaluator(trainer.trained(), dataset)
    assert len(evaluator.calibration_images) == 128
    assert 0 <= evaluator.accuracy(space.smallest) <= 1
    few = make_dataset(9)
    trainer = Trainer(space, few, Recipe(epochs=1, batch_size=8, learning_rate=0.01, largest_alone=0.0))
    trainer.run()
    assert trainer.epoch == 1


@pytest.mark.parametrize("scheme", ["sandwich", "progressive-shrinking"])
def test_training_neither_reads_nor_moves_the_global_generator(space, dataset, scheme):
    recipe = Recipe(epochs=3, batch_size=16, learning_rate=0.05, dropout=0.3, scheme=scheme)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = Trainer(space, dataset, recipe)
    first.run()
    assert torch.equal(torch.get_rng_state(), state)
    second = Trainer(space, dataset, recipe)
    second.run(after_epoch=lambda result: torch.rand(1))
    assert same(weights(first), weights(second))


def test_a_step_in_the_middle_of_a_phase_has_begun_it(space, dataset):
    """So that whoever times a phase need not know what belongs to it."""
    trainer = Trainer(space, dataset, Recipe(epochs=4, batch_size=16, scheme="progressive-shrinking"))
    images, labels = next(iter(trainer.batches(0)))
    trainer.step(0, images, labels)
    assert trainer.frozen is None
    trainer.step(trainer.steps // 2, images, labels)
    frozen = trainer.frozen
    assert frozen is not None
    trainer.step(trainer.steps // 2 + 1, images, labels)
    assert trainer.frozen is frozen
