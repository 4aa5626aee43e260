"""`python -m tests.faults [MOMENTS [SEED [COMMAND ...]]]`: ends every command at 50 moments; how often is anything wrong?"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.faults.harness import COMMANDS, Story, faults, moments, warm


def main(count: int = 50, seed: int = 0, *commands: str) -> int:
    failed = 0
    with tempfile.TemporaryDirectory(prefix="edgenas-faults-") as name, warm(Path(name)) as server:
        story = Story(server, Path(name))
        story.tell(max(commands or COMMANDS, key=list(COMMANDS).index))
        for command in commands or COMMANDS:
            begin, kinds, bad = time.monotonic(), Counter[str](), 0
            for number, moment in enumerate(moments(command, count, seed)):
                wrong = faults(story, moment, Path(name) / f"{command}-{number}")
                bad += bool(wrong)
                kinds.update(each.split(":")[0] for each in wrong)
                for each in wrong:
                    print(f"  {moment}: {each}", flush=True)
            print(f"{command}: {count - bad} of {count} as uninterrupted, {dict(kinds)}, "
                  f"{time.monotonic() - begin:.0f} s", flush=True)  # fmt: skip
            failed += bad
    return failed


if __name__ == "__main__":
    numbers, commands = sys.argv[1:3], sys.argv[3:]
    sys.exit(min(1, main(*map(int, numbers), *commands)))
