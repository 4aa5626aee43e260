"""`Ledger`: every accuracy that was truly measured, so that none is measured twice."""

from __future__ import annotations

import hashlib
import threading
import time
import uuid
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from edgenas.space import Space
from edgenas.storage import open_storage

HEARTBEAT_S = 10.0
"""How often a worker tells that it is alive while it evaluates."""
LEASE_S = 60.0
"""After this long without a heartbeat others take a worker for dead and its architecture for free. The clocks of machines that
share a storage may differ by less than that."""


class Ledger:
    """Validation accuracies of one supernet's architectures: an Optuna study, which optuna-dashboard opens.

    storage: an Optuna journal file, or the URL of a database that several workers share, such as
    `postgresql://user@host/edgenas`, or an open storage; None for memory alone.
    key: names the study; accuracies of other weights belong to another.
    Each accuracy is written when it is known: an interrupted search loses none, and the next search for another budget or
    device begins with all of them. Raises EdgeNASError when the storage cannot be opened.
    """

    def __init__(self, storage: Path | str | BaseStorage | None, key: str, space: Space):
        self.space = space
        self._key = key
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._storage = open_storage(storage)
        self._study = optuna.create_study(study_name=key, storage=self._storage, direction="maximize", load_if_exists=True)
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

    def of_share(self, share: float) -> Ledger:
        """Where accuracies on a share of the validation images are kept: a study apart, so that none passes for a full one."""
        return Ledger(self._storage, f"{self._key}-share-{share:.4g}", self.space)

    def evaluate(self, architecture: Hashable, evaluate: Callable[[Hashable], float]) -> float | None:
        """The accuracy, measured unless it is known; None while another worker measures it.

        A worker first enters what it is about to measure. The storage numbers the entries, so that of two workers that choose
        the same architecture at once both see whose entry is first. A worker that dies without a word loses its claim when
        its heartbeats are overdue.
        """
        if architecture in self._accuracies:
            return self._accuracies[architecture]
        number = self._claim(architecture)
        if number is None:
            self.refresh()
            return self._accuracies.get(architecture)
        try:
            with self._heartbeats(number):
                accuracy = float(evaluate(architecture))
        except BaseException:
            self._study.tell(number, state=TrialState.FAIL)  # so that whoever goes on may measure it
            raise
        self._study.tell(number, accuracy)
        self._accuracies[architecture] = accuracy
        return accuracy

    def wait_for(self, architecture: Hashable, evaluate: Callable[[Hashable], float]) -> float:
        """`evaluate`, but waits where another worker has it in hand, and measures it should that worker die."""
        while (accuracy := self.evaluate(architecture, evaluate)) is None:
            time.sleep(0.5)
        return accuracy

    def absorb(self, other: Ledger) -> None:
        """Take over what another ledger of the same weights knows."""
        for architecture, accuracy in other.items():
            self.evaluate(architecture, lambda _, accuracy=accuracy: accuracy)

    def _claim(self, architecture: Hashable) -> int | None:
        """The number of an entry that gives the right to measure it; None where another worker has that."""
        genome, token = self.space.encode(architecture).tolist(), uuid.uuid4().hex
        if self._claims(genome):
            return None
        self._study.add_trial(self._entry(architecture, genome, token))
        first, *others = self._claims(genome)
        if first.user_attrs["token"] == token:
            return first.number
        own = next(trial.number for trial in others if trial.user_attrs["token"] == token)
        self._study.tell(own, state=TrialState.FAIL)
        return None

    def _claims(self, genome: list[int]) -> list[FrozenTrial]:
        """Who has measured it or is at it, the first first."""
        active = (TrialState.RUNNING, TrialState.COMPLETE)
        same = [t for t in self._study.get_trials(deepcopy=False, states=active) if t.user_attrs["genome"] == genome]
        alive = time.time() - LEASE_S
        valid = [t for t in same if t.state == TrialState.COMPLETE or t.user_attrs.get("heartbeat", 0.0) > alive]
        return sorted(valid, key=lambda t: t.number)

    @contextmanager
    def _heartbeats(self, number: int) -> Iterator[None]:
        done = threading.Event()
        study_id = self._storage.get_study_id_from_name(self._key)
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(study_id, number)

        def beat() -> None:
            while not done.wait(HEARTBEAT_S):
                with suppress(Exception):  # of whatever database: a beat that fails is one that is late
                    self._storage.set_trial_user_attr(trial_id, "heartbeat", time.time())

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _entry(self, architecture: Hashable, genome: list[int], token: str) -> FrozenTrial:
        names, sizes = self.space.gene_names, self.space.gene_sizes.tolist()
        return optuna.create_trial(
            state=TrialState.RUNNING,
            params=dict(zip(names, genome, strict=True)),
            distributions={n: CategoricalDistribution(tuple(range(s))) for n, s in zip(names, sizes, strict=True)},
            user_attrs={"architecture": str(architecture), "genome": genome, "token": token, "heartbeat": time.time()},
        )


def weights_key(weights: Path) -> str:
    """Names the weights that accuracies belong to: the hash of their file."""
    return hashlib.sha256(weights.read_bytes()).hexdigest()[:12]
