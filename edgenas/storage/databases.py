"""Databases that several workers share."""

from __future__ import annotations

import time
from contextlib import suppress

from optuna.storages import BaseStorage, get_storage
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

DRIVERS = {"postgresql": "psycopg", "mysql": "pymysql"}
"""Of a database whose URL names none. Its extra of the package brings it."""
OPENING_TRIES = 4


def open_database(url: str) -> BaseStorage:
    """Of two workers that open an empty database at once, one fails to create its tables; a moment later they are there."""
    url = _with_driver(url)
    for _ in range(OPENING_TRIES - 1):
        with suppress(IntegrityError, OperationalError, ProgrammingError):
            return get_storage(url)
        time.sleep(0.5)
    return get_storage(url)


def _with_driver(url: str) -> str:
    parsed = make_url(url)
    if parsed.drivername in DRIVERS:
        parsed = parsed.set(drivername=f"{parsed.drivername}+{DRIVERS[parsed.drivername]}")
    return parsed.render_as_string(hide_password=False)


def missing_driver(url: str) -> str:
    database = make_url(url).get_backend_name()
    driver = f"'edgenas[{database}]'" if database in DRIVERS else "the one that SQLAlchemy's documentation names"
    return f"A driver for {database} is missing: pip install {driver}."
