"""A search is written down while it is at work, and gone on with where it did not end."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgenas.device import Execution
from edgenas.errors import InfeasibleError, UsageError
from edgenas.search import Sought, attempt, unfinished
from edgenas.search.attempt import NAME

ASKED = ((2.0, 5.0), "cpu", {"macs": None}, 12)


def interrupted(folder: Path, asked: object = ASKED) -> str:
    with pytest.raises(KeyboardInterrupt), attempt(folder, asked) as (search_id, goes_on):
        assert not goes_on
        raise KeyboardInterrupt
    return search_id


def test_one_that_ends_leaves_nothing(tmp_path: Path) -> None:
    with attempt(tmp_path, ASKED) as (_, goes_on):
        assert not goes_on and (tmp_path / NAME).exists()
    assert not (tmp_path / NAME).exists()


def test_one_that_was_interrupted_goes_on_until_it_has_ended(tmp_path: Path) -> None:
    search_id = interrupted(tmp_path)
    with pytest.raises(KeyboardInterrupt), attempt(tmp_path, ASKED) as found:
        assert found == (search_id, True)
        raise KeyboardInterrupt
    with attempt(tmp_path, ASKED) as found:
        assert found == (search_id, True)
    with attempt(tmp_path, ASKED) as (other, goes_on):
        assert other != search_id and not goes_on


def test_another_search_begins_anew_and_takes_its_place(tmp_path: Path) -> None:
    interrupted(tmp_path)
    with attempt(tmp_path, (*ASKED, "another seed")) as (_, goes_on):
        assert not goes_on
    assert not (tmp_path / NAME).exists()


def test_the_same_search_beside_one_at_work_is_another(tmp_path: Path) -> None:
    with attempt(tmp_path, ASKED) as (first, _):
        with attempt(tmp_path, ASKED) as (second, goes_on):
            assert first != second and not goes_on
        assert (tmp_path / NAME).exists()


def test_others_see_what_it_looks_for_until_it_has_ended(tmp_path: Path) -> None:
    sought = Sought("cpu", (Execution("litert", 2, "int8"), Execution("litert", 2)), (2.0, 5.0), "balanced")
    with attempt(tmp_path, ASKED, sought=sought) as (search_id, _):
        found = unfinished(tmp_path)
        assert found is not None and (found.id, found.sought) == (search_id, sought)
    assert unfinished(tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"id": "../x", "asked": "0"}', b"\xff" * 100])
def test_what_is_damaged_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    interrupted(tmp_path)
    with attempt(tmp_path, ASKED) as (_, goes_on):
        assert goes_on


@pytest.mark.parametrize("refusal", [InfeasibleError("nothing", 1.0), UsageError("no")])
def test_one_that_is_refused_leaves_nothing(tmp_path: Path, refusal: Exception) -> None:
    with pytest.raises(type(refusal)), attempt(tmp_path, ASKED):
        raise refusal
    assert not (tmp_path / NAME).exists()
