"""Every sentence at its edges: where it begins to be said, and where it is not."""

from dataclasses import replace

import numpy as np
import pytest

from edgenas.metric import Metric, Score, Tally
from edgenas.report.judgement import (
    Result,
    Timed,
    beats,
    differ,
    on_budgets,
    on_finetuning,
    on_gains,
    on_largest,
    on_losses,
    on_majority,
    on_never_found,
    on_search,
    on_training,
    remedies,
)
from edgenas.statistics import wilson

LONGER = "a longer training"


def result(accuracy, images=500, ms=1.0, name="it", majority=0.1):
    return Result(name, Score.of_accuracy(accuracy, images, majority), ms)


# ---- statistics ----


def test_wilsons_interval_is_the_published_one():
    # Newcombe (1998), table I, method 3: 81 of 263, 15 of 148, 0 of 20 and 1 of 29.
    for right, images, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611),
                                     (1, 29, 0.0061, 0.1718)):  # fmt: skip
        assert wilson(right / images, images) == pytest.approx((low, high), abs=1e-4)


def test_an_interval_stays_between_0_and_1_and_holds_what_was_measured():
    for accuracy in (0.0, 0.01, 0.5, 0.99, 1.0):
        low, high = wilson(accuracy, 10)
        assert 0 <= low <= accuracy <= high <= 1


@pytest.mark.parametrize(("one", "other", "images", "told_apart"), [
    (0.90, 0.95, 100, False), (0.90, 0.95, 500, True), (0.95, 0.90, 500, True),
    (0.5, 0.5, 500, False), (1.0, 1.0, 500, False), (0.0, 0.0, 500, False), (0.0, 1.0, 5, True),
])  # fmt: skip
def test_two_accuracies_differ_where_the_images_are_enough(one, other, images, told_apart):
    assert differ(result(one, images), result(other, images)) is told_apart


def test_one_beats_the_other_where_it_is_nowhere_worse_and_somewhere_better():
    it = result(0.9, ms=1.0)
    assert beats(result(0.9, ms=0.9), it)
    assert beats(result(0.91, ms=1.0), it)
    assert not beats(it, it)
    assert not beats(result(0.95, ms=1.1), it)
    assert not beats(result(0.89, ms=0.1), it)


# ---- the majority class ----


def test_what_is_no_better_than_the_largest_class_is_told():
    low, _ = wilson(0.3, 500)
    assert on_majority([result(0.3, majority=low - 0.001)]) == []
    (sentence,) = on_majority([result(accuracy, majority=low + 0.001) for accuracy in (0.3, 0.9)])
    assert "it (30.0 % at 1 ms)" in sentence
    assert "500 images" in sentence
    assert f"{100 * low + 0.1:.1f} %" in sentence


# ---- training ----


def trained(largest, smallest, *, epochs=60, from_scratch=True, never_found=()):
    of = result(largest, name="The largest subnet"), result(smallest, name="The smallest subnet")
    return on_training(*of, epochs, from_scratch, LONGER, never_found)


def test_nothing_is_said_of_a_good_training():
    assert trained(0.95, 0.90) == []


def test_a_training_that_learned_nothing_is_told_what_would_help_and_no_more():
    first, second = trained(0.11, 0.1, epochs=1)
    assert "no better than" in first
    assert LONGER in second
    assert "--learning-rate" in second


@pytest.mark.parametrize(("epochs", "from_scratch", "words"), [
    (1, True, "1 epoch from scratch is few"), (9, True, "9 epochs from scratch are few"), (10, True, ""), (1, False, ""),
])  # fmt: skip
def test_few_epochs_are_few_from_scratch_only(epochs, from_scratch, words):
    sentences = trained(0.9, 0.9, epochs=epochs, from_scratch=from_scratch)
    assert (LONGER in sentences[0] and words in sentences[0]) if words else sentences == []


def test_a_class_that_is_never_found_is_told_and_what_would_notice():
    sentence, remedy = trained(0.95, 0.95, never_found=["defect"])
    assert sentence.startswith("'defect' is never found by the largest subnet, which accuracy hardly tells: --metric balanced")
    assert "--balance" in remedy
    assert on_never_found(["a", "b"], "cpu 2 ms") == "'a', 'b' are never found by cpu 2 ms."


def test_another_metric_is_named():
    score = Metric.named("balanced", ("good", "defect")).score(Tally.of(np.array([[38, 2], [2, 0]])))
    (sentence,) = on_majority([Result("It", score)])
    assert sentence.startswith("It (47.5 % balanced accuracy), ")
    assert sentence.endswith("on 42 images, is no better than calling every image what most of them are, which gives 50.0 %.")


def test_a_smallest_subnet_far_behind_is_told():
    assert trained(0.90, 0.801) == []
    (sentence,) = trained(0.90, 0.70)
    assert "20.0 points behind" in sentence
    assert "fine-tuning" in sentence


# ---- subnets beside the largest ----


def test_a_winner_far_behind_the_largest_is_told_where_that_is_no_chance():
    largest = result(0.90, name="The largest subnet")
    assert on_largest([result(0.81)], largest) == []
    (sentence,) = on_largest([result(0.88), result(0.75, name="cpu 2 ms")], largest)
    assert sentence.startswith("cpu 2 ms (75.0 %")
    assert "15.0 points behind" in sentence
    assert on_largest([result(0.75, images=20)], result(0.90, 20)) == []
    assert on_largest([result(0.1)], None) == []


