"""Every sentence at its edges: where it begins to be said, and where it is not."""

from dataclasses import replace

import pytest

from edgenas.report.judgement import (
    Result,
    beats,
    differ,
    on_largest,
    on_majority,
    on_training,
    remedies,
    wilson,
)

LONGER = "a longer training"


def result(accuracy, images=500, ms=1.0, name="it"):
    return Result(name, accuracy, images, ms)


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
    assert on_majority([result(0.3)], low - 0.001) == []
    (sentence,) = on_majority([result(0.3), result(0.9)], low + 0.001)
    assert "it (30.0 % at 1 ms)" in sentence
    assert "500 images" in sentence
    assert f"{100 * low + 0.1:.1f} %" in sentence


# ---- training ----


def trained(largest, smallest, *, majority=0.1, epochs=60, from_scratch=True):
    of = result(largest, name="The largest subnet"), result(smallest, name="The smallest subnet")
    return on_training(*of, majority, epochs, from_scratch, LONGER)


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
    assert on_largest([result(0.75, images=20)], replace(largest, images=20)) == []
    assert on_largest([result(0.1)], None) == []


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
