"""Databases that several workers share, as Optuna storages."""

from __future__ import annotations

import time
from contextlib import suppress

from optuna.storages import BaseStorage, get_storage
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from edgenas.errors import EdgeNASError

OPENING_TRIES = 4


def open_database(url: str) -> BaseStorage:
    """The database at a URL such as `sqlite:///trials.db` or `postgresql://user@host/edgenas`, with its tables.

    Of two workers that open an empty database at once, one fails to create the tables; a moment later they are there.
    Raises EdgeNASError when it cannot be opened, or its driver is missing.
    """
    try:
        for _ in range(OPENING_TRIES - 1):
            with suppress(IntegrityError, OperationalError, ProgrammingError):
                return get_storage(url)
            time.sleep(0.5)
        return get_storage(url)
    except ImportError as error:
        database = url.split(":")[0].split("+")[0]
        driver = "'psycopg[binary]'" if database == "postgresql" else "the one that SQLAlchemy's documentation names"
        raise EdgeNASError(f"A driver for {database} is missing: pip install {driver}.") from error
    except Exception as error:  # of whatever database the URL names
        raise EdgeNASError(f"The storage cannot be opened: {error}. Check --storage.") from error
