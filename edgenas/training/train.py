"""`train_supernet`: a run from its first epoch, or from its last checkpoint, to its trained weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

from edgenas.data import Dataset
from edgenas.errors import CheckpointError
from edgenas.metric import Answers, Metric, Score
from edgenas.processes import is_main_process, own_device, wait_for_all
from edgenas.progress import Track, quiet
from edgenas.run import Run
from edgenas.space import SearchSpace
from edgenas.training.evaluation import Evaluator, score
from edgenas.training.loading import save_supernet
from edgenas.training.loggers import loggers
from edgenas.training.recipe import Recipe
from edgenas.training.teacher import OnnxTeacher
from edgenas.training.timing import epochs_in, settled
from edgenas.training.trainer import EpochResult, Trainer
from edgenas.values import Unfit, plain, read

EVALUATIONS = 10  # of the largest and the smallest subnet, spread over a training
TRAINING_SHARE = 0.9
"""Of a given time; the rest is for evaluations, and for the machine being slower than during the trial steps."""


def settle(space: SearchSpace, dataset: Dataset, recipe: Recipe, track: Track = quiet) -> Recipe:
    """The recipe with the precision that is the fastest on this machine, where it leaves that open.

    Raises UsageError, before there is a run, for a teacher that cannot teach this data set.
    """
    if recipe.teacher:
        OnnxTeacher(recipe.teacher, dataset)
    return settled(space, dataset, recipe, own_device(), track)


def fit_epochs(space: SearchSpace, dataset: Dataset, recipe: Recipe, seconds: float, track: Track = quiet) -> Recipe:
    """The recipe with as many epochs as this machine trains in `TRAINING_SHARE` of `seconds`."""
    trainer = Trainer(space, dataset, recipe, own_device())
    return replace(recipe, epochs=epochs_in(trainer, TRAINING_SHARE * seconds, track))


def train_supernet(
    run: Run, dataset: Dataset, track: Track = quiet, report: Callable[[dict[str, Any]], None] = lambda metrics: None
) -> None:
    """Train the run's supernet to the end of its recipe, from its checkpoint if it has one.

    Saves a checkpoint after every epoch, appends the epoch's metrics to metrics.jsonl, tells them to `loggers`, and passes them
    to `report`. May be interrupted or killed at any time and called again. Of several processes that train together
    (`edgenas.processes`) the first one does all of this, in a folder that all of them can read; whoever goes on may be another
    number of processes.
    """
    if run.weights.exists():
        return
    trainer = Trainer(run.space, dataset, run.recipe, own_device())
    if run.checkpoint.exists():
        trainer.load(run.checkpoint)
    if is_main_process():
        with recording(run, trainer, dataset, report) as after_epoch:
            trainer.run(track, after_epoch)
        save_supernet(run, trainer.trained())
        run.checkpoint.unlink(missing_ok=True)
    else:
        trainer.run()
    wait_for_all()


@contextmanager
def recording(
    run: Run, trainer: Trainer, dataset: Dataset, report: Callable[[dict[str, Any]], None]
) -> Iterator[Callable[[EpochResult], None]]:
    """What keeps an epoch: metrics, checkpoint, and now and then how the subnets do on validation images."""
    run.keep_metrics(run.metrics(up_to_epoch=trainer.epoch))
    every, metric = max(1, trainer.recipe.epochs // EVALUATIONS), Metric.named(run.metric, dataset.classes)

    with loggers(run, trainer.epoch) as add_scalar:

        def after_epoch(result: EpochResult) -> None:
            metrics: dict[str, Any] = asdict(result)
            if result.epoch % every == 0 or result.epoch == trainer.recipe.epochs:
                metrics |= measured(trainer, dataset, metric)
            for name, value in metrics.items():
                if isinstance(value, float):
                    add_scalar(name, value, result.epoch)
                elif isinstance(value, dict) and not metric.is_accuracy:
                    add_scalar(f"{name}_{metric.name}", value["value"], result.epoch)
            run.record(metrics)  # before the checkpoint: what is one epoch too many is left out by whoever goes on
            trainer.save(run.checkpoint)
            report(metrics)

        yield after_epoch


def measured(trainer: Trainer, dataset: Dataset, metric: Metric) -> dict[str, Any]:
    """What metrics.jsonl says of the largest and the smallest subnet: accuracy, score, and the classes that are never found."""
    answers = validation_answers(trainer, dataset)
    rows: dict[str, Any] = {f"{name}_validation_accuracy": given.accuracy for name, given in answers.items()}
    rows |= {f"{name}_validation": plain(score(given, metric)) for name, given in answers.items()}
    return rows | {"never_found": [dataset.classes[i] for i in answers["largest"].tally.never_found]}


def score_in(row: dict[str, Any], name: str, images: int | None = None, constant: float | None = None) -> Score:
    """Of the `largest` or the `smallest` subnet, from a line of metrics.jsonl that has it. Older ones know the accuracy alone.

    images, constant: of the validation images, as `Score` has them, for these. Raises CheckpointError for a damaged line.
    """
    if f"{name}_validation" not in row:
        return Score.of_accuracy(row[f"{name}_validation_accuracy"], images, constant)
    try:
        score: Score = read(Score, row[f"{name}_validation"], f"{name}_validation")
    except Unfit as error:
        raise CheckpointError(f"metrics.jsonl is damaged: {error} Train anew.") from None
    return score


def validation_accuracy(trainer: Trainer, dataset: Dataset, metric: Metric) -> dict[str, float]:
    """Of the largest and the smallest subnet, by a metric, in 0..1."""
    return {name: metric.value(given.tally) or 0.0 for name, given in validation_answers(trainer, dataset).items()}


def validation_answers(trainer: Trainer, dataset: Dataset) -> dict[str, Answers]:
    """Of the largest and the smallest subnet."""
    evaluator, space = Evaluator(trainer.trained(), dataset), trainer.supernet.space
    largest = evaluator.evaluate(space.largest)
    return {"largest": largest, "smallest": largest if space.smallest == space.largest else evaluator.evaluate(space.smallest)}
