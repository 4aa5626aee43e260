"""Optuna's studies, opened without a word from Optuna itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.storages import BaseStorage

QUIET, SILENT = optuna.logging.WARNING, optuna.logging.ERROR


@contextmanager
def optuna_says(level: int) -> Iterator[None]:
    """Within the block Optuna logs what is at least of this level; afterwards, what it logged before."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(level)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def open_study(storage: BaseStorage | None, name: str | None = None, **options: Any) -> optuna.Study:
    """The study of a name, made where there is none. options: of `optuna.create_study`.

    One that is there is not written to, so that a folder that cannot be written can be read.
    """
    with optuna_says(QUIET):
        if storage is not None and name is not None and any(s.study_name == name for s in storage.get_all_studies()):
            kept = {key: options[key] for key in ("sampler", "pruner") if key in options}
            return optuna.load_study(study_name=name, storage=storage, **kept)
        return optuna.create_study(study_name=name, storage=storage, load_if_exists=name is not None, **options)
