from types import SimpleNamespace

import numpy as np
import pytest

from edgenas.device import Provenance
from edgenas.metric import Score
from edgenas.report import Contestant
from edgenas.report.plot import front_figure, training_figure
from tests.conftest import ORT

HERE = Provenance(fingerprint="here")


def row(epoch, phase, *accuracies):
    names = ("largest_validation_accuracy", "smallest_validation_accuracy")
    return {"epoch": epoch, "phase": phase, "seconds": 60.0 * epoch} | dict(zip(names, accuracies, strict=False))


def test_training_is_drawn_with_its_accuracies_and_phases():
    metrics = [row(1, "largest"), row(2, "largest", 0.5, 0.25), row(3, "sandwich"), row(4, "sandwich", 0.75, 0.5)]
    (axes,) = training_figure(metrics).axes
    largest, smallest = axes.lines[:2]
    assert list(largest.get_xdata()) == list(smallest.get_xdata()) == [2, 4]
    assert list(largest.get_ydata()) == [50, 75]
    assert list(smallest.get_ydata()) == [25, 50]
    # A phase begins where the last epoch of the one before it ended.
    assert [(text.get_text().strip(), text.xy[0]) for text in axes.texts] == [("largest", 0), ("sandwich", 2)]


@pytest.mark.parametrize("phases", [["single-path"], ["kernel", "depth", "expand"]])
def test_every_scheme_is_drawn(phases):
    (axes,) = training_figure([row(i + 1, phase, 0.5, 0.5) for i, phase in enumerate(phases)]).axes
    assert [text.get_text().strip() for text in axes.texts] == phases


def file(name, accuracy, ms, is_baseline=True, begins_with="scratch", fingerprint="here", precision="fp32"):
    return Contestant(name, is_baseline, "", 128, begins_with, 60.0, "", fingerprint, "onnxruntime", 1, precision, False, 500,
                      accuracy, Score.of_accuracy(accuracy, 500), ms, 1000)  # fmt: skip


@pytest.fixture
def records():
    best = SimpleNamespace(architecture="a", latency_ms=1.9, validation_accuracy=0.9, expected_accuracy=0.9)
    about = {"device": "cpu", "execution": ORT, "latency_kind": "measured", "latency_provenance": HERE, "metric": "accuracy",
             "other": None}  # fmt: skip
    return [SimpleNamespace(**about, budget_ms=2.0, best=best, front=(best,))]


def test_winners_and_baselines_are_drawn_by_what_was_measured(records):
    files = [
        file("cpu 2 ms", 0.9, 1.95, is_baseline=False),
        file("lenet-28", 0.8, 1.0),
        file("efficientnet-lite0-128", 0.92, 2.9, begins_with="efficientnet-lite0"),
        file("mine", 0.7, 3.0, begins_with="your file"),
        file("elsewhere", 0.7, 3.0, fingerprint="there"),
    ]
    search, measured = front_figure(records, np.array([[1.9, 0.9]]), [], files).axes
    assert "validation" in search.get_ylabel()
    assert "test images" in measured.get_ylabel()
    drawn = {text.get_text(): text.xy for text in measured.texts}
    assert drawn == {"for 2 ms": (1.95, 90), "lenet-28": (1.0, 80), "efficientnet-lite0-128": (2.9, 92), "mine": (3.0, 70)}
    assert [text.get_text() for text in measured.get_legend().get_texts()] == [
        "found by the search", "picked by hand, trained from scratch", "picked by hand, from pretrained weights",
        "your own file",
    ]  # fmt: skip


def test_precisions_are_drawn_apart_in_one_panel(records):
    files = [
        file("cpu 2 ms", 0.9, 1.95, is_baseline=False),
        file("cpu 2 ms", 0.89, 1.2, is_baseline=False, precision="int8"),
        file("lenet-28", 0.8, 1.0),
    ]
    _, measured = front_figure(records, np.array([[1.9, 0.9]]), [], files).axes
    assert [text.get_text() for text in measured.get_legend().get_texts()] == [
        "found by the search", "found by the search, int8", "picked by hand, trained from scratch",
    ]  # fmt: skip
    assert sorted(text.xy[0] for text in measured.texts) == [1.0, 1.2, 1.95]


def test_without_baselines_there_is_one_panel(records):
    assert len(front_figure(records, np.array([[1.9, 0.9]]), [], [file("cpu 2 ms", 0.9, 1.95, is_baseline=False)]).axes) == 1
