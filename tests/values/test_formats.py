from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from edgenas.errors import CheckpointError, EdgeNASError
from edgenas.values import Format, read_text
from edgenas.values.kinds import Share


@dataclass(frozen=True)
class Note:
    share: Share


def _upgrade(data: dict[str, Any], version: int) -> None:
    if version < 2:
        data["share"] = data.pop("percent") / 100


NOTE = Format("note", Note, version=2, oldest=1, remedy="Write it anew.", upgrade=_upgrade)


def test_files_read_back(tmp_path):
    NOTE.save(tmp_path / "n.json", Note(0.5))
    assert json.loads((tmp_path / "n.json").read_text()) == {"version": 2, "share": 0.5}
    assert NOTE.load(tmp_path / "n.json") == Note(0.5)


def test_older_files_are_read_as_far_as_they_are_understood(tmp_path):
    assert NOTE.read({"version": 1, "percent": 50}, "there") == Note(0.5)
    with pytest.raises(CheckpointError, match=r"older EdgeNAS, and is not read any more\. Write it anew\."):
        NOTE.read({"version": 0, "percent": 50}, "there")
    with pytest.raises(CheckpointError, match="there was written by a newer EdgeNAS: update EdgeNAS"):
        NOTE.read({"version": 3}, "there")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value"),
        ("[]", "it is no table"),
        ("[" * 100_000, "it is nested too deeply"),
        ('{"share": 0.5}', "version must be a whole number, not None"),
        ('{"version": "2", "share": 0.5}', "version must be a whole number, not '2'"),
        ('{"version": 2, "share": NaN}', "share must be a number from 0 to 1, not nan"),
        ('{"version": 2, "share": 1e400}', "share must be a number from 0 to 1, not inf"),
        ('{"version": 2, "share": 0.5, "more": 1}', "Unknown field 'more'"),
        ('{"version": 1}', "'percent'"),
        ('{"version": 1, "percent": []}', "unsupported operand"),
    ],
)
def test_damage_is_one_sentence(tmp_path, text, reason):
    path = tmp_path / "n.json"
    path.write_text(text)
    with pytest.raises(CheckpointError) as refused:
        NOTE.load(path)
    assert str(refused.value).startswith(f"{path} is no note, or damaged: {reason}")
    assert str(refused.value).endswith("Write it anew.")


def test_what_is_no_text_or_not_there_or_too_much(tmp_path):
    path = tmp_path / "n.json"
    with pytest.raises(EdgeNASError, match="There is no note at"):
        NOTE.load(path)
    path.write_bytes(b"\xff\xfa")
    with pytest.raises(EdgeNASError, match="it is no text"):
        NOTE.load(path)
    with pytest.raises(EdgeNASError, match="it cannot be read"):
        NOTE.load(tmp_path)
    path.write_bytes(b"\xef\xbb\xbf" + b'{"version": 2, "share": 0.5}')  # with a byte order mark, as some editors add it
    assert NOTE.load(path) == Note(0.5)
    with pytest.raises(EdgeNASError, match="has more than 0 MiB"):
        read_text(path, "note", 10)
