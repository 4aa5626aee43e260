import pytest

from edgenas.report.plot import training_figure


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