# ---- search ----


def test_few_validation_images_are_told_where_they_cannot_choose():
    winner = result(0.88, 500, name="a")
    (sentence,) = on_search([(winner, 1)])
    assert "On 500 validation images 88.0 % means 84.9 to 90.6 %" in sentence
    assert "1 other subnet of the front for a cannot be told from it. More" in sentence
    assert on_search([(winner, 0)]) == []  # nothing is like it
    assert on_search([(result(0.88, 50_000), 1)]) == []  # the interval is narrow
    assert on_search([]) == []


# ---- fine-tuning ----


@pytest.mark.parametrize(("before", "after", "gain"), [
    (0.80, 0.90, None), (0.80, 0.805, "+0.5"), (0.80, 0.80, "+0.0"), (0.80, 0.70, "-10.0"),
])  # fmt: skip
def test_fine_tuning_that_gained_nothing_is_told(before, after, gain):
    sentences = on_finetuning([(result(before, name="cpu 2 ms"), result(after, name="cpu 2 ms"))])
    assert len(sentences) == (gain is not None)
    assert all(f"500 validation images can tell from chance: cpu 2 ms ({gain} points)" in sentence for sentence in sentences)


def test_fine_tuning_is_told_in_one_sentence():
    pairs = [(result(0.8, name=name), result(after, name=name)) for name, after in (("a", 0.8), ("b", 0.79), ("c", 0.95))]
    (sentence,) = on_finetuning(pairs)
    assert "a (+0.0 points), b (-1.0 points)." in sentence


# ---- baselines ----


def test_a_winner_that_loses_is_told_to_what():
    winner = result(0.80, ms=1.0, name="cpu 1 ms")
    lost_to = [result(0.85, ms=0.8, name="near"), result(0.90, ms=0.9, name="lenet-28"), result(0.99, ms=5, name="slow")]
    (sentence,) = on_losses([winner], lost_to)
    assert sentence == "cpu 1 ms (80.0 % at 1 ms) loses to lenet-28 (90.0 % at 0.9 ms), which is no slower."


def test_a_loss_that_may_be_chance_is_called_so():
    (sentence,) = on_losses([result(0.80, ms=1.0)], [result(0.81, ms=0.9, name="lenet-28")])
    assert "500 test images cannot tell them apart" in sentence


def test_winners_are_told_by_how_much_they_win():
    winners, lite0 = [result(0.90, ms=0.5, name="a"), result(0.95, ms=1.0, name="b")], result(0.90, ms=2.0, name="lite0")
    assert on_losses(winners, [lite0]) == []
    (sentence,) = on_gains(winners, [lite0])
    assert sentence == "a (90.0 % at 0.5 ms) is no less accurate than lite0 (90.0 % at 2 ms), in 0.25 of its time."


def test_a_baseline_that_no_winner_reaches_is_told():
    (sentence,) = on_gains([result(0.80, ms=1.0)], [result(0.92, ms=4.0, name="lite0")])
    assert sentence == "No winner is as accurate as lite0 (92.0 % at 4 ms), which is slower than they are."
    assert on_gains([result(0.80, ms=1.0)], [result(0.92, ms=0.9, name="lite0")]) == []  # that is a loss


def test_equals_beat_nobody():
    same = result(0.9, ms=1.0)
    assert on_losses([same], [replace(same, name="lenet-28")]) == []


def test_nothing_is_said_without_both():
    for told in (on_losses, on_gains):
        assert told([result(0.9)], []) == []
        assert told([], [result(0.9)]) == []


# ---- budgets ----


def test_a_budget_that_is_broken_in_another_runtime_is_told_with_the_search_that_keeps_both():
    def file(runtime, ms, budget=2.0, **more):
        return Timed("cpu 2 ms", "model.tflite", "onnxruntime", runtime, budget, ms, **more)

    assert on_budgets([file("litert", 2.0)], "runs/x") == []
    told, remedy = on_budgets([file("litert", 18.04)], "runs/x")
    assert told == "model.tflite for cpu 2 ms takes 18.04 ms in litert, over 2 ms: the budget was searched for in onnxruntime."
    assert "edgenas search runs/x with --latency litert=2ms" in remedy
    predicted, _ = on_budgets([file("litert", 18.04, predicted=True)], "runs/x")
    assert "is predicted to take 18.04 ms" in predicted
    (unknown,) = on_budgets([file("litert", None), file("litert", None)], "runs/x")
    assert unknown.startswith("How fast model.tflite is in litert is not known")
    (same,) = on_budgets([file("onnxruntime", 2.1)], "runs/x")
    assert "over 2 ms: verify again" in same


# ---- what would help ----


def test_only_what_was_not_done_is_advised():
    given = {"longer": LONGER, "is_photo": True, "from_scratch": True, "is_finetuned": False, "path": "runs/x"}
    text = remedies(**given)
    assert LONGER in text
    assert "--pretrained" in text
    assert "edgenas finetune runs/x" in text
    assert "--pretrained" not in remedies(**given | {"from_scratch": False})
    assert "--pretrained" not in remedies(**given | {"is_photo": False})
    assert "finetune" not in remedies(**given | {"is_finetuned": True})
