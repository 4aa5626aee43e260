"""Where Optuna studies are kept: in a file of one's own or in a database that several workers share."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from optuna.storages import BaseStorage, JournalStorage, get_storage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from edgenas.errors import EdgeNASError

DRIVERS = {"postgresql": "psycopg", "mysql": "pymysql"}
"""Of a database whose URL names none. Its extra of the package brings it."""
OPENING_TRIES = 4


def open_storage(storage: Path | str | BaseStorage | None) -> BaseStorage:
    """A journal file, or the database of a URL: `sqlite:///trials.db`, `postgresql://user@host/edgenas`, `mysql://...`.

    storage: one that is open already is returned as it is; None is memory alone. Raises EdgeNASError when it cannot be opened,
    or its driver is missing.
    """
    if storage is None or isinstance(storage, BaseStorage):
        return get_storage(storage)
    try:
        return _database(str(storage)) if "://" in str(storage) else _journal(Path(storage))
    except ImportError as error:
        raise EdgeNASError(_missing_driver(str(storage))) from error
    except Exception as error:  # of whatever database the URL names
        raise EdgeNASError(f"The storage {storage} cannot be opened: {error}. Check --storage.") from error


def _journal(path: Path) -> BaseStorage:
    path.parent.mkdir(parents=True, exist_ok=True)
    return JournalStorage(JournalFileBackend(str(path)))


def _database(url: str) -> BaseStorage:
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


def _missing_driver(url: str) -> str:
    database = make_url(url).get_backend_name()
    driver = f"'edgenas[{database}]'" if database in DRIVERS else "the one that SQLAlchemy's documentation names"
    return f"A driver for {database} is missing: pip install {driver}."
