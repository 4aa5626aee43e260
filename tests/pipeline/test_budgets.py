import pytest

from edgenas.errors import UsageError
from edgenas.pipeline.search import split_budgets


def test_budgets_are_split_by_device():
    assert split_budgets(None, ((None, 2.0), (None, 5.0))) == ("cpu", (2.0, 5.0), {})
    assert split_budgets("pi4", ((None, 30.0),)) == ("pi4", (30.0,), {})
    assert split_budgets(None, (("pi4", 30.0), ("cpu", 2.0))) == ("pi4", (30.0,), {"cpu": 2.0})
    assert split_budgets("cpu", (("pi4", 30.0), ("cpu", 2.0))) == ("cpu", (2.0,), {"pi4": 30.0})
    assert split_budgets(None, ((None, 2.0), ("pi4", 30.0))) == ("cpu", (2.0,), {"pi4": 30.0})


def test_budgets_that_cannot_be_meant_are_refused():
    with pytest.raises(UsageError, match="`device` cpu has no budget"):
        split_budgets("cpu", (("pi4", 30.0),))
    with pytest.raises(UsageError, match="one device alone"):
        split_budgets("cpu", (("cpu", 1.0), ("pi4", 30.0), ("pi4", 40.0)))
