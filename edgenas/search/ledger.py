"""`Ledger`: every subnet that was truly evaluated, so that none is evaluated twice."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
import uuid
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Generic

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from edgenas.device.execution import precision_suffix
from edgenas.errors import EdgeNASError
from edgenas.metric import ACCURACY, Answers, Metric
from edgenas.space import Space
from edgenas.space.genome import A
from edgenas.storage import is_dead, open_storage, open_study, own_worker, storage_answers
from edgenas.values import Unfit, read, shown
from edgenas.values.kinds import Share

HEARTBEAT_S = 10.0
"""How often a worker tells that it is alive while it evaluates."""
LEASE_S = 60.0
"""After this long without a heartbeat others take a worker for dead and its architecture for free. The clocks of machines that
share a storage may differ by less than that."""
WHAT, ANSWERS = "evaluations", "answers-"
NOTICE_S = 5.0
"""How long another worker is waited for before that is said."""
MOST_TEXT = 50_000
"""Characters of an entry: what every database takes."""

Measured = float | Answers
"""What evaluating gives: an accuracy, or the answers from which any metric follows."""

_log = logging.getLogger(__name__)


class Ledger(Generic[A]):
    """How one supernet's architectures do on validation images: an Optuna study, which optuna-dashboard opens.

    It keeps accuracies and, as far as they were given, the answers to all images, from which `metric` follows: the values
    that it has here, called accuracies as everywhere in this package. Entries that do not tell it count as not there.

    storage: an Optuna journal file, or the URL of a database that several workers share, such as
    `postgresql://user@host/edgenas`, or an open storage; None for memory alone.
    key: names the study; accuracies of other weights belong to another.
    search: the id of the search that this one is opened for (`edgenas.search.attempt`). What that search has evaluated before
    it was interrupted is not known here, until it asks for it again: so it goes on as if it had not been.
    Each accuracy is written when it is known: an interrupted search loses none, and the next search for another budget or
    device begins with all of them. Raises EdgeNASError when the storage cannot be opened or holds what no accuracy can be.
    """

    def __init__(
        self, storage: Path | str | BaseStorage | None, key: str, space: Space[A], metric: Metric = ACCURACY,
        search: str | None = None,
    ):  # fmt: skip
        self.space = space
        self.metric = metric
        self.others = 0
        """How many evaluations others have added since this search began."""
        self._search = search
        self._recalled: dict[A, Measured] = {}
        self._key = key
        self._storage = open_storage(storage)
        with storage_answers(WHAT):
            self._study = open_study(self._storage, key, direction="maximize")
        self._accuracies: dict[A, float] = {}
        self._answers: dict[A, Answers] = {}
        self.refresh()

    def __len__(self) -> int:
        return len(self._accuracies)

    def __contains__(self, architecture: A) -> bool:
        return architecture in self._accuracies

    def __getitem__(self, architecture: A) -> float:
        return self._accuracies[architecture]

    def items(self) -> list[tuple[A, float]]:
        return list(self._accuracies.items())

    def answers(self, architecture: A) -> Answers | None:
        """What it called the validation images; None where that was not kept."""
        return self._answers.get(architecture)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """`(n, d)` genomes and `(n,)` accuracies."""
        genomes = [self.space.encode(architecture) for architecture in self._accuracies]
        return np.array(genomes, dtype=int).reshape(len(genomes), len(self.space.gene_sizes)), np.array(
            list(self._accuracies.values())
        )

    def refresh(self) -> None:
        """Learn what other workers have measured meanwhile."""
        has_begun, self.others = False, 0
        for trial in self._trials(TrialState.COMPLETE):
            architecture = self._architecture(trial)
            values = trial.values or []
            accuracy = _plausible(values[0] if len(values) == 1 else None, architecture, "is kept in this ledger")
            if not self._tells(trial):
                continue
            is_own = self._search is not None and trial.user_attrs.get("search") == self._search
            has_begun |= is_own
            self.others += has_begun and not is_own
            measured = _kept_answers(trial) or accuracy
            if is_own and architecture not in self._accuracies:
                self._recalled[architecture] = measured
            elif architecture not in self._answers:
                self._take(architecture, measured)

    @property
    def recalled(self) -> int:
        """How many evaluations of this search, from before it was interrupted, it has not asked for again yet."""
        return len(self._recalled)

    def recall(self, architecture: A) -> float | None:
        """What this search has measured before it was interrupted; None where it has not. From now on it is known."""
        if architecture not in self._recalled:
            return None
        self._take(architecture, self._recalled.pop(architecture))
        return self._accuracies[architecture]

    def recall_with(self, other: Ledger[A]) -> None:
        """`recall` what another ledger knows: what a search measured together it knows together."""
        for architecture, _ in other.items():
            self.recall(architecture)

    def of_share(self, share: float) -> Ledger[A]:
        """Where accuracies on a share of the validation images are kept: a study apart, so that none passes for a full one."""
        return Ledger(self._storage, f"{self._key}-share-{share:.4g}", self.space, self.metric, self._search)

    def evaluate(self, architecture: A, evaluate: Callable[[A], Measured]) -> float | None:
        """The accuracy, measured unless it is known; None while another worker measures it.

        A worker first enters what it is about to measure. The storage numbers the entries, so that of two workers that choose
        the same architecture at once both see whose entry is first. A worker that dies without a word loses its claim: at once
        to others on its machine, who see that it is gone, elsewhere when its heartbeats are overdue.

        Raises EdgeNASError where what was measured is not in 0..1.
        """
        if architecture in self._accuracies:
            return self._accuracies[architecture]
        if (recalled := self.recall(architecture)) is not None:
            return recalled
        number = self._claim(architecture)
        if number is None:
            self.refresh()
            return self._accuracies.get(architecture)
        try:
            with self._heartbeats(number):
                measured = self._take(architecture, evaluate(architecture))
        except BaseException:
            with suppress(EdgeNASError):
                self._tell(number, state=TrialState.FAIL)  # so that whoever goes on may measure it
            raise
        if isinstance(measured, Answers):
            self._keep_answers(number, measured)
        self._tell(number, measured.accuracy if isinstance(measured, Answers) else measured)
        return self._accuracies[architecture]

    def wait_for(self, architecture: A, evaluate: Callable[[A], Measured]) -> float:
        """`evaluate`, but waits where another worker has it in hand, and measures it should that worker die."""
        begin, said = time.monotonic(), False
        while (accuracy := self.evaluate(architecture, evaluate)) is None:
            if time.monotonic() - begin > NOTICE_S and not said:
                _log.warning("Waiting for another search that evaluates %s.", architecture)
                said = True
            time.sleep(0.5)
        return accuracy

    def absorb(self, other: Ledger[A]) -> None:
        """Take over what another ledger of the same weights knows."""
        for architecture, _ in other.items():
            if architecture not in self._recalled:
                self.evaluate(architecture, lambda known: other.answers(known) or other[known])

    def _take(self, architecture: A, measured: Measured) -> Measured:
        """Remember what was measured, by the ledger's metric. Raises EdgeNASError for what no accuracy can be."""
        if isinstance(measured, Answers):
            self._answers[architecture] = measured
            # A share of the images may have none of the class whose recall is wanted: then nothing speaks for the architecture.
            self._accuracies[architecture] = self.metric.value(measured.tally) or 0.0
            return measured
        if not self.metric.is_accuracy:
            raise EdgeNASError(f"An accuracy alone does not tell the {self.metric.label}: evaluate to `Answers`.")
        self._accuracies[architecture] = _plausible(float(measured), architecture, "was measured")
        return self._accuracies[architecture]

    def _tells(self, trial: FrozenTrial) -> bool:
        """Whether an entry says how its architecture does by the metric."""
        return self.metric.is_accuracy or f"{ANSWERS}0" in trial.user_attrs

    def _keep_answers(self, number: int, answers: Answers) -> None:
        text, trial_id = answers.to_text(), self._trial_id(number)
        with storage_answers(WHAT):
            for part, begin in enumerate(range(0, len(text), MOST_TEXT)):
                self._storage.set_trial_user_attr(trial_id, f"{ANSWERS}{part}", text[begin : begin + MOST_TEXT])

    def _claim(self, architecture: A) -> int | None:
        """The number of an entry that gives the right to measure it; None where another worker has that."""
        genome, token = self.space.encode(architecture).tolist(), uuid.uuid4().hex
        if self._claims(genome):
            return None
        with storage_answers(WHAT):
            self._study.add_trial(self._entry(architecture, genome, token))
        first, *others = self._claims(genome)
        if first.user_attrs.get("token") == token:
            return first.number
        own = next(trial.number for trial in others if trial.user_attrs.get("token") == token)
        self._tell(own, state=TrialState.FAIL)
        return None

    def _claims(self, genome: list[int]) -> list[FrozenTrial]:
        """Who has measured it or is at it, the first first."""
        active = self._trials(TrialState.RUNNING, TrialState.COMPLETE)
        same = [trial for trial in active if trial.user_attrs.get("genome") == genome]
        kept = (t for t in same if (self._tells(t) if t.state == TrialState.COMPLETE else _is_alive(t)))
        return sorted(kept, key=lambda t: t.number)

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        with storage_answers(WHAT):
            return self._study.get_trials(deepcopy=False, states=states)

    def _tell(self, number: int, accuracy: float | None = None, state: TrialState | None = None) -> None:
        with storage_answers(WHAT):
            self._study.tell(number, accuracy, state=state)

    def _architecture(self, trial: FrozenTrial) -> A:
        try:
            return self.space.decode(np.array(trial.user_attrs["genome"]))
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise EdgeNASError(
                f"The ledger of evaluations is damaged: its entry {trial.number} is no architecture of {self.space.name} "
                f"({error!r}). Restore its file, or move it away to begin anew."
            ) from None

    @contextmanager
    def _heartbeats(self, number: int) -> Iterator[None]:
        done, trial_id = threading.Event(), self._trial_id(number)

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

    def _trial_id(self, number: int) -> int:
        with storage_answers(WHAT):
            study_id = self._storage.get_study_id_from_name(self._key)
            return self._storage.get_trial_id_from_study_id_trial_number(study_id, number)

    def _entry(self, architecture: A, genome: list[int], token: str) -> FrozenTrial:
        names, sizes = self.space.gene_names, self.space.gene_sizes.tolist()
        return optuna.create_trial(
            state=TrialState.RUNNING,
            params=dict(zip(names, genome, strict=True)),
            distributions={n: CategoricalDistribution(tuple(range(s))) for n, s in zip(names, sizes, strict=True)},
            user_attrs={"architecture": str(architecture), "genome": genome, "token": token, "heartbeat": time.time(),
                        "worker": own_worker()} | ({"search": self._search} if self._search else {}),
        )  # fmt: skip


