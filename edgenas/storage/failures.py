"""What a storage does wrong, in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edgenas.errors import EdgeNASError
from edgenas.values import shown


@contextmanager
def storage_answers(what: str) -> Iterator[None]:
    """Raises EdgeNASError where the storage of `what` fails within the block, or holds what Optuna cannot make sense of.

    The block asks the storage and does nothing else: whatever is raised in it is the storage's.
    """
    try:
        yield
    except EdgeNASError:
        raise
    except Exception as error:  # of whatever database
        reason = " ".join(str(error).split()) or type(error).__name__
        raise EdgeNASError(
            f"The storage of {what} failed: it does not answer, or is damaged ({shown(reason)}). What was finished is kept: "
            "run the same command again, or restore the storage."
        ) from error
