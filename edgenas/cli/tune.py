"""`edgenas tune`."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from edgenas.bars import track
from edgenas.cli.answering import Answering, reply
from edgenas.cli.display import answer, conclude, percent, say, tabulate
from edgenas.cli.options import (
    ABOUT_IMAGES_AND_SPACE,
    PATH,
    SECONDS,
    given_again,
    given_options,
    images_and_space_options,
    metric_option,
    precision_option,
    seed_option,
)
from edgenas.errors import UsageError
from edgenas.metric import ACCURACY, label_of
from edgenas.pipeline.tune import TRIALS, Tuned, open_tuning, require_trials, write_tuned
from edgenas.tuning import SAMPLERS, Trial
from edgenas.words import counted

SHOWN = 8


@click.command("tune", cls=Answering)
@images_and_space_options
@metric_option
@precision_option
@seed_option
@click.option("--out", type=PATH, help="The run folder: all goes into its tune/.  [default: runs/<data>]")
@click.option("--time", "seconds", type=SECONDS, help="How long to make trials, such as 30m.")
@click.option("--trials", type=int, help="The most trials in all, with those of earlier calls.")
@click.option("--epochs", type=int, help=f"How long each trial trains.  [default: {TRIALS} trials fit into the time]")
@click.option("--sampler", default="tpe", show_default=True, help=f"One of {', '.join(SAMPLERS)}.")
@click.option("--recipe", "recipe_file", type=PATH, metavar="TOML", help="What is not tuned.")
@click.option("--storage", metavar="URL", help="Keep trials in a database that several machines share.")
@click.pass_context
def command(ctx: click.Context, data: str | None, seconds: float | None, trials: int | None, **options: Any) -> None:
    """Find a training recipe for your images: learning rate, weight decay, momentum, label smoothing, batch size.

    \b
    edgenas tune --data photos/ --space mobilenetv3 --preset tiny --time 30m
    edgenas train-supernet --data photos/ --space mobilenetv3 --preset tiny --recipe runs/photos/tune/recipe.toml
    edgenas tune --data photos/ --time 2h --epochs 5 --storage postgresql://user@host/edgenas

    Many short trainings are compared by the validation accuracy, or another --metric, of the largest and the smallest subnet;
    the first has the recipe as it is, bad ones are given up early. Each is kept when it is finished: the same command goes
    on from there, and several machines with one --storage work together.
    """
    if data is None:
        raise UsageError("Say what to tune for with `data`.")
    given = {name: value for name, value in given_options(ctx).items() if name in options}
    opened = open_tuning(data, seconds=seconds, trials=trials, track=track, **given)
    try:
        shown = partial(show_trial, metric=opened.tuning.metric.label)
        opened.tuning.run(seconds=seconds, trials=trials, track=track, report=shown)
    finally:  # an interrupted one shows what it has
        if tuned := write_tuned(opened):
            show(tuned)
            about = ["--recipe", str(tuned.recipe), *given_again(ctx, "data", "metric", *ABOUT_IMAGES_AND_SPACE)]
            conclude(f"Found a recipe in {counted(len(tuned.trials), 'trial')}.", "train-supernet", *about)
    require_trials(tuned)
    reply(tuned)


def show_trial(trial: Trial, metric: str = ACCURACY.label) -> None:
    found = "diverged" if trial.accuracy == 0 else f"validation {metric} {percent(trial.accuracy)}"
    early = f", given up after {counted(trial.epochs, 'epoch')}" if trial.pruned else ""
    say(f"trial {trial.number:>3}  {found}{early}  {', '.join(f'{name} {value:.3g}' for name, value in trial.fields.items())}")


def show(tuned: Tuned) -> None:
    """The best trials, and what is to be thought of them."""
    lines = [
        [str(t.number), percent(t.accuracy), str(t.epochs), *(f"{value:.3g}" for value in t.fields.values())]
        for t in tuned.trials[:SHOWN]
    ]
    best = tuned.trials[0]
    tabulate("Best trials", ["trial", f"validation {label_of(tuned.metric)}", "epochs", *best.fields], lines)
    if tuned.importances:
        answer("Importance: " + ", ".join(f"{name} {percent(share, 0)}" for name, share in tuned.importances.items()))
    own = next((trial for trial in tuned.trials if trial.own), None)
    if own is not None and own is not best:
        answer(f"The recipe as it was, trial {own.number}, had {percent(own.accuracy)} after {counted(own.epochs, 'epoch')}.")
    answer(tuned.summary)
    answer(
        f"Trials this short prefer what learns fast: for a training much longer than {counted(tuned.epochs, 'epoch')} the best "
        "learning rate may be another. The best of many looks better than it is: only a training of its own tells."
    )
