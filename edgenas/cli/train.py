"""`edgenas train-supernet`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import click

from edgenas.bars import track
from edgenas.cli.answering import Answering, reply
from edgenas.cli.display import conclude
from edgenas.cli.options import (
    PATH,
    SECONDS,
    Counts,
    given_options,
    images_and_space_options,
    metric_option,
    precision_option,
    seed_option,
)
from edgenas.cli.remembering import remembering
from edgenas.cli.show_training import show_epoch, show_trained
from edgenas.cli.stopping import exit_status
from edgenas.errors import UsageError
from edgenas.names import pasted
from edgenas.pipeline.train import create, default_folder, train
from edgenas.processes import is_main_process, together
from edgenas.run import Run
from edgenas.training import Recipe
from edgenas.training.recipe import DEFAULTS, LEARNING_RATES, SCHEMES, parse_settings

USUAL_RATES = ", ".join(f"{name} {rate:g}" for name, rate in LEARNING_RATES.items())


@click.command("train-supernet", cls=Answering)
@images_and_space_options
@click.option("--out", type=PATH, help="The run folder to make.  [default: runs/<data>]")
@click.option("--resume", type=PATH, metavar="RUN", help="Continue an interrupted run.")
@click.option(
    "--warm-start",
    type=PATH,
    metavar="RUN",
    help="Begin with the weights of a trained run, for other classes, images or resolutions, or for a wider space.",
)
@click.option(
    "--pretrained",
    metavar="NAME|FILE",
    help="Begin with weights that others trained on ImageNet: edgenas pretrained lists them. A file may be .safetensors or "
    "what torch.save wrote.",
)
@click.option("--time", "seconds", type=SECONDS, help="Train about this long, such as 10m, instead of a number of epochs.")
@click.option(
    "--epochs",
    type=int,
    help=f"Passes over the training images; 0 imports weights as they are, with their classes.  [default: {DEFAULTS.epochs}]",
)
@click.option("--batch-size", type=int, default=DEFAULTS.batch_size, show_default=True)
@click.option("--optimizer", type=click.Choice(list(LEARNING_RATES)), default=DEFAULTS.optimizer, show_default=True)
@click.option("--learning-rate", type=float, help=f"Its peak, for this batch size.  [default: {USUAL_RATES}]")
@click.option(
    "--scheme", type=click.Choice(SCHEMES), default=DEFAULTS.scheme, show_default=True, help="Which subnets are trained when."
)
@click.option("--macs", type=Counts(), help="Draw random subnets near these multiply-accumulates, such as 5M,20M.")
@click.option("--teacher", metavar="MODEL.ONNX", default="", help="A classifier of the same classes to learn from, too.")
@precision_option
@click.option(
    "--ema",
    type=float,
    default=DEFAULTS.ema,
    show_default=True,
    help="Decay of the weights' moving average, such as 0.998; 0 is off.",
)
@metric_option
@click.option("--balance", is_flag=True, help="Draw images of rare classes more often.")
@click.option(
    "--recipe",
    "recipe_file",
    type=PATH,
    metavar="TOML",
    help="A recipe, such as edgenas tune writes. What is given beside it overrides it.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Anything else of the recipe, such as cutmix=1; repeatable.",
)
@seed_option
@click.pass_context
def command(ctx: click.Context, resume: Path | None, data: str | None, settings: tuple[str, ...], **options: Any) -> None:
    """Train one supernet on your images. Every subnet of its space can then be used without training.

    \b
    edgenas train-supernet --data photos/ --space mobilenetv3 --preset small --out runs/photos --time 30m
    edgenas train-supernet --data photos/ --pretrained efficientnet-lite0 --time 10m
    edgenas train-supernet --resume runs/photos
    torchrun --nproc-per-node 2 -m edgenas train-supernet --resume runs/photos

    --set takes what has no option of its own, with the usual values: randaugment=9 cutout=0.5 mixup=0.2 cutmix=1.0
    dropout=0.2 label_smoothing=0.1 batch_norm_momentum=0.1 initialisation=xavier progressive_resolution=true.

    A folder may have train/, val/ and test/ in it, or the classes directly: then it is split by the seed. A checkpoint
    is written after every epoch.
    """
    with together():
        if resume is not None:
            run = Run.open(resume)
        elif data is not None:
            given = {name: value for name, value in given_options(ctx).items() if name in options}
            run = _created(data, given | _settings(settings))
        else:
            raise UsageError("Say what to train on with `data`, or what to continue with `resume`.")
        train_and_show(remembering(run), data)


def _settings(texts: tuple[str, ...]) -> dict[str, Any]:
    """What --set sets. Raises UsageError for what is no setting of a recipe."""
    settings = parse_settings(texts)
    Recipe.from_dict(settings)
    return settings


def _created(data: str, given: dict[str, Any]) -> Run:
    """A new run. Stopped when its folder is there already, the same command would be refused: another goes on."""
    try:
        return create(data, track=track, **given)
    except KeyboardInterrupt as stop:
        path = given.get("out") or default_folder(data)
        if (path / "config.toml").exists():
            _stopped(Run.open(path), stop)
        raise


def train_and_show(run: Run, data: str | None) -> None:
    try:
        trained = train(run, data, track=track, report=show_epoch)
    except KeyboardInterrupt as stop:
        _stopped(run, stop)
    if trained.is_new:
        show_trained(trained)
    how = "Trained" if run.recipe.epochs else "Imported"
    done = f"{how}: {run.path}." if trained.is_new else f"{run.path} is trained already."
    conclude(done, "profile", "--device", "cpu", "--run", run.path)
    reply(trained)


def _stopped(run: Run, stop: KeyboardInterrupt) -> NoReturn:
    """End, and say how to go on."""
    if is_main_process():
        epochs = f"after epoch {len(run.metrics())} of {run.recipe.epochs}"
        click.echo(f"\nStopped {epochs}. Go on with: edgenas train-supernet --resume {pasted(run.path)}", err=True)
    raise SystemExit(exit_status(stop)) from None
