"""Databases that several workers share."""

from __future__ import annotations

import time
import weakref
from contextlib import suppress

from optuna.storages import BaseStorage, RDBStorage, get_storage
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.pool import NullPool

DRIVERS = {"postgresql": "psycopg", "mysql": "pymysql"}
"""Of a database whose URL names none. Its extra of the package brings it."""
OPENING_TRIES = 4


def open_database(url: str) -> BaseStorage:
    """Of two workers that open an empty database at once, one fails to create its tables; a moment later they are there.

    Its connections are closed when nobody has the storage any more.
    """
    database = _answering(_with_driver(url))
    storage = get_storage(database)  # with Optuna's cache
    weakref.finalize(storage, database.engine.dispose)
    return storage


def _answering(url: str) -> RDBStorage:
    # A file is opened for every transaction, which costs nothing, and one that fails to open then stays closed.
    is_file = url.startswith("sqlite") and make_url(url).database not in (None, "", ":memory:")
    pool = {"poolclass": NullPool} if is_file else {}
    for _ in range(OPENING_TRIES - 1):
        with suppress(IntegrityError, OperationalError, ProgrammingError):
            return RDBStorage(url, engine_kwargs=pool)
        time.sleep(0.5)
    return RDBStorage(url, engine_kwargs=pool)


def _with_driver(url: str) -> str:
    parsed = make_url(url)
    if parsed.drivername in DRIVERS:
        parsed = parsed.set(drivername=f"{parsed.drivername}+{DRIVERS[parsed.drivername]}")
    return parsed.render_as_string(hide_password=False)


def missing_driver(url: str) -> str:
    database = make_url(url).get_backend_name()
    driver = f"'edgenas[{database}]'" if database in DRIVERS else "the one that SQLAlchemy's documentation names"
    return f"A driver for {database} is missing: pip install {driver}."
