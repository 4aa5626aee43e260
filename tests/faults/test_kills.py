"""Every command, ended at random moments and called again: it ends with what it would have, and leaves nothing else.

EDGENAS_KILLS: at how many moments each, in place of the few of a usual run. `python -m tests.faults` tries 50 and counts.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults.harness import COMMANDS, Moment, Story, faults, moments

KILLS = int(os.environ.get("EDGENAS_KILLS", 2))
SEED = 1


@pytest.mark.parametrize("moment", [moment for name in COMMANDS for moment in moments(name, KILLS, SEED)], ids=str)
def test_a_command_that_is_ended_ends_as_it_would_have(story: Story, tmp_path: Path, moment: Moment) -> None:
    assert faults(story, moment, tmp_path / "work") == []
