"""TensorBoard and MLflow have what metrics.jsonl has, and a training does not depend on them."""

import pytest

from edgenas.data import load_dataset
from edgenas.run import Run
from edgenas.training import Recipe, train_supernet
from edgenas.training.loggers import loggers

SPACE = {"family": "plain", "preset": "tiny", "width": 0.5, "resolutions": (20,)}
RECIPE = Recipe(epochs=2, batch_size=256, precision="float32")


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGENAS_CACHE", str(tmp_path_factory.mktemp("cache")))
        return load_dataset("digits", size=20)


@pytest.fixture
def run(tmp_path, digits) -> Run:
    return Run.create(tmp_path / "digits", SPACE, digits, 0, RECIPE)


@pytest.fixture
def client(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    address = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    return mlflow.MlflowClient(tracking_uri=address)


def only_run(client, experiment="EdgeNAS"):
    (own,) = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    return own


def values(client, own, name):
    return [(metric.step, metric.value) for metric in client.get_metric_history(own.info.run_id, name)]


def test_mlflow_has_the_metrics_and_the_recipe(run, digits, client):
    train_supernet(run, digits)
    own = only_run(client)
    assert own.info.run_name == "digits" and own.info.status == "FINISHED"
    assert values(client, own, "loss") == [(row["epoch"], row["loss"]) for row in run.metrics()]
    assert "largest_validation_accuracy" in own.data.metrics
    assert own.data.params["batch_size"] == "256"


def test_a_training_that_goes_on_does_so_in_the_same_run(run, client):
    with pytest.raises(KeyboardInterrupt), loggers(run, 0) as add:
        add("loss", 2.0, 1)
        raise KeyboardInterrupt
    assert only_run(client).info.status == "KILLED"
    with loggers(run, 1) as add:
        add("loss", 1.0, 2)
    own = only_run(client)
    assert own.info.status == "FINISHED" and values(client, own, "loss") == [(1, 2.0), (2, 1.0)]


def test_an_experiment_can_be_named(run, client, monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "flowers")
    with loggers(run, 0):
        pass
    assert only_run(client, "flowers").data.params["epochs"] == "2"


def test_where_mlflow_cannot_be_reached_the_training_goes_on(run, monkeypatch, caplog):
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "no-such-scheme://nowhere")
    with loggers(run, 0) as add:
        add("loss", 1.0, 1)
    assert sum("metrics.jsonl does" in message for message in caplog.messages) == 1
    assert not (run.path / "mlflow.toml").exists()


def test_without_mlflow_what_to_install_is_said(run, monkeypatch, caplog, without):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    without("mlflow")
    with caplog.at_level("INFO", "edgenas"), loggers(run, 0) as add:
        add("loss", 1.0, 1)
    assert "pip install 'edgenas[mlflow]'" in caplog.text


def test_without_an_address_mlflow_is_left_alone(run, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with loggers(run, 0) as add:
        add("loss", 1.0, 1)
    assert not (run.path / "mlflow.toml").exists()