def _is_alive(trial: FrozenTrial) -> bool:
    """Whether somebody is at it, as far as is known."""
    beat = trial.user_attrs.get("heartbeat")
    return isinstance(beat, int | float) and abs(time.time() - beat) < LEASE_S and not is_dead(trial.user_attrs.get("worker"))


def _kept_answers(trial: FrozenTrial) -> Answers | None:
    """Raises EdgeNASError where they are damaged."""
    parts = [name for name in trial.user_attrs if name.startswith(ANSWERS)]
    if not parts:
        return None
    try:
        return Answers.from_text("".join(trial.user_attrs[f"{ANSWERS}{part}"] for part in range(len(parts))))
    except (KeyError, TypeError, ValueError) as error:
        raise EdgeNASError(f"The ledger of evaluations is damaged: the answers of its entry {trial.number} cannot be read "
                           f"({error}). Restore its file, or move it away to begin anew.") from None  # fmt: skip


def _plausible(accuracy: object, architecture: Hashable, verb: str) -> float:
    """Raises EdgeNASError for what no accuracy can be."""
    try:
        plausible: float = read(Share, accuracy)
    except Unfit:
        raise EdgeNASError(f"An accuracy of {shown(accuracy)} {verb} for {architecture}: accuracies are in 0..1. Where the "
                           "weights are sound, restore or remove what gave it.") from None  # fmt: skip
    return plausible


def weights_key(weights: Path, precision: str = "fp32") -> str:
    """Names the weights and the precision that accuracies belong to, by the hash of the weights' file."""
    return hashlib.sha256(weights.read_bytes()).hexdigest()[:12] + precision_suffix(precision)
