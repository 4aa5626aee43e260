"""`Tuning`: short trainings with different hyper-parameters, in a study that goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import optuna
from optuna.exceptions import StorageInternalError
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.pruners import MedianPruner
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from edgenas.data import Dataset
from edgenas.errors import DivergenceError, EdgeNASError, UsageError
from edgenas.metric import ACCURACY, Metric
from edgenas.processes import own_device
from edgenas.progress import Track, quiet
from edgenas.space import SearchSpace
from edgenas.storage import SILENT, open_storage, open_study, optuna_says, storage_answers
from edgenas.training import Recipe, Trainer
from edgenas.training.train import validation_accuracy
from edgenas.training.trainer import EpochResult
from edgenas.tuning.parameters import parameters
from edgenas.tuning.samplers import SAMPLERS, Grid
from edgenas.values import read, unknown
from edgenas.values.kinds import Epochs

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
ENOUGH_FOR_IMPORTANCE = 10


@dataclass(frozen=True)
class Trial:
    """One short training.

    fields: of the recipe. accuracy: by the study's metric, in 0..1 on validation images, the mean of the largest and the
    smallest subnet after the last epoch that it was trained for; 0 where the training diverged.
    pruned: whether it was given up early. own: whether its fields are those of the recipe that is tuned.
    """

    number: int
    fields: dict[str, float]
    accuracy: float
    epochs: int
    pruned: bool
    own: bool


class Tuning:
    """A study of one recipe on one space and data set, which several workers may share.

    storage: URL of a database, such as `sqlite:///trials.db` or `postgresql://user@host/edgenas`.
    recipe: what is not tuned; its own values of what is are the first trial. Workers may differ in its precision.
    sampler: a name in `SAMPLERS`. What other samplers have found is used, too. metric: by which trials are judged.

    Trials that are worse than the median of the others after as many epochs are given up. Every finished trial is kept at
    once. Raises UsageError for an unknown sampler, EdgeNASError when the storage cannot be opened.
    """

    def __init__(
        self, space: SearchSpace, dataset: Dataset, recipe: Recipe, storage: str | BaseStorage, *, sampler: str = "tpe",
        seed: int = 0, metric: Metric = ACCURACY,
    ):  # fmt: skip
        if sampler not in SAMPLERS:
            raise UsageError(unknown("sampler", sampler, SAMPLERS))
        self.space, self.dataset, self.recipe = space, dataset, recipe
        self.metric = metric
        self.parameters = parameters(recipe, len(dataset.train))
        base = {name: value for name, value in recipe.to_dict().items() if name not in ("epochs", "precision")}
        # Trials that were judged otherwise are others; what is judged by accuracy is called as it always was.
        judged = [] if metric.is_accuracy else [metric.name]
        about = [space.fingerprint, dataset.classes, len(dataset.train), base, *judged]
        self._study = open_study(
            open_storage(storage),
            f"tune-{hashlib.sha256(json.dumps(about).encode()).hexdigest()[:12]}",
            sampler=SAMPLERS[sampler](self.parameters, seed),
            pruner=MedianPruner(n_startup_trials=4),
            direction="maximize",
        )

    @property
    def epochs(self) -> int | None:
        """How long each trial trains; None before that is settled."""
        with storage_answers("trials"):
            epochs: int | None = read(Epochs | None, self._study.user_attrs.get("epochs"), "epochs")
        return epochs

    def settle_epochs(self, epochs: int) -> None:
        """Raises UsageError when the study's trials are of another length: they could not be compared."""
        if self.epochs is None:
            with storage_answers("trials"):
                self._study.set_user_attr("epochs", epochs)
        elif self.epochs != epochs:
            raise UsageError(
                f"The trials of this study train for {self.epochs} epochs, not {epochs}: leave `epochs` out to add to them, "
                "or choose another `out`."
            )

    @property
    def trials(self) -> list[Trial]:
        """The finished ones, the most accurate first: those that ended before those that were given up."""
        with storage_answers("trials"):
            found = [self._trial(t) for t in self._study.get_trials(deepcopy=False, states=FINISHED) if t.value is not None]
        return sorted(found, key=lambda trial: (trial.pruned, -trial.accuracy, trial.number))

    def importances(self) -> dict[str, float]:
        """How much each field matters for being among the best, summing to 1 (PED-ANOVA, Watanabe et al., arXiv:2304.10255).

        Nothing while there are too few whole trials to tell.
        """
        if sum(not trial.pruned for trial in self.trials) < ENOUGH_FOR_IMPORTANCE:
            return {}
        found = get_param_importances(self._study, evaluator=PedAnovaImportanceEvaluator())
        fields = {p.name: p.field for p in self.parameters}
        return {fields[name]: share for name, share in found.items()}

    def run(
        self,
        *,
        seconds: float | None = None,
        trials: int | None = None,
        track: Track = quiet,
        report: Callable[[Trial], None] = lambda trial: None,
    ) -> None:
        """Make trials for about so long, or until the study has so many, whichever comes first.

        `report` gets each when it is finished. An interrupted one is the first of the next call. Raises EdgeNASError when the
        storage fails.
        """
        if self.epochs is None:
            raise ValueError("settle_epochs comes first: it says how long each trial trains")
        work = self._work(self.epochs, seconds, trials, track, report)
        try:
            for _ in track(work, *(("Tuning, in seconds", int(seconds)) if seconds else ("Tuning, in trials", trials))):
                pass
        except StorageInternalError as error:
            raise EdgeNASError(f"The storage of trials failed: {error}. Run the same command again to go on.") from error

    def _work(
        self, epochs: int, seconds: float | None, trials: int | None, track: Track, report: Callable[[Trial], None]
    ) -> Iterator[None]:
        """Makes the trials. Yields once for every second, or, where there is no time limit, for every trial."""
        values = {p: getattr(self.recipe, p.field) for p in self.parameters}
        if not self._study.get_trials(deepcopy=False) and all(p.allows(value) for p, value in values.items()):
            own = {p.name: p.to_number(value) for p, value in values.items()}
            self._study.enqueue_trial(own, user_attrs={"own": True})
        started, yielded = time.monotonic(), 0
        while True:
            finished, elapsed = len(self.trials), time.monotonic() - started
            progress = min(elapsed, seconds) if seconds else min(finished, trials or math.inf)
            yield from (None for _ in range(yielded, int(progress)))
            yielded = int(progress)
            if finished >= (trials or math.inf) or elapsed >= (seconds or math.inf) or self._is_exhausted():
                return
            shown = [lambda study, trial: report(self._trial(trial))]
            with optuna_says(SILENT):
                self._study.optimize(partial(self._train, epochs=epochs, track=track), n_trials=1, callbacks=shown)

    def _train(self, trial: optuna.Trial, epochs: int, track: Track) -> float:
        fields: dict[str, Any] = {p.field: p.suggest(trial) for p in self.parameters}
        trainer = Trainer(self.space, self.dataset, replace(self.recipe, epochs=epochs, **fields), own_device())
        accuracy = 0.0

        def after_epoch(result: EpochResult) -> None:
            nonlocal accuracy
            accuracy = float(np.mean(list(validation_accuracy(trainer, self.dataset, self.metric).values())))
            trial.report(accuracy, result.epoch)
            if result.epoch < epochs and trial.should_prune():
                raise optuna.TrialPruned

        try:
            trainer.run(track, after_epoch)
        except DivergenceError:
            return 0.0
        except KeyboardInterrupt:
            self._study.enqueue_trial(trial.params, user_attrs=trial.user_attrs)
            raise
        return accuracy

    def _is_exhausted(self) -> bool:
        sampler = self._study.sampler
        return isinstance(sampler, Grid) and not sampler.untried(self._study)

    def _trial(self, trial: FrozenTrial) -> Trial:
        fields = {p.field: p.to_field(trial.params[p.name]) for p in self.parameters}
        return Trial(
            trial.number,
            fields,
            accuracy=trial.value or 0.0,
            epochs=trial.last_step or 0,
            pruned=trial.state == TrialState.PRUNED,
            own=trial.user_attrs.get("own", False),
        )
