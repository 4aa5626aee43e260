"""How a script is run on a device whose login shell nobody knows: it may be fish or tcsh, and print what it likes before.

The login shell gets the same short command whatever is to be done. It starts `sh`, which reads the script from standard input,
where no shell looks at what is quoted how. The script's first act is to print `MARK`: what came before is a greeting.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from typing import IO

MARK = b"edgenas: from here on it is our script that speaks"

# `dd` byte by byte, since `head` may take more than it prints, and what follows belongs to the script.
COMMAND = """sh -c 'eval "$(dd bs=1 count={size} 2>/dev/null)"'"""

MOST_GREETING, MOST_LINE = 2**18, 4096
"""Bytes of what a login prints before the script begins, and of one of its lines."""

_FULL = ("No space left on device", "Disk quota exceeded")


@dataclass
class Lines:
    """What a login has printed, as far as it was read. ended: whether the script has begun. is_endless: it never would have."""

    last: list[bytes] = field(default_factory=list)
    ended: bool = False
    is_endless: bool = False


def script_bytes(script: str) -> bytes:
    """A script as it is sent: what it prints on either stream begins with a mark, in a line of its own."""
    mark = MARK.decode()
    return f"printf '\\n{mark}\\n'; printf '\\n{mark}\\n' >&2\n{script}\n".encode()


def past_greeting(stream: IO[bytes], greeting: Lines) -> bool:
    """Read a script's output, which must not be buffered, up to where its own begins. False where it never does."""
    left = MOST_GREETING
    while left > 0:
        line = stream.readline(MOST_LINE)
        left -= len(line)
        if not line:
            return False
        if line.strip() == MARK:
            greeting.ended = True
            return True
        if line.strip():
            greeting.last = [line]
    greeting.is_endless = True
    return False


def ended_because(code: int | None, errors: bytes, greeting: Lines | None = None) -> str:
    """Why a script was not done, in words that begin a sentence's second half.

    code: its status as a shell has it, None where it has not ended. errors: all that was printed on standard error.
    greeting: what came before it; None where nothing can have.
    """
    greeting = greeting or Lines(ended=True)
    if greeting.is_endless:
        return "its login prints without end: log in by hand and see what its shell prints"
    own = errors.rpartition(b"\n" + MARK + b"\n")[2].decode(errors="replace")
    if any(said in own for said in _FULL):
        return (
            "its disk is full. What was copied there is removed again: free some space in the home folder (df -h ~ shows how "
            "much there is), then run the same command again"
        )
    if code is not None and code > 128 and code - 128 in signal.valid_signals():
        return _ended_by(code - 128)
    if said := _last_line(errors.rpartition(b"\n" + MARK + b"\n")[2]):
        return said
    if not greeting.ended and code != 255:
        said = _last_line(b"".join(greeting.last))
        says = f" (it says: {said})" if said else ""
        return f"its login shell ends before it runs a command{says}: log in by hand and mend its start-up files"
    return "ssh ended without a word" if not greeting.ended else f"a command ended with {code}"


def _ended_by(number: int) -> str:
    """The timer's end by a signal."""
    name = signal.Signals(number).name
    if number == signal.SIGKILL:
        return "the system has killed the timer (SIGKILL), as it does where memory runs out: end other programs there"
    if number == signal.SIGILL:
        return "the runtime uses instructions that its processor does not have (SIGILL): choose another `runtime`"
    return f"the timer crashed ({name}): choose another `runtime`, or another version of it"


def _last_line(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1].strip().rstrip(".") if lines else ""
