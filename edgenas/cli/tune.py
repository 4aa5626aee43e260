"""`edgenas tune`."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import click

from edgenas.cli import train
from edgenas.cli.display import console, counted, percent, say, table, track
from edgenas.cli.options import SECONDS
from edgenas.errors import EdgeNASError, UsageError
from edgenas.files import write_text
from edgenas.training import Recipe, write_recipe
from edgenas.training.recipe import DEFAULTS
from edgenas.training.train import fit_epochs, settle
from edgenas.tuning import SAMPLERS, Trial, Tuning

TRIALS = 20  # that a time is meant for
SHOWN = 8
# What they mean for the training, they mean here.
SHARED = ("data", "stream", "family", "preset", "width", "resolutions", "precision", "seed")


@click.command("tune")
@click.option("--out", type=click.Path(path_type=Path), help="The run folder: all goes into its tune/.  [default: runs/<data>]")
@click.option("--time", "seconds", type=SECONDS, help="How long to make trials, such as 30m.")
@click.option("--trials", type=click.IntRange(min=1), help="The most trials in all, with those of earlier calls.")
@click.option(
    "--epochs", type=click.IntRange(min=1), help=f"How long each trial trains.  [default: {TRIALS} trials fit into the time]"
)
@click.option("--sampler", default="tpe", show_default=True, help=f"One of {', '.join(SAMPLERS)}.")
@click.option("--recipe", "recipe_file", type=click.Path(path_type=Path), metavar="TOML", help="What is not tuned.")
@click.option("--storage", metavar="URL", help="Keep trials in a database that several machines share.")
@click.pass_context
def command(
    ctx: click.Context,
    data: str | None,
    out: Path | None,
    seconds: float | None,
    trials: int | None,
    epochs: int | None,
    sampler: str,
    recipe_file: Path | None,
    storage: str | None,
    seed: int,
    precision: str,
    stream: bool,
    **space_options: Any,
) -> None:
    """Find a training recipe for your images: learning rate, weight decay, momentum, label smoothing, batch size.

    \b
    edgenas tune --data photos/ --space mobilenetv3 --preset tiny --time 30m
    edgenas train-supernet --data photos/ --space mobilenetv3 --preset tiny --recipe runs/photos/tune/recipe.toml
    edgenas tune --data photos/ --time 2h --epochs 5 --storage postgresql://user@host/edgenas

    Many short trainings are compared by the validation accuracy of the largest and the smallest subnet; the first has the
    recipe as it is, bad ones are given up early. Each is kept when it is finished: the same command goes on from there,
    and several machines with one --storage work together.
    """
    if data is None:
        raise UsageError("Say what to tune for with --data.")
    if seconds is None and trials is None:
        raise UsageError("Say how long to tune with --time, such as 30m, or how many trials to make with --trials.")
    if seconds is None and epochs is None:
        raise UsageError("Say how long each trial trains with --epochs, or how long they may take together with --time.")
    recipe = Recipe.from_dict({"seed": seed, "precision": precision} | train.recipe_options(ctx, recipe_file))
    folder = (out or train.default_folder(data)) / "tune"
    space, dataset = train.load(data, train.space_settings(**space_options), seed, stream)
    recipe = settle(space, dataset, recipe, track)
    folder.mkdir(parents=True, exist_ok=True)
    tuning = Tuning(space, dataset, recipe, storage or f"sqlite:///{folder}/trials.db", sampler=sampler, seed=seed)
    tuning.settle_epochs(epochs or tuning.epochs or fit_epochs(space, dataset, recipe, seconds / TRIALS).epochs)
    if tuning.trials:
        say(f"Going on: {len(tuning.trials)} trial(s) are finished.")
    try:
        tuning.run(seconds=seconds, trials=trials, track=track, report=show_trial)
    finally:
        finish(tuning, folder)
    if not tuning.trials:
        raise EdgeNASError("No trial was finished: allow more --time.")


def show_trial(trial: Trial) -> None:
    found = "diverged" if trial.accuracy == 0 else f"validation accuracy {percent(trial.accuracy)}"
    early = f", given up after {counted(trial.epochs)}" if trial.pruned else ""
    say(f"trial {trial.number:>3}  {found}{early}  {', '.join(f'{name} {value:.3g}' for name, value in trial.fields.items())}")


def finish(tuning: Tuning, folder: Path) -> None:
    """Write trials.csv and recipe.toml, and show the best trials: of however many there are."""
    trials = tuning.trials
    if not trials:
        return
    best, names = trials[0], [p.field for p in tuning.parameters]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["number", "accuracy", "epochs", "pruned", *names])
    writer.writerows([t.number, t.accuracy, t.epochs, t.pruned, *t.fields.values()] for t in trials)
    write_text(folder / "trials.csv", text.getvalue())
    whole = sum(not trial.pruned for trial in trials)
    budget = (
        f"The best of {whole} trials of {counted(tuning.epochs)} each ({len(trials) - whole} more were given up early): "
        f"{percent(best.accuracy)} on {len(tuning.dataset.validation)} validation images, mean of the largest and the smallest "
        "subnet."
    )
    # The file holds what differs from the defaults: what was given, and what was found.
    own, defaults = tuning.recipe.to_dict(), DEFAULTS.to_dict()
    given = {name: own[name] for name in own if own[name] != defaults[name] and name not in ("epochs", "seed", "precision")}
    found = {name: value if isinstance(value, int) else float(f"{value:.3g}") for name, value in best.fields.items()}
    write_recipe(folder / "recipe.toml", given | found, budget)

    lines = [
        [str(t.number), percent(t.accuracy), str(t.epochs), *(f"{value:.3g}" for value in t.fields.values())]
        for t in trials[:SHOWN]
    ]
    console.print(table("Best trials", ["trial", "validation", "epochs", *names], lines))
    importances = tuning.importances()
    if importances:
        say("Importance: " + ", ".join(f"{name} {percent(share, 0)}" for name, share in importances.items()))
    own = next((trial for trial in trials if trial.own), None)
    if own is not None and own is not best:
        say(f"The recipe as it was, trial {own.number}, had {percent(own.accuracy)} after {counted(own.epochs)}.")
    say(budget)
    say(
        f"Trials this short prefer what learns fast: for a training much longer than {counted(tuning.epochs)} the best "
        "learning rate may be another. The best of many looks better than it is: only a training of its own tells."
    )
    say(f"Next: edgenas train-supernet --recipe {folder / 'recipe.toml'} with the same --data and --space")


command.params[:0] = [p for p in train.command.params if p.name in SHARED]
