import numpy as np
import pytest

from edgenas.export.verify import confusion_matrix
from edgenas.report.classes import _rows


def test_confusion_has_the_truth_in_rows():
    confusion = confusion_matrix(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 5]), 3)
    assert confusion.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]  # 5 is no class


def test_recall_precision_and_the_most_common_mistake():
    confusion = np.array([[6, 1, 3], [0, 10, 0], [4, 6, 0]])
    cat, dog, eel = _rows("ab", "model.onnx", "onnxruntime", confusion, ("cat", "dog", "eel"))
    assert (cat.images, cat.recall, cat.precision, cat.taken_for) == (10, 0.6, 0.6, "eel")
    assert (dog.recall, dog.taken_for) == (1.0, None)
    assert dog.precision == pytest.approx(10 / 17)
    assert (eel.recall, eel.precision, eel.taken_for) == (0.0, 0.0, "dog")
    (never, _) = _rows("ab", "model.onnx", "onnxruntime", np.array([[0, 2], [0, 3]]), ("cat", "dog"))
    assert never.precision is None


def test_scikit_learn_agrees():
    from sklearn.metrics import confusion_matrix as theirs
    from sklearn.metrics import precision_recall_fscore_support

    rng = np.random.default_rng(0)
    labels = np.arange(400) % 5
    predicted = np.where(rng.random(400) < 0.6, labels, rng.integers(0, 5, 400))
    ours = confusion_matrix(labels, predicted, 5)
    assert (ours == theirs(labels, predicted)).all()
    rows = list(_rows("", "", "", ours, tuple("abcde")))
    precision, recall, _, images = precision_recall_fscore_support(labels, predicted)
    assert [row.recall for row in rows] == pytest.approx(recall.tolist())
    assert [row.precision for row in rows] == pytest.approx(precision.tolist())
    assert [row.images for row in rows] == images.tolist()
