"""`Finding`: one thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass

OK, NOTE, BROKEN = "ok", "note", "BROKEN"


@dataclass(frozen=True)
class Finding:
    """area: what it is about, such as `runtimes`. name: of what was looked at.

    state: `OK`; `NOTE`, where something is missing or slow that can be done without; `BROKEN`, where what is needed does not
    work. found: how it is. advice: what to do, where there is something; steps of the library in backticks, as in errors.
    """

    area: str
    name: str
    state: str
    found: str
    advice: str = ""
