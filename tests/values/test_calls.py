from __future__ import annotations

from pathlib import Path

import pytest

from edgenas.errors import UsageError
from edgenas.values import checked
from edgenas.values.kinds import GivenPath, Seed, Share

called = []


@checked
def step(name: str, share: Share, *, seed: Seed | None = None, paths: tuple[GivenPath, ...] = (), done: object = None) -> Share:
    """What it does."""
    called.append((name, share, seed, paths))
    return share


def test_what_fits_reaches_the_function_as_its_kind():
    called.clear()
    assert step("a", 1, seed=3, paths=["x"]) == 1.0
    assert called == [("a", 1.0, 3, (Path("x"),))]
    assert step.__doc__ == "What it does."


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("a", 2), {}, "`share` must be a number from 0 to 1, not 2."),
        (("a", 1), {"seed": -1}, "`seed` must be a whole number from 0"),
        (("a", 1), {"paths": ["a\0b"]}, "`paths`[0] 'a"),
    ],
)
def test_what_does_not_fit_never_does(arguments, options, message):
    called.clear()
    with pytest.raises(UsageError) as refused:
        step(*arguments, **options)
    assert str(refused.value).startswith(message)
    assert not called
