import pytest

from edgenas.errors import UsageError
from edgenas.pipeline.limits import parse_place, split_budgets


def test_budgets_are_split_by_device():
    assert split(None, ((None, 2.0), (None, 5.0))) == ("cpu", None, (2.0, 5.0), {})
    assert split("pi4", ((None, 30.0),)) == ("pi4", None, (30.0,), {})
    assert split(None, (("pi4", 30.0), ("cpu", 2.0))) == ("pi4", None, (30.0,), {"cpu": 2.0})
    assert split("cpu", (("pi4", 30.0), ("cpu", 2.0))) == ("cpu", None, (2.0,), {"pi4": 30.0})
    assert split(None, ((None, 2.0), ("pi4", 30.0))) == ("cpu", None, (2.0,), {"pi4": 30.0})


def split(device, budgets, runtime=None):
    found = split_budgets(device, runtime, budgets)
    return found.device, found.runtime, found.own_ms, found.elsewhere_ms


def test_budgets_are_split_by_runtime():
    assert split(None, ((None, 2.0), ("litert", 3.0))) == ("cpu", None, (2.0,), {"litert": 3.0})
    assert split(None, (("onnxruntime", 2.0), ("litert", 3.0))) == ("cpu", "onnxruntime", (2.0,), {"litert": 3.0})
    assert split(None, (("litert", 3.0),)) == ("cpu", "litert", (3.0,), {})
    assert split(None, ((None, 3.0), ("onnxruntime", 2.0)), "litert") == ("cpu", "litert", (3.0,), {"onnxruntime": 2.0})
    # The device's usual runtime by its name is what is searched for anyway.
    assert split(None, ((None, 2.0), ("onnxruntime", 4.0))) == ("cpu", None, (2.0, 4.0), {})
    assert split(None, ((None, 2.0), ("pi4:litert", 30.0))) == ("cpu", None, (2.0,), {"pi4:litert": 30.0})
    assert split(None, (("pi4:onnxruntime", 30.0), ("pi4:litert", 40.0))) == (
        "pi4", "onnxruntime", (30.0,), {"pi4:litert": 40.0}
    )  # fmt: skip
    assert split("cpu", (("litert", 3.0),)) == ("cpu", "litert", (3.0,), {})
    assert parse_place("pi4:litert") == ("pi4", "litert")
    assert parse_place("litert") == (None, "litert")
    assert parse_place("pi4") == ("pi4", None)


def test_budgets_that_cannot_be_meant_are_refused():
    with pytest.raises(UsageError, match="`device` cpu has no budget"):
        split("cpu", (("pi4", 30.0),))
    with pytest.raises(UsageError, match="one runtime alone"):
        split("cpu", (("cpu", 1.0), ("pi4", 30.0), ("pi4", 40.0)))
    with pytest.raises(UsageError, match="one runtime alone"):
        split(None, ((None, 1.0), ("litert", 3.0), ("cpu:litert", 4.0)))
