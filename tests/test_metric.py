import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score

from edgenas.errors import UsageError
from edgenas.metric import ACCURACY, Answers, Metric, Score, Tally

CLASSES = ("good", "defect")
BALANCED, F1 = Metric("balanced"), Metric("macro-f1")
DEFECT = Metric.named("recall:defect", CLASSES)
NEVER = Tally.of(np.array([[40, 0], [1, 0]]))
"""A network that calls everything good."""


def answers(rng, classes=5, images=300, right=0.6):
    labels = rng.integers(classes, size=images)
    return Answers(labels, np.where(rng.random(images) < right, labels, rng.integers(classes, size=images)), classes)


def test_metrics_are_those_of_scikit_learn():
    given = answers(np.random.default_rng(0))
    true, predicted = given.labels, given.predicted
    assert ACCURACY.value(given.tally) == pytest.approx(np.mean(true == predicted))
    assert BALANCED.value(given.tally) == pytest.approx(balanced_accuracy_score(true, predicted))
    assert F1.value(given.tally) == pytest.approx(f1_score(true, predicted, average="macro"))
    assert Metric("recall:c", 2).value(given.tally) == pytest.approx(recall_score(true, predicted, labels=[2], average="macro"))


def test_a_rare_class_that_is_never_found_is_noticed_by_all_but_accuracy():
    assert ACCURACY.value(NEVER) == pytest.approx(0.9756, abs=1e-4)
    assert BALANCED.value(NEVER) == 0.5
    assert F1.value(NEVER) == pytest.approx(0.4938, abs=1e-4)
    assert DEFECT.value(NEVER) == 0.0
    for metric in (ACCURACY, BALANCED, F1, DEFECT):
        score = metric.score(NEVER)
        assert score.constant == score.value
        assert score.low <= score.value <= score.high, metric
        assert score.high - score.low > 0.05, "one image of a class says little of it"


def test_a_class_without_images_counts_in_none():
    tally = Tally.of(np.array([[30, 10, 0], [5, 15, 0], [0, 0, 0]]))
    assert BALANCED.value(tally) == pytest.approx((0.75 + 0.75) / 2)
    assert F1.value(tally) == pytest.approx((60 / 75 + 30 / 45) / 2)
    assert Metric("recall:c", 2).score(tally) is None
    with pytest.raises(UsageError, match="No validation image tells the recall of defect"):
        DEFECT.require_images(np.zeros(9, int))
    DEFECT.require_images(np.array([0, 1]))


@pytest.mark.parametrize(("metric", "least"), [(ACCURACY, 0.92), (BALANCED, 0.90), (F1, 0.93)])
@pytest.mark.parametrize("counts", [(50, 50), (40, 3), (20,) * 10])
def test_intervals_hold_the_truth_as_often_as_they_say(metric, least, counts):
    """Of accuracy and recall Wilson's, of the others MOVER's, which is a little short where classes are many and small."""
    rng, classes = np.random.default_rng(1), len(counts)
    right = np.full((classes, classes), 0.2 / (classes - 1)) + np.eye(classes) * (0.8 - 0.2 / (classes - 1))
    truth = metric.value(Tally.of(np.array(counts)[:, None] * right))
    scores = [
        metric.score(Tally.of(np.stack([rng.multinomial(n, p) for n, p in zip(counts, right, strict=True)])))
        for _ in range(400)
    ]
    assert np.mean([score.low <= truth <= score.high for score in scores]) >= least


@pytest.mark.parametrize("metric", [ACCURACY, BALANCED, F1, Metric("recall:c", 1)])
def test_equals_on_the_same_images_are_rarely_told_apart(metric):
    rng, told = np.random.default_rng(0), 0
    for _ in range(400):
        one = answers(rng)
        other = Answers(one.labels, np.where(rng.random(300) < 0.5, one.predicted, answers(rng).predicted), 5)
        other = other if rng.random() < 0.5 else one
        mixed = Answers(one.labels, np.where(rng.random(300) < 0.5, one.predicted, other.predicted), 5)
        again = Answers(one.labels, np.where(rng.random(300) < 0.5, one.predicted, other.predicted), 5)
        difference, error = metric.difference(mixed, again)
        told += abs(difference) > 1.96 * error
    assert told / 400 < 0.08


def test_the_same_images_tell_more_than_others_would():
    labels = np.repeat([0, 1], 250)
    worse, better = (np.where(np.arange(500) < right, labels, 1 - labels) for right in (450, 465))
    one, other = Answers(labels, better, 2), Answers(labels, worse, 2)
    difference, error = ACCURACY.difference(one, other)
    assert difference == pytest.approx(15 / 500)
    assert error == pytest.approx(17**0.5 / 500)  # 15 won, 0 lost, and one each that are assumed
    assert difference > 1.96 * error
    assert not ACCURACY.score(one.tally).differs(ACCURACY.score(other.tally))
    assert ACCURACY.difference(one, one) == (0.0, 0.0)


@pytest.mark.parametrize("classes", [2, 256, 257, 70_000])
def test_answers_are_read_back(classes):
    rng = np.random.default_rng(0)
    given = Answers(rng.integers(classes, size=100), rng.integers(classes, size=100), classes)
    again = Answers.from_text(given.to_text())
    assert again.classes == classes
    np.testing.assert_array_equal(again.labels, given.labels)
    np.testing.assert_array_equal(again.predicted, given.predicted)


def test_answers_of_many_images_are_short():
    rng = np.random.default_rng(0)
    assert len(answers(rng, classes=10, images=10_000, right=0.9).to_text()) < 12_000


@pytest.mark.parametrize(
    "text", ["", "2 3", "2 3 !", "2 3 AAAA", "2 -1 AAAA", "9999999999 3 AAAA", "2 99999999999 AAAA", "a b c"]
)
def test_what_is_no_answers_is_refused(text):
    with pytest.raises(ValueError):
        Answers.from_text(text)


def test_metrics_are_found_by_name():
    assert Metric.named("recall:defect", CLASSES).of_class == 1
    assert Metric.named("recall:cafe\u0301", ("café", "tea")).of_class == 0
    assert Metric.named("balanced", CLASSES).label == "balanced accuracy"
    with pytest.raises(UsageError, match=r"Unknown metric 'balancd'.* Did you mean 'balanced'"):
        Metric.named("balancd", CLASSES)
    with pytest.raises(UsageError, match=r"Unknown class 'defct'.* Did you mean 'defect'"):
        Metric.named("recall:defct", CLASSES)


def test_scores_differ_only_where_their_intervals_are_known():
    one, other = Score.of_accuracy(0.5, 1000), Score.of_accuracy(0.9, 1000)
    assert one.differs(other)
    assert not one.differs(Score.of_accuracy(0.9, None))
