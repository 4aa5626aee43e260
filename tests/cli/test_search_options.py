import click
import pytest

from edgenas.cli.options import BYTES, COUNT, Budget


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
