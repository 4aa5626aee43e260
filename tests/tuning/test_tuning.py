from __future__ import annotations

import numpy as np
import optuna
import pytest

import edgenas.tuning.study as study_module
from edgenas.errors import EdgeNASError, UsageError
from edgenas.metric import Metric
from edgenas.training import Recipe
from edgenas.tuning import SAMPLERS, Tuning, parameters
from edgenas.tuning.parameters import at_share, share_of
from edgenas.tuning.samplers import grid
from tests.conftest import make_micro_space
from tests.training.conftest import make_dataset

RECIPE = Recipe(batch_size=32, learning_rate=0.05, largest_alone=0.5)
DATASET = make_dataset(300)


def make(storage="sqlite://", sampler="random", epochs=2):
    """A study in memory or in a file."""
    tuning = Tuning(make_micro_space(), DATASET, RECIPE, storage, sampler=sampler)
    tuning.settle_epochs(epochs)
    return tuning


@pytest.fixture
def file(tmp_path):
    return f"sqlite:///{tmp_path}/trials.db"


@pytest.fixture
def instant(monkeypatch):
    """Trainings that take no time: their accuracy is the better the nearer the learning rate is to 0.1, after any epochs."""

    class Trainer:
        def __init__(self, space, dataset, recipe, device):
            self.recipe = recipe

        def run(self, track, after_epoch):
            for epoch in range(1, self.recipe.epochs + 1):
                after_epoch(study_module.EpochResult(epoch, "largest", 1.0, 0.1, 0.0))

    def accuracy(trainer, dataset, metric):
        found = 0.9 - 0.1 * abs(np.log(trainer.recipe.learning_rate / 0.1))
        return {"largest": found, "smallest": found} if metric.is_accuracy else {"largest": 0.25, "smallest": 0.75}

    monkeypatch.setattr(study_module, "Trainer", Trainer)
    monkeypatch.setattr(study_module, "validation_accuracy", accuracy)


# ---- parameters ----


def test_parameters_stand_for_fields_of_the_recipe():
    found = {p.field: p for p in parameters(Recipe(), 50_000)}
    assert set(found) == {"learning_rate", "weight_decay", "label_smoothing", "batch_size", "momentum"}
    momentum = found["momentum"]
    numbers = [at_share(momentum.distribution, share) for share in (0, 0.5, 1)]
    assert [momentum.to_field(n) for n in numbers] == pytest.approx([0.5, 1 - np.sqrt(0.5 * 0.01), 0.99][::-1])
    assert [found["batch_size"].to_field(n) for n in range(5, 9)] == [32, 64, 128, 256]
    for p in found.values():
        assert p.allows(getattr(Recipe(), p.field))
        for share in (0.0, 0.3, 1.0):
            assert share_of(p.distribution, at_share(p.distribution, share)) == pytest.approx(share, abs=0.35)


def test_momentum_belongs_to_optimizers_that_have_one_and_batches_to_enough_images():
    assert "momentum" not in {p.field for p in parameters(Recipe(optimizer="adamw"), 50_000)}
    assert not {p.field: p for p in parameters(Recipe(batch_size=96), 50_000)}["batch_size"].allows(96)
    few = {p.field: p.distribution for p in parameters(Recipe(), 600)}["batch_size"]
    assert (few.low, few.high) == (5, 6)


# ---- the contract of samplers ----


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_samplers(instant, sampler):
    tuning = make(sampler=sampler)
    seen = []
    tuning.run(trials=10, report=seen.append)
    assert [trial.number for trial in seen] == list(range(10))
    assert [trial.own for trial in seen] == [True] + [False] * 9
    assert seen[0].fields == {p.field: pytest.approx(getattr(RECIPE, p.field)) for p in tuning.parameters}  # the recipe's own
    assert len({tuple(trial.fields.values()) for trial in seen}) == 10
    for trial in seen:
        Recipe(**trial.fields)
    assert tuning.trials[0].accuracy == max(trial.accuracy for trial in seen if not trial.pruned)
    again = make(sampler=sampler)
    again.run(trials=10)
    assert again.trials == tuning.trials


def test_a_second_call_and_other_workers_do_not_repeat_what_was_tried(file, instant):
    first, second = make(file), make(file)
    first.run(trials=3)
    second.run(trials=6)
    make(file).run(trials=8)
    assert len({tuple(trial.fields.values()) for trial in first.trials}) == len(first.trials) == 8


