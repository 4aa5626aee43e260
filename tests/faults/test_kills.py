"""Every command, ended at random moments and called again: it ends with what it would have, and leaves nothing else.

Two moments each in a usual run, `pytest -m slow tests/faults` tries all; `python -m tests.faults` does, too, and counts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.faults.harness import COMMANDS, Moment, Story, faults, moments

ALL, USUAL = 50, 2
SEED = 0


def tried() -> list[Any]:
    each = [(number, moment) for name in COMMANDS for number, moment in enumerate(moments(name, ALL, SEED))]
    return [pytest.param(moment, id=str(moment), marks=[pytest.mark.slow] * (number >= USUAL)) for number, moment in each]


@pytest.mark.parametrize("moment", tried())
def test_a_command_that_is_ended_ends_as_it_would_have(story: Story, tmp_path: Path, moment: Moment) -> None:
    assert faults(story, moment, tmp_path / "work") == []
