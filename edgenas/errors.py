"""The errors that EdgeNAS raises for a user to read: each says what happened and what to do."""

from __future__ import annotations


class EdgeNASError(Exception):
    """Work that could not be done. The command line prints the message alone and exits with `exit_code`."""

    exit_code = 1


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

    def __init__(self, message: str, closest: float):
        super().__init__(message)
        self.closest = closest


class ParityError(EdgeNASError):
    """An exported file whose outputs differ from the network it was made from."""
