"""What every step says of its own result."""

from __future__ import annotations

from edgenas.cli.display import say
from edgenas.training import Run


def show_judgement(run: Run, *steps: str) -> None:
    """Say what `edgenas.report` thinks of these steps of a run: `training`, `search`, `finetuning`, `files`."""
    from edgenas import report  # here, so that no start waits for what draws

    for step in steps:
        for sentence in getattr(report, f"judge_{step}")(run):
            say(sentence)
