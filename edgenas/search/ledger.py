"""`Ledger`: every accuracy that was truly measured, so that none is measured twice."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Hashable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from edgenas.errors import EdgeNASError
from edgenas.search.layout import Space, gene_names

LEASE = timedelta(minutes=15)
"""How long an evaluation may take before others take its worker for dead and the architecture for free."""


class Ledger:
    """Validation accuracies of one supernet's architectures: an Optuna study, which optuna-dashboard opens.

    storage: an Optuna journal file, or the URL of a database that several workers share, such as
    `postgresql://user@host/edgenas`; None for memory alone.
    key: names the study; accuracies of other weights belong to another.
    Each accuracy is written when it is known: an interrupted search loses none, and the next search for another budget or
    device begins with all of them. Raises EdgeNASError when the storage cannot be opened.
    """

    def __init__(self, storage: Path | str | None, key: str, space: Space):
        self.space = space
        self._names = gene_names(space)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            self._study = optuna.create_study(
                study_name=key, storage=_storage(storage), direction="maximize", load_if_exists=True
            )
        except Exception as error:  # of whatever database the URL names
            raise EdgeNASError(f"The storage of evaluations cannot be opened: {error}. Check --storage.") from error
        self._accuracies: dict[Hashable, float] = {}
        self.refresh()

    def __len__(self) -> int:
        return len(self._accuracies)

    def __contains__(self, architecture: Hashable) -> bool:
        return architecture in self._accuracies

    def __getitem__(self, architecture: Hashable) -> float:
        return self._accuracies[architecture]

    def items(self) -> list[tuple[Hashable, float]]:
        return list(self._accuracies.items())

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """`(n, d)` genomes and `(n,)` accuracies."""
        genomes = [self.space.encode(architecture) for architecture in self._accuracies]
        return np.array(genomes, dtype=int).reshape(len(genomes), len(self.space.gene_sizes)), np.array(
            list(self._accuracies.values())
        )

    def refresh(self) -> None:
        """Learn what other workers have measured meanwhile."""
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
            architecture = self.space.decode(np.array(trial.user_attrs["genome"]))
            self._accuracies[architecture] = trial.value

    def evaluate(self, architecture: Hashable, evaluate: Callable[[Hashable], float]) -> float | None:
        """The accuracy, measured unless it is known; None while another worker measures it.

        A worker first enters what it is about to measure. The storage numbers the entries, so that of two workers that choose
        the same architecture at once both see whose entry is first.
        """
        if architecture in self._accuracies:
            return self._accuracies[architecture]
        number = self._claim(architecture)
        if number is None:
            self.refresh()
            return self._accuracies.get(architecture)
        try:
            accuracy = float(evaluate(architecture))
        except BaseException:
            self._study.tell(number, state=TrialState.FAIL)  # so that whoever goes on may measure it
            raise
        self._study.tell(number, accuracy)
        self._accuracies[architecture] = accuracy
        return accuracy

    def absorb(self, other: Ledger) -> None:
        """Take over what another ledger of the same weights knows."""
        for architecture, accuracy in other.items():
            self.evaluate(architecture, lambda _, accuracy=accuracy: accuracy)

    def _claim(self, architecture: Hashable) -> int | None:
        genome, token = self.space.encode(architecture).tolist(), uuid.uuid4().hex
        self._study.add_trial(self._entry(architecture, genome, token))
        active = (TrialState.RUNNING, TrialState.COMPLETE)
        same = [t for t in self._study.get_trials(deepcopy=False, states=active) if t.user_attrs["genome"] == genome]
        expired = datetime.now() - LEASE
        valid = [t for t in same if t.state == TrialState.COMPLETE or t.datetime_start > expired]
        own = next(t.number for t in same if t.user_attrs["token"] == token)
        if min(t.number for t in valid) == own:
            return own
        self._study.tell(own, state=TrialState.FAIL)
        return None

    def _entry(self, architecture: Hashable, genome: list[int], token: str) -> optuna.trial.FrozenTrial:
        sizes = self.space.gene_sizes.tolist()
        return optuna.create_trial(
            state=TrialState.RUNNING,
            params=dict(zip(self._names, genome, strict=True)),
            distributions={n: CategoricalDistribution(tuple(range(s))) for n, s in zip(self._names, sizes, strict=True)},
            user_attrs={"architecture": str(architecture), "genome": genome, "token": token},
        )


def weights_key(weights: Path) -> str:
    """Names the weights that accuracies belong to: the hash of their file."""
    return hashlib.sha256(weights.read_bytes()).hexdigest()[:12]


def _storage(storage: Path | str | None) -> BaseStorage | str | None:
    if storage is None or (isinstance(storage, str) and "://" in storage):
        return storage
    path = Path(storage)
    path.parent.mkdir(parents=True, exist_ok=True)
    return JournalStorage(JournalFileBackend(str(path)))
