"""What a run knows of its subnets, in each precision, and how it learns more."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from edgenas.metric import ACCURACY, Answers, Metric
from edgenas.run import Run
from edgenas.search import Evaluate, Ledger
from edgenas.search.ledger import weights_key
from edgenas.space import Architecture
from edgenas.storage import copy_journal
from edgenas.training import Evaluator


def evaluations_key(run: Run, precision: str = "fp32") -> str:
    """Names what accuracies belong to: the weights, the precision, and the images, where some came after the training."""
    return "-".join(filter(None, (weights_key(run.weights, precision), run.split)))


def run_ledger(run: Run, metric: Metric = ACCURACY, search_id: str | None = None, precision: str = "fp32") -> Ledger:
    """Where a run keeps its own evaluations in a precision. search_id: of the search that makes new ones."""
    return Ledger(_file(run), evaluations_key(run, precision), run.space, metric, search_id)


def known_evaluations(run: Run, metric: Metric = ACCURACY, precision: str = "fp32") -> Ledger:
    """What `run_ledger` holds now, to be looked at: a search that adds to it meanwhile is not disturbed."""
    return Ledger(copy_journal(_file(run)), evaluations_key(run, precision), run.space, metric)


def _file(run: Run) -> Path:
    return run.path / "search" / "evaluations.log"


class Evaluations:
    """The ledgers of a search. A subnet that is evaluated in int8 is evaluated in float32 on the way, for a tenth of the time.

    precisions: that are searched in. storage: the URL of a database, in place of the run's own ledgers.
    """

    def __init__(
        self, run: Run, evaluator: Evaluator, precisions: Iterable[str], metric: Metric, search_id: str,
        storage: str | None = None,
    ):  # fmt: skip
        self._evaluator = evaluator
        wanted = dict.fromkeys([*precisions, "fp32"])
        self._own = {precision: run_ledger(run, metric, search_id, precision) for precision in wanted}
        self.ledgers = self._own
        if storage is not None:
            keys = {precision: evaluations_key(run, precision) for precision in wanted}
            self.ledgers = {name: Ledger(storage, key, run.space, metric, search_id) for name, key in keys.items()}
            for name, ledger in self.ledgers.items():
                ledger.absorb(self._own[name])

    def measuring(self, precision: str) -> Evaluate[Architecture]:
        """Evaluates in a precision; what that tells of the others is kept as well."""
        others = {name: ledger for name, ledger in self.ledgers.items() if name != precision}

        def evaluate(architecture: Architecture, *, share: float = 1.0) -> Answers:
            wanted = [name for name, ledger in others.items() if share == 1 and architecture not in ledger]
            found = self._evaluator.evaluate_in(architecture, [precision, *wanted], share=share)
            for name in wanted:
                others[name].evaluate(architecture, partial(_known, found[name]))
            return found[precision]

        return evaluate

    def floats_beside(self, precision: str) -> Ledger[Architecture] | None:
        """What is known of subnets in float32, for a search in another precision."""
        return None if precision == "fp32" else self.ledgers["fp32"]

    def share(self, precision: str) -> None:
        """Whatever this search has measured in a precision it knows in the others: after an interruption, too."""
        for name, ledger in self.ledgers.items():
            if name != precision:
                ledger.recall_with(self.ledgers[precision])

    def keep_in_run(self) -> None:
        """The run stays complete in itself: its report shows them all."""
        for name, own in self._own.items():
            if self.ledgers[name] is not own:
                own.absorb(self.ledgers[name])


def _known(answers: Answers, architecture: Architecture) -> Answers:
    return answers
