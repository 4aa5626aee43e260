from types import SimpleNamespace

import click
import pytest

from edgenas.cli.options import BYTES, COUNT, Budget
from edgenas.cli.search import prediction_lines, split_budgets
from edgenas.errors import UsageError


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Budget(), "2ms", (None, 2.0)),
        (Budget(), "pi4=0.03s", ("pi4", 30.0)),
        (BYTES, "1MB", 1e6),
        (BYTES, "512 KiB", 524288.0),
        (COUNT, "40M", 40e6),
        (COUNT, "250000", 250000.0),
    ],
)
def test_quantities_are_read(kind, text, value):
    assert kind.convert(text, None, None) == value


@pytest.mark.parametrize(
    ("kind", "text"), [(Budget(), "=2ms"), (Budget(), "pi4=2"), (BYTES, "1"), (COUNT, "0"), (COUNT, "4MB")]
)
def test_what_is_no_quantity_is_refused(kind, text):
    with pytest.raises(click.BadParameter):
        kind.convert(text, None, None)


def test_budgets_are_split_by_device():
    assert split_budgets(None, ((None, 2.0), (None, 5.0))) == ("cpu", (2.0, 5.0), {})
    assert split_budgets("pi4", ((None, 30.0),)) == ("pi4", (30.0,), {})
    assert split_budgets(None, (("pi4", 30.0), ("cpu", 2.0))) == ("pi4", (30.0,), {"cpu": 2.0})
    assert split_budgets("cpu", (("pi4", 30.0), ("cpu", 2.0))) == ("cpu", (2.0,), {"pi4": 30.0})
    assert split_budgets(None, ((None, 2.0), ("pi4", 30.0))) == ("cpu", (2.0,), {"pi4": 30.0})


def test_budgets_that_cannot_be_meant_are_refused():
    with pytest.raises(UsageError, match="--device cpu has no budget"):
        split_budgets("cpu", (("pi4", 30.0),))
    with pytest.raises(UsageError, match="one device alone"):
        split_budgets("cpu", (("cpu", 1.0), ("pi4", 30.0), ("pi4", 40.0)))


def test_the_predictor_is_said_to_extrapolate_only_where_it_does():
    def lines(evaluated, outside, shifted):
        claim = {"accuracy": 0.9, "optimal": True, "evaluated": evaluated, "outside": outside}
        shift = {"found": 7, "others": 40, "outside": shifted, "error": 0.03}
        best, predictor = SimpleNamespace(validation_accuracy=0.88), {"interval": 0.05, "error": 0.01}
        record = SimpleNamespace(device="cpu", budget_ms=2.0, best=best, predictor=predictor, claim=claim, shift=shift)
        return prediction_lines(record)

    assert lines(True, True, 0) == ["cpu 2 ms: measured 88.00 %; predicted at best 90.00 % +- 5.00 % "
                                    "(proved the highest prediction within the limits)."]  # fmt: skip
    assert "was not tested and lies outside the evaluated ones" in lines(False, True, 0)[1]
    assert "4 of the front's 7 architectures lie outside the 40 others" in lines(True, False, 4)[1]
    assert "errs by 3.00 %" in lines(True, False, 4)[1]
