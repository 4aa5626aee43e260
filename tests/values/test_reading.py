"""What is read is what its kind demands, or it is refused by one sentence that says where."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest

from edgenas.values import (
    Ascending,
    AsWritten,
    Distinct,
    Inlined,
    Length,
    OneOf,
    Unfit,
    Within,
    check_fields,
    plain,
    read,
)
from edgenas.values.kinds import Correlation, GivenPath, Milliseconds, Name, NewFile, NewFolder, Seed, Share, Threads


@dataclass(frozen=True)
class Inner:
    threads: Threads
    name: Name = "fp32"


@dataclass(frozen=True)
class Outer:
    label: str
    inner: Inlined[Inner]
    own: Inner | None = None
    times: dict[str, tuple[Milliseconds, ...]] = field(default_factory=dict)
    anything: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.label == "wrong":
            raise ValueError("that label is taken")


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (int, 3, 3),
        (int, 3.0, 3),
        (float, 3, 3.0),
        (Annotated[float, AsWritten()], 3, 3),
        (Seed, 0, 0),
        (Share, 1, 1.0),
        (bool, True, True),
        (Threads | None, None, None),
        (tuple[int, ...], [1, 2], (1, 2)),
        (tuple[int, str], [1, "a"], (1, "a")),
        (dict[str, Share], {"a": 0.5}, {"a": 0.5}),
        (Literal["a", "b"], "a", "a"),
        (Annotated[str, OneOf("letter", ("a", "b"))], "b", "b"),
        (Name, "x86_64-v2.1", "x86_64-v2.1"),
        (Name, "Père 2+", "Père 2+"),
        (Annotated[float, Within(0, math.inf)], math.inf, math.inf),
    ],
)
def test_what_fits(kind, value, expected):
    found = read(kind, value)
    assert found == expected and type(found) is type(expected)


def test_what_may_be_undefined():
    assert math.isnan(read(Correlation, math.nan))


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (int, True, "it must be a whole number, not True."),
        (int, 1.5, "it must be a whole number, not 1.5."),
        (int, "1", "it must be a whole number, not '1'."),
        (int, math.inf, "it must be a whole number, not inf."),
        (float, math.nan, "it must be a number, not nan."),
        (float, 10**400, "it must be a number, not 1000"),
        (str, 1, "it must be text, not 1."),
        (bool, 1, "it must be true or false, not 1."),
        (Seed, -1, "it must be a whole number from 0 to 8796093022207, not -1."),
        (Share, math.nan, "it must be a number from 0 to 1, not nan."),
        (Milliseconds, 0, "it must be a number above 0 and at most 1e+07, not 0."),
        (Correlation, 2, "it must be a number from -1.001 to 1.001, not 2."),
        (Threads, "/../../escaped-", "it must be a whole number from 1 to 1024, not '/../../escaped-'."),
        (Name, "/../../escaped-", "it must be text of up to 100 letters"),
        (Name, "..", "it must be text of up to 100 letters"),
        (Name, "a\n", "it must be text of up to 100 letters"),
        (Name, "a ", "it must be text of up to 100 letters"),
        (Name, " a", "it must be text of up to 100 letters"),
        (list[int], "12", "it must be a list, not '12'."),
        (tuple[int, int], [1], "it must have 2 entries, not 1."),
        (Annotated[list[int], Length(1, 2)], [1, 2, 3], "it must be a list with 1 to 2 entries, not with 3."),
        (Annotated[list[int], Distinct()], [1, 2, 1], "it must not list 1 twice."),
        (Annotated[list[int], Ascending()], [2, 1], "it must be a list in ascending order, not [2, 1]."),
        (list[Share], [0.5, 7.5], "it[1] must be a number from 0 to 1, not 7.5."),
        (dict[str, int], [1], "it must be a table, not [1]."),
        (dict[Name, int], {"../x": 1}, "the name '../x' in it must be text of up to"),
        (Literal["measured"], "mesured", "Unknown it 'mesured'. Did you mean 'measured'?"),
        (Annotated[str, OneOf("letter", ("alpha",))], [], "Unknown letter []. Known: alpha."),
        (Outer, {"label": "a"}, "the field it.threads is missing."),
        (Outer, {"label": "a", "threads": 1, "thread": 2}, "Unknown field 'it.thread'. Did you mean 'it.threads'?"),
        (Outer, {"label": "a", "threads": 1, "own": {"threads": 0}}, "it.own.threads must be a whole number from 1"),
        (Outer, {"label": "a", "threads": 1, "times": {"x": [1, -1]}}, "it.times['x'][1] must be a number above 0"),
        (Outer, {"label": "a", "threads": 1, "anything": {"x": [math.inf]}}, "it.anything['x'] must be a finite number"),
        (Outer, {"label": "wrong", "threads": 1}, "it is wrong: that label is taken"),
        (Outer, [], "it must be a table, not []."),
    ],
)
def test_what_does_not_fit(kind, value, message):
    with pytest.raises(Unfit) as refused:
        read(kind, value, "it")
    assert str(refused.value).startswith(message)
    assert len(str(refused.value)) < 300


def test_what_nobody_knows_is_not_nested_for_ever():
    nested: Any = 1
    for _ in range(100):
        nested = [nested]
    with pytest.raises(Unfit, match="nested too deeply"):
        read(Any, nested, "it")


def test_plain_data_reads_back():
    outer = Outer("a", Inner(2), Inner(3, "int8"), {"x": (1.0, 2.0)}, {"y": [1, "z"]})
    data = plain(outer)
    assert data["threads"] == 2 and data["own"] == {"threads": 3, "name": "int8"}
    assert read(Outer, data) == outer


def test_a_dataclass_can_check_its_own_fields():
    @dataclass(frozen=True)
    class Checked:
        share: Share

        def __post_init__(self) -> None:
            check_fields(self)

    globals()["Checked"] = Checked
    assert type(Checked(1).share) is float
    with pytest.raises(Unfit, match="share must be a number from 0 to 1"):
        Checked(2)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("a\0b", "has a NUL character"),
        ("x" * 300, "is too long"),
        ("x/" * 4000, "is too long"),
        ("~nosuchuser/x", "home folder of a user whom this machine does not know"),
        ("\ud800", "no file name can have"),
    ],
)
def test_what_is_no_path(path, reason):
    with pytest.raises(Unfit, match=reason):
        read(GivenPath, path, "it")


def test_where_nothing_can_be_made(tmp_path):
    (tmp_path / "file").touch()
    for kind, path, reason in (
        (NewFolder, tmp_path / "file", "it is no folder"),
        (NewFolder, tmp_path / "file" / "x", "is no folder"),
        (NewFolder, "/dev/null", "it is no folder"),
        (NewFolder, "/proc/x", "cannot be written"),
        (NewFile, tmp_path, "it is a folder"),
    ):
        with pytest.raises(Unfit, match=reason):
            read(kind, path, "it")
    assert read(NewFolder, tmp_path) == tmp_path
    assert read(NewFolder, str(tmp_path / "a" / "b")) == tmp_path / "a" / "b"
    assert read(NewFile, tmp_path / "file") == tmp_path / "file"
