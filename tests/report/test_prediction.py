"""What is said of a search's predictor."""

import pytest

from edgenas.device import Provenance
from edgenas.predictor import PredictorQuality, Shift
from edgenas.report import on_prediction
from edgenas.search import Candidate, SearchRecord
from edgenas.search.search import Claim
from edgenas.statistics import wilson
from tests.conftest import ORT


def record_with(claim, shift=None, images=None, others=(), tau=0.9, interval=0.05):
    def candidate(accuracy, latency_ms):
        low, high = (None, None) if images is None else wilson(accuracy, images)
        return Candidate(None, latency_ms, latency_ms, latency_ms, accuracy, accuracy, 1, 1, 1, accuracy, low, high)

    front = tuple(candidate(accuracy, i + 1.0) for i, accuracy in enumerate((*others, 0.88)))
    predictor = PredictorQuality(40, tau, 0.01, interval)
    return SearchRecord("cpu", ORT, 2.0, "measured", Provenance(), front[-1], front, predictor, "today",
                        shift=shift, claim=claim, validation_images=images)  # fmt: skip


CLAIM = Claim(0.9, optimal=True, evaluated=True, outside=False)


@pytest.mark.parametrize("tau", [float("nan"), -0.5, 0.1])
def test_nothing_is_proved_by_a_predictor_that_does_not_rank(tau):
    """Of a record that an earlier version wrote, with its claim."""
    (line,) = on_prediction(record_with(CLAIM, tau=tau, interval=0.0))
    assert "measured 88.00 %" in line
    assert "no better than chance" in line
    assert "proved" not in line
    assert "+-" not in line


def test_no_interval_is_said_to_be_0():
    (line,) = on_prediction(record_with(CLAIM, interval=1e-7))
    assert "90.00 % +- 0.01 % (proved" in line


def test_a_measured_accuracy_has_its_interval():
    (line,) = on_prediction(record_with(CLAIM, images=500, others=(0.5, 0.86, 0.87)))
    assert "measured 88.00 % (84.9 % to 90.6 % with 95 % confidence on 500 images);" in line
    assert "cannot be told" not in line, "the table marks who, and the judgement says it"
    (line,) = on_prediction(record_with(CLAIM, others=(0.87,)))  # of an earlier version
    assert "confidence" not in line


def test_the_predictor_is_said_to_extrapolate_only_where_it_does():
    def lines(evaluated, outside, shifted):
        claim = Claim(0.9, True, evaluated, outside)
        shift = Shift(7, 40, shifted, 0.03)
        return on_prediction(record_with(claim, shift=shift))

    assert lines(True, True, 0) == ["cpu 2 ms: measured 88.00 %; predicted at best 90.00 % +- 5.00 % "
                                    "(proved the highest prediction within the limits)."]  # fmt: skip
    assert "was not tested and lies outside the evaluated ones" in lines(False, True, 0)[1]
    assert "4 of the front's 7 architectures lie outside the 40 others" in lines(True, False, 4)[1]
    assert "errs by 3.00 %" in lines(True, False, 4)[1]
