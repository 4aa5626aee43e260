"""The errors that EdgeNAS raises for a user to read: each says what happened and what to do."""

from __future__ import annotations

MOST_SHOWN = 1200
"""Characters of a message. What is quoted in one may be of any length."""


class EdgeNASError(Exception):
    """Work that could not be done. The command line prints the message alone and exits with `exit_code`.

    hint: what to do, where that is more than the message says; it follows the message after a colon. In both, parameters and
    steps of the library stand in backticks, such as `seconds` or `export(runs/photos)`: the command line puts its own options
    and commands in their place (`edgenas.cli.vocabulary`).
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = super().__str__()
        whole = f"{message}: {self.hint}" if self.hint else message
        # A file, a device or another library may have been quoted: nothing of it may steer a terminal.
        text = "".join(c if c.isprintable() or c == "\n" else "?" for c in whole)
        return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 300]} ... {text[-300:]}"


class UsageError(EdgeNASError):
    """A request that cannot be meant: an unknown name, a missing folder, options that exclude each other."""

    exit_code = 2


class DataError(EdgeNASError):
    """Images that cannot be used as they are."""


class CheckpointError(EdgeNASError):
    """A run folder or a weights file that is damaged, incomplete or from another version."""


class DivergenceError(EdgeNASError):
    """A training whose loss is no number any more."""


class InfeasibleError(EdgeNASError):
    """No architecture meets a constraint. `closest` is the lowest value, such as a latency in ms, that the space can reach."""

    def __init__(self, message: str, closest: float, hint: str = ""):
        super().__init__(message, hint)
        self.closest = closest


class ParityError(EdgeNASError):
    """An exported file whose outputs differ from the network it was made from."""
