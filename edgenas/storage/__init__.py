"""Where Optuna studies are kept: in a file of one's own or in a database that several workers share."""

from edgenas.storage.databases import DRIVERS
from edgenas.storage.failures import storage_answers
from edgenas.storage.journal import Journal
from edgenas.storage.opening import copy_journal, open_storage
from edgenas.storage.studies import QUIET, SILENT, open_study, optuna_says
from edgenas.storage.workers import is_dead, own_worker

__all__ = [
    "DRIVERS",
    "QUIET",
    "SILENT",
    "Journal",
    "copy_journal",
    "is_dead",
    "open_storage",
    "open_study",
    "optuna_says",
    "own_worker",
    "storage_answers",
]
