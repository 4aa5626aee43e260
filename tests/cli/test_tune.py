"""Tuning, and training by the recipe that it wrote."""

import csv
import json
import tomllib

import pytest

from edgenas.run import Run
from tests.cli.conftest import TRAIN, edgenas
from tests.cli.test_errors import fails, images
from tests.data.images import write_folder


def test_tune_then_train(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images(tmp_path / "pets", n=60)
    tune = ["tune", "--data", "pets", *TRAIN, "--epochs", 1, "--sampler", "random"]
    result = edgenas(*tune, "--trials", 1)
    assert result.exit_code == 0, result.output
    result = edgenas(*tune, "--trials", 2)
    assert result.exit_code == 0, result.output
    assert "Going on: 1 trial(s) are finished" in result.output
    assert "The best of 2 trials of 1 epoch each (0 more were given up early)" in result.output
    recipe = tomllib.loads((tmp_path / "runs/pets/tune/recipe.toml").read_text())
    assert set(recipe) == {"learning_rate", "weight_decay", "label_smoothing", "batch_size", "momentum"}
    with (tmp_path / "runs/pets/tune/trials.csv").open() as file:
        trials = list(csv.DictReader(file))
    assert float(trials[0]["accuracy"]) >= float(trials[1]["accuracy"])
    assert float(trials[0]["learning_rate"]) == pytest.approx(recipe["learning_rate"], rel=0.01)

    told = edgenas(*tune, "--trials", 2, "--json")
    assert json.loads(told.stdout)["recipe"] == "runs/pets/tune/recipe.toml"
    again = f"train-supernet --recipe runs/pets/tune/recipe.toml --data pets {' '.join(TRAIN[:8])}"
    assert f"Found a recipe in 2 trials. Next: edgenas {again}" in told.stderr

    train = ["train-supernet", "--data", "pets", *TRAIN, "--recipe", "runs/pets/tune/recipe.toml"]
    result = edgenas(*train, "--epochs", 1, "--batch-size", 64)
    assert result.exit_code == 0, result.output
    used = Run.open(tmp_path / "runs/pets").recipe.to_dict()
    expected = recipe | {"batch_size": 64, "epochs": 1}  # what is given beside the recipe overrides it
    assert {name: used[name] for name in expected} == expected


def test_a_recipe_for_uneven_classes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "parts", {"cat": 120, "dog": 20})
    result = edgenas("tune", "--data", "parts", *TRAIN, "--epochs", 1, "--trials", 1, "--metric", "balanced", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["metric"] == "balanced" and 0 <= told["trials"][0]["accuracy"] <= 1
    assert "validation balanced accuracy" in result.stderr and "--metric balanced" in result.stderr
    refused = edgenas("tune", "--data", "parts", *TRAIN, "--epochs", 1, "--trials", 1, "--metric", "recall:dgo")
    assert fails(refused, 2, "Did you mean 'dog'")


def test_usage(tmp_path):
    data = ["--data", "digits", *TRAIN, "--out", tmp_path / "run"]
    assert fails(edgenas("tune", *TRAIN), 2, "--data")
    assert fails(edgenas("tune", *data), 2, "--time")
    assert fails(edgenas("tune", *data, "--trials", 3), 2, "--epochs")
    assert fails(edgenas("tune", *data, "--trials", 3, "--epochs", 1, "--sampler", "gpp"), 2, "'gp'")
    assert fails(edgenas("tune", *data, "--trials", 3, "--epochs", 1, "--storage", "mysqll://x"), 1, "--storage")
    (tmp_path / "recipe.toml").write_text("epochs = 5\nmomentun = 0.9\n")
    for command in (["train-supernet"], ["tune", "--trials", 3, "--epochs", 1]):
        assert fails(edgenas(*command, *data, "--recipe", tmp_path / "recipe.toml"), 2, "line 2", "momentun")
    assert not (tmp_path / "run").exists() or not list((tmp_path / "run").rglob("config.toml"))
