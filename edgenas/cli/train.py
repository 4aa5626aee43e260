"""`edgenas train-supernet`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from edgenas.cli.display import percent, say, track
from edgenas.cli.judgement import show_judgement
from edgenas.cli.options import IMAGES, SECONDS, SPACE_HELP, Counts, Resolutions, check_length
from edgenas.data import Dataset, KnownClasses, load_dataset, open_source
from edgenas.errors import UsageError
from edgenas.pretrained import PretrainedWeights, align, open_weights
from edgenas.processes import first_of_machine_first, leads, together, wait_for_all
from edgenas.space import DEFAULT_PRESET, SearchSpace, default_preset, get_space, is_file, read_description
from edgenas.training import Recipe, Run, begin, read_recipe, train_supernet, weights_of
from edgenas.training.recipe import ADAPTING, DEFAULTS, LEARNING_RATES, PRECISIONS, SCHEMES, parse_settings
from edgenas.training.train import fit_epochs, settle

DEFAULT_FAMILY = "mobilenetv3"
USUAL_RATES = ", ".join(f"{name} {rate:g}" for name, rate in LEARNING_RATES.items())


@click.command("train-supernet")
@click.option(
    "--data",
    metavar=IMAGES,
    help="Images: a folder or .zip with one sub-folder per class, WebDataset shards (a folder of .tar files or a pattern such "
    "as train-{000..009}.tar), or mnist5k or digits.",
)
@click.option("--stream", is_flag=True, help="Keep no decoded images on the disk: worker processes decode them in every epoch.")
@click.option(
    "--space",
    "family",
    metavar="NAME|FILE",
    help=f"{SPACE_HELP}  [default: {DEFAULT_FAMILY}, or what suits the weights to begin with]",
)
@click.option(
    "--preset",
    help=f"Scale of a family: tiny (20-28 px), small (96-128), imagenet (128-224).  [default: {DEFAULT_PRESET}]",
)
@click.option("--width", type=float, help="Multiplies all channel counts.  [default: 1]")
@click.option("--resolutions", type=Resolutions(), help="Input sizes instead of the preset's, such as 24,28,32.")
@click.option("--out", type=click.Path(path_type=Path), help="The run folder to make.  [default: runs/<data>]")
@click.option("--resume", type=click.Path(path_type=Path), metavar="RUN", help="Continue an interrupted run.")
@click.option(
    "--warm-start",
    type=click.Path(path_type=Path),
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
    type=click.IntRange(min=0),
    help=f"Passes over the training images; 0 imports weights as they are, with their classes.  [default: {DEFAULTS.epochs}]",
)
@click.option("--batch-size", type=click.IntRange(min=8), default=DEFAULTS.batch_size, show_default=True)
@click.option("--optimizer", type=click.Choice(list(LEARNING_RATES)), default=DEFAULTS.optimizer, show_default=True)
@click.option("--learning-rate", type=float, help=f"Its peak, for this batch size.  [default: {USUAL_RATES}]")
@click.option(
    "--scheme", type=click.Choice(SCHEMES), default=DEFAULTS.scheme, show_default=True, help="Which subnets are trained when."
)
@click.option("--macs", type=Counts(), help="Draw random subnets near these multiply-accumulates, such as 5M,20M.")
@click.option("--teacher", metavar="MODEL.ONNX", default="", help="A classifier of the same classes to learn from, too.")
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="auto",
    show_default=True,
    help="auto: the faster one here.",
)
@click.option(
    "--ema",
    type=float,
    default=DEFAULTS.ema,
    show_default=True,
    help="Decay of the weights' moving average, such as 0.998; 0 is off.",
)
@click.option("--balance", is_flag=True, help="Draw images of rare classes more often.")
@click.option(
    "--recipe",
    "recipe_file",
    type=click.Path(path_type=Path),
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
@click.option("--seed", type=int, default=0, show_default=True, help="Of the split, the weights, the batches and the subnets.")
@click.pass_context
def command(ctx: click.Context, resume: Path | None, data: str | None, recipe_file: Path | None, **options: Any) -> None:
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
    if resume is None and data is None:
        raise UsageError("Say what to train on with --data, or what to continue with --resume.")
    with together():
        if resume is not None:
            train(Run.open(resume), data)
        else:
            train(create(data, **options | recipe_options(ctx, recipe_file)), data)


def recipe_options(ctx: click.Context, file: Path | None) -> dict[str, Any]:
    """What a recipe file, or that of a training that begins with weights, sets and the command line does not."""
    begins = ctx.params.get("pretrained") or ctx.params.get("warm_start")
    own = read_recipe(file) if file else {}
    fields = (ADAPTING if begins else {}) | own
    if own.get("optimizer", ctx.params.get("optimizer")) not in (None, DEFAULTS.optimizer) and "learning_rate" not in own:
        fields.pop("learning_rate", None)  # which is for the usual optimiser
    given = {name for name in ctx.params if ctx.get_parameter_source(name) == ParameterSource.COMMANDLINE}
    if "seconds" in given:
        given.add("epochs")
    return {name: value for name, value in fields.items() if name not in given}


def create(
    data: str, *, out: Path | None, seconds: float | None, epochs: int | None, seed: int,
    family: str | None, preset: str | None, width: float | None, resolutions: tuple[int, ...] | None,
    stream: bool = False, settings: tuple[str, ...] = (),
    warm_start: Path | None = None, pretrained: str | None = None,
    **recipe_options: Any,
) -> Run:  # fmt: skip
    """A new run folder, its schedule fitted to the time where one is given."""
    check_length(seconds, epochs)
    out = out or default_folder(data)
    if (out / "config.toml").exists():
        raise UsageError(f"{out} holds a run already: continue it with --resume {out}, or choose another --out.")
    given = {"epochs": epochs, "seed": seed} | recipe_options
    recipe = Recipe.from_dict({name: value for name, value in given.items() if value is not None} | parse_settings(settings))
    weights = weights_to_begin_with(warm_start, pretrained)
    if not recipe.epochs and weights is None:
        raise UsageError("Without an epoch nothing is learned: --epochs 0 is for weights that are there, see --pretrained.")
    chosen = space_settings(family, preset, width, resolutions, weights)
    space, dataset = load(data, chosen, seed, stream, weights, as_it_is=not recipe.epochs)
    chosen["resolutions"] = list(space.resolutions)
    asked, recipe = recipe, settle(space, dataset, recipe, track)
    if asked.precision == "auto" and recipe.epochs:
        say(f"Training in {recipe.precision}, the faster precision here.")
    if seconds:
        recipe = replace(recipe, epochs=fit_epochs(space, dataset, recipe, seconds).epochs)
        say(f"{recipe.epochs} epochs fit into {seconds:.0f} s.")
    if leads():
        begin(out, chosen, space, dataset, seed, recipe, weights)
    wait_for_all()
    return Run.open(out)


def weights_to_begin_with(warm_start: Path | None, pretrained: str | None) -> PretrainedWeights | None:
    if warm_start and pretrained:
        raise UsageError("--warm-start and --pretrained exclude each other: a training begins with one set of weights.")
    if warm_start:
        return weights_of(Run.open(warm_start))
    return open_weights(pretrained) if pretrained else None


def space_settings(
    family: str | None, preset: str | None, width: float | None, resolutions: tuple[int, ...] | None,
    weights: PretrainedWeights | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The arguments of `get_space`, but the classes, as a run keeps them."""
    if weights:
        settings = weights.space_settings(family, preset, width)
    else:
        settings = {"family": family or DEFAULT_FAMILY, "width": width or 1.0} | ({"preset": preset} if preset else {})
    preset = settings.get("preset") or default_preset(settings["family"])
    settings |= {"preset": preset} if preset else {}
    if is_file(settings["family"]) and "description" not in settings:
        # A user's own file is copied into the run, which can then be opened where the file is not.
        settings["description"] = read_description(Path(settings["family"]))
    return settings | ({"resolutions": list(resolutions)} if resolutions else {})


