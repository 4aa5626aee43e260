"""What chance is told from: which of two architectures is better."""

from operator import attrgetter

import numpy as np
import pytest

from edgenas import cost
from edgenas.errors import EdgeNASError
from edgenas.metric import Answers, Metric
from edgenas.search import Ledger, search
from edgenas.search.evidence import MOST_GIVEN_UP, luck

BALANCED = Metric("balanced")


def answering(space, images, *, gain, seed=0, rare=0.5):
    """Evaluates to answers on images of two classes, the larger a network the better, most of all of the rare class.

    Each image has its own difficulty, the same for all networks.
    """
    rng = np.random.default_rng(seed)
    labels = (rng.random(images) < rare).astype(int)
    hardness = rng.random(images)

    def evaluate(architecture, share=1.0):
        macs = cost.macs(space.blocks(architecture)) / cost.macs(space.blocks(space.largest))
        own = np.random.default_rng(abs(hash(architecture)) % 2**32).random(images)
        fails = 0.8 * hardness + 0.2 * own > 0.7 + gain * macs
        return Answers(labels, np.where(fails, 1 - labels, labels), 2)

    return evaluate


def test_of_alike_the_fastest_is_the_best(micro_space, table, tmp_path):
    ledger = Ledger(tmp_path / "l", "k", micro_space)
    (result,) = search(micro_space, table, answering(micro_space, 40, gain=0.0), ledger, (1.5,), evaluations=25)
    assert result.score.images == 40
    everyone = (result.best, *result.alike)
    value = attrgetter("expected_accuracy" if result.predictor.ranks else "validation_accuracy")
    as_good = [c for c in everyone if value(c) >= value(result.front[-1]) - MOST_GIVEN_UP]
    assert result.best.latency_ms == min(c.latency_ms for c in as_good)
    assert len(as_good) < len(everyone)  # 40 images tell little, and what seems best is not given up for that
    assert result.front[-1] in everyone


def test_what_the_images_tell_apart_is_no_tie(micro_space, table, tmp_path):
    ledger = Ledger(tmp_path / "l", "k", micro_space)
    (result,) = search(micro_space, table, answering(micro_space, 5000, gain=0.3), ledger, (1.5,), evaluations=25)
    assert result.predictor.ranks
    assert len(result.front) > 2
    assert result.best in result.front[-2:]
    assert result.best.validation_accuracy > result.front[0].validation_accuracy + 0.02


def test_a_search_by_another_metric_uses_what_is_evaluated(micro_space, table, tmp_path):
    evaluate = answering(micro_space, 400, gain=0.2, rare=0.1)
    accuracy = search(micro_space, table, evaluate, Ledger(tmp_path / "l", "k", micro_space), (1.5,), evaluations=25)[0]
    ledger = Ledger(tmp_path / "l", "k", micro_space, BALANCED)
    assert len(ledger) == accuracy.outcome.evaluated
    balanced = search(micro_space, table, evaluate, ledger, (1.5,), evaluations=0)[0]
    assert (accuracy.score.metric, balanced.score.metric) == ("accuracy", "balanced")
    best = balanced.best
    assert best.validation_accuracy == pytest.approx(BALANCED.value(evaluate(best.architecture).tally))
    assert best.validation_low < best.validation_accuracy < best.validation_high


def test_accuracies_alone_count_for_accuracy_alone(micro_space, tmp_path):
    """As older ledgers have them: another metric evaluates anew, and nothing is lost."""
    evaluate = answering(micro_space, 100, gain=0.2)
    first, other = micro_space.largest, micro_space.smallest
    old = Ledger(tmp_path / "l", "k", micro_space)
    old.evaluate(first, lambda a: 0.75)
    balanced = Ledger(tmp_path / "l", "k", micro_space, BALANCED)
    assert len(balanced) == 0
    expected = BALANCED.value(evaluate(first).tally)
    assert balanced.evaluate(first, evaluate) == expected
    assert balanced.evaluate(first, pytest.fail) == expected
    again = Ledger(tmp_path / "l", "k", micro_space, BALANCED)
    assert dict(again.items()) == {first: expected}
    with pytest.raises(EdgeNASError, match="does not tell the balanced accuracy"):
        again.evaluate(other, lambda a: 0.75)
    as_accuracy = Ledger(tmp_path / "l", "k", micro_space)
    assert dict(as_accuracy.items()) == {first: evaluate(first).accuracy}


def test_answers_are_passed_on_and_long_ones_kept_in_parts(micro_space, tmp_path, monkeypatch):
    monkeypatch.setattr("edgenas.search.ledger.MOST_TEXT", 50)
    evaluate, some = answering(micro_space, 300, gain=0.2), micro_space.largest
    own = Ledger(tmp_path / "own", "k", micro_space)
    own.evaluate(some, evaluate)
    shared = Ledger(tmp_path / "shared", "k", micro_space, BALANCED)
    shared.absorb(Ledger(tmp_path / "own", "k", micro_space, BALANCED))
    again = Ledger(tmp_path / "shared", "k", micro_space).answers(some)
    np.testing.assert_array_equal(again.predicted, evaluate(some).predicted)


def test_images_that_are_hard_for_all_make_nobody_lucky():
    rng = np.random.default_rng(0)
    labels, hard = rng.integers(2, size=400), rng.random(400) < 0.2
    given = tuple(
        Answers(labels, np.where(hard | (rng.random(400) < 0.05), 1 - labels, labels), 2) for _ in range(20)
    )  # fmt: skip
    measured = np.array([a.accuracy for a in given])
    # Of 80 % of the images 5 % are failed on by chance.
    assert luck(Metric("accuracy"), measured, given, 400) == pytest.approx(0.8 * 0.05 * 0.95 / 400, rel=0.3)
    assert luck(Metric("accuracy"), measured, (None,) * 20, 400) == pytest.approx(0.76 * 0.24 / 400, rel=0.1)