def test_coarse_to_fine_closes_in_on_the_best(instant):
    tuning = make(sampler="coarse-to-fine")
    seen = []
    tuning.run(trials=30, report=seen.append)
    distance = [abs(np.log(trial.fields["learning_rate"] / 0.1)) for trial in seen]
    assert np.mean(distance[-10:]) < 0.5 * np.mean(distance[1:7])
    assert len({trial.fields["weight_decay"] for trial in seen}) == 30


def test_the_grid_ends(instant, monkeypatch):
    monkeypatch.setattr("edgenas.tuning.samplers.GRID_LEVELS", 1)
    tuning = make(sampler="grid")
    points = np.prod([len(values) for values in grid(tuning.parameters).values()])
    tuning.run(seconds=60)
    assert len(tuning.trials) == points + 1  # and the recipe's own


# ---- the study ----


def test_trainings_are_compared_and_bad_ones_given_up():
    """True trainings: one that diverges is worth nothing."""
    tuning = make(epochs=4)
    for rate in (0.05, 1e9):
        names = {p.name: p.to_number(getattr(RECIPE, p.field)) for p in tuning.parameters}
        tuning._study.enqueue_trial(names | {"learning_rate": rate})
    with pytest.warns(UserWarning, match="out of range"):
        tuning.run(trials=2)
    good, diverged = tuning.trials
    assert (good.number, good.epochs, good.fields["learning_rate"]) == (0, 4, 0.05) and good.accuracy > 0.4
    assert (diverged.number, diverged.accuracy) == (1, 0.0)


def test_a_trial_below_the_median_is_given_up(instant):
    tuning = make(epochs=4)
    tuning.run(trials=20)
    pruned = [trial for trial in tuning.trials if trial.pruned]
    assert pruned and all(trial.epochs < 4 for trial in pruned)
    assert max(t.accuracy for t in pruned) < tuning.trials[0].accuracy
    assert not tuning.trials[0].pruned and tuning.trials[0].epochs == 4


def test_an_interrupted_trial_is_made_again(file, instant, monkeypatch):
    tuning = make(file)
    tuning.run(trials=3)
    accuracy = study_module.validation_accuracy

    def interrupted(trainer, dataset, metric):
        raise KeyboardInterrupt

    monkeypatch.setattr(study_module, "validation_accuracy", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tuning.run(trials=5)
    assert len(tuning.trials) == 3
    monkeypatch.setattr(study_module, "validation_accuracy", accuracy)
    failed = tuning._study.get_trials(states=[optuna.trial.TrialState.FAIL])
    again = make(file)
    again.run(trials=4)
    assert failed[0].params in [t.params for t in again._study.get_trials(states=study_module.FINISHED)]


def test_trials_are_judged_by_the_metric_and_do_not_mix_with_those_of_another(file, instant):
    make(file).run(trials=2)
    balanced = Tuning(make_micro_space(), DATASET, RECIPE, file, sampler="random", metric=Metric("balanced"))
    assert balanced.trials == []
    balanced.settle_epochs(2)
    balanced.run(trials=1)
    assert [trial.accuracy for trial in balanced.trials] == [0.5]
    assert len(make(file).trials) == 2


def test_studies_of_other_recipes_or_spaces_do_not_mix(file, instant):
    make(file).run(trials=2)
    other = Tuning(make_micro_space(), DATASET, Recipe(optimizer="adamw"), file)
    assert other.trials == [] and other.epochs is None
    with pytest.raises(UsageError, match="2 epochs, not 5"):
        make(file, epochs=5)


def test_importance_finds_what_matters(instant):
    tuning = make(epochs=1)
    assert tuning.importances() == {}
    tuning.run(trials=30)
    found = tuning.importances()
    assert max(found, key=found.get) == "learning_rate"
    assert sum(found.values()) == pytest.approx(1)


def test_what_cannot_be():
    with pytest.raises(UsageError, match="'tpe'"):
        make(sampler="tpee")
    with pytest.raises(EdgeNASError, match="Check `storage`"):
        Tuning(make_micro_space(), DATASET, RECIPE, "nosuchdatabase://localhost/x")