def default_folder(data: str) -> Path:
    return Path("runs") / open_source(data).name


def load(
    data: str, settings: dict[str, Any], seed: int, stream: bool,
    weights: PretrainedWeights | None = None, as_it_is: bool = False,
) -> tuple[SearchSpace, Dataset]:  # fmt: skip
    """A space with the images that it is for, normalised as the weights want them.

    as_it_is: the weights are not trained any more, so that the classes are theirs.
    """
    arguments = {"preset": None, "resolutions": None} | settings
    asked = get_space(**arguments, classes=2)
    if weights:
        align(weights.space, asked)  # before any image is decoded
    largest = max(asked.resolutions)
    synonyms = {name: weights.classes[i] for name, i in weights.synonyms.items()} if as_it_is else {}
    known = KnownClasses(weights.classes, synonyms) if as_it_is else None
    with first_of_machine_first():
        dataset = load_dataset(
            data, size=largest, seed=seed, stream=stream, known=known,
            normalisation=(weights.mean, weights.std) if weights else None, track=track,
        )  # fmt: skip
    if dataset.streamed and not stream:
        say("The decoded images do not fit on the disk: they are decoded anew in every epoch, as with --stream.")
    return get_space(**arguments, classes=len(dataset.classes)), dataset


def train(run: Run, data: str | None) -> None:
    if run.weights.exists():
        say(f"{run.path} is trained already.")
        return
    with first_of_machine_first():
        dataset = run.dataset(data, track)
    if dataset.skipped:
        names = ", ".join(dataset.skipped[:5]) + (", ..." if len(dataset.skipped) > 5 else "")
        say(f"Warning: {len(dataset.skipped)} unreadable image(s) were left out: {names}")
    space = run.space
    say(
        f"{space.name}: {space.count():.3g} architectures; {len(dataset.train)} training, {len(dataset.validation)} "
        f"validation and {len(dataset.test)} test images in {len(dataset.classes)} classes."
    )
    try:
        train_supernet(run, dataset, track, show_epoch)
    except KeyboardInterrupt:
        raise SystemExit(_stopped(run)) from None
    if leads() and run.metrics():
        from edgenas.report import plot_training  # here, so that no start waits for what draws

        picture = run.path / "training.png"
        plot_training(picture, run.metrics())
        say(f"Drawn: {picture}")
        show_judgement(run, "training")
    say(f"{'Trained' if run.recipe.epochs else 'Imported'}: {run.path}")


def show_epoch(metrics: dict[str, Any]) -> None:
    if "largest_validation_accuracy" not in metrics:
        return
    largest, smallest = (percent(metrics[f"{name}_validation_accuracy"]) for name in ("largest", "smallest"))
    say(
        f"epoch {metrics['epoch']:>4}  {metrics['phase']:<9} loss {metrics['loss']:.3f}  validation accuracy: "
        f"largest subnet {largest}, smallest {smallest}"
    )


def _stopped(run: Run) -> int:
    done = len(run.metrics())
    if leads():
        click.echo(
            f"\nStopped after epoch {done} of {run.recipe.epochs}. Go on with: edgenas train-supernet --resume {run.path}",
            err=True,
        )
    return 130
