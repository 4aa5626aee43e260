"""`open_storage`: of whatever kind it is."""

from __future__ import annotations

from pathlib import Path

from optuna.storages import BaseStorage, JournalStorage, get_storage
from optuna.storages.journal import BaseJournalBackend

from edgenas.errors import EdgeNASError
from edgenas.storage.databases import missing_driver, open_database
from edgenas.storage.journal import Journal, JournalCopy


def open_storage(storage: Path | str | BaseStorage | None) -> BaseStorage:
    """A journal file, or the database of a URL: `sqlite:///trials.db`, `postgresql://user@host/edgenas`, `mysql://...`.

    storage: one that is open already is returned as it is; None is memory alone. Raises EdgeNASError when it cannot be opened,
    or its driver is missing.
    """
    if storage is None or isinstance(storage, BaseStorage):
        return get_storage(storage)
    if "://" not in str(storage):
        return _journal(Path(storage))
    try:
        return open_database(str(storage))
    except ImportError as error:
        raise EdgeNASError(missing_driver(str(storage))) from error
    except Exception as error:  # of whatever database the URL names
        raise EdgeNASError(f"The storage {storage} cannot be opened: {error}. Check `storage`.") from error


def _journal(path: Path) -> BaseStorage:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        journal = Journal(path)
        journal.mend()
    except OSError as error:
        raise EdgeNASError(f"{path} cannot be opened: {error.strerror}.") from error
    return _replayed(journal, path)


def copy_journal(path: Path) -> BaseStorage:
    """What a journal file holds now, to be looked at (`JournalCopy`). Raises EdgeNASError when it cannot be read."""
    try:
        copy = JournalCopy(path)
    except OSError as error:
        raise EdgeNASError(f"{path} cannot be read: {error.strerror}.") from error
    return _replayed(copy, path)


def _replayed(journal: BaseJournalBackend, path: Path) -> BaseStorage:
    try:
        return JournalStorage(journal)
    except Exception as error:  # whatever records that do not fit together make of Optuna
        raise EdgeNASError(
            f"{path} is damaged: its records do not fit together ({error!r}). Restore it, or move it away to begin anew."
        ) from error
