"""`edgenas quickstart`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from edgenas.baseline import PHOTO, Choice, spread, trained_seconds
from edgenas.cli import baseline as baseline_command
from edgenas.cli import finetune as finetune_command
from edgenas.cli import profile as profile_command
from edgenas.cli import report as report_command
from edgenas.cli import search as search_command
from edgenas.cli import train as train_command
from edgenas.cli import verify as verify_command
from edgenas.cli.display import percent, say
from edgenas.cli.export import export_run
from edgenas.cli.judgement import show_judgement
from edgenas.cli.options import SECONDS
from edgenas.data import open_source
from edgenas.device import load_device
from edgenas.errors import EdgeNASError, UsageError
from edgenas.export import FORMATS
from edgenas.latency import LatencyTable, timed_tables
from edgenas.search import load_records
from edgenas.space import SearchSpace
from edgenas.training import Evaluator, Run
from edgenas.training.recipe import ADAPTING

RUNTIMES = ("onnxruntime", "litert")  # budgets are searched for in the first
BUDGETS = (1.25, 2.0, 4.0)
"""In times of the fastest subnet's latency: beyond a few of them little accuracy is left to be bought."""


@dataclass(frozen=True)
class Story:
    """What a quickstart is told with.

    data: the images. seconds: of the supernet's training. network: what `train_command.create` takes of space and weights.
    recipe: what differs from the default one. by_hand: the networks to compare with, at a few sizes of the images. finetuning,
    baseline: what all winners together are trained on for, and each network by hand is trained for, as shares of the seconds
    that the supernet was.
    """

    data: str
    seconds: float
    network: dict[str, Any]
    recipe: dict[str, Any]
    by_hand: tuple[str, ...]
    finetuning: float
    baseline: float

    def baselines(self, space: SearchSpace) -> list[Choice]:
        sizes = spread(space.resolutions) if max(space.resolutions) >= PHOTO else [max(space.resolutions)]
        return [Choice(network, size) for network in self.by_hand for size in sizes]


DIGITS = Story(
    "mnist5k",
    100,
    {"family": "plain", "preset": "tiny"},
    {"largest_alone": 0.2, "subnet_weight": 1.0, "split_batch": False},
    ("lenet", "strided-cnn"),
    finetuning=0.75,
    baseline=0.45,
)


def photos(path: Path) -> Story:
    """The story that begins with what ImageNet taught."""
    return Story(
        open_source(str(path)).location,
        300,
        {"family": None, "preset": None, "pretrained": "efficientnet-lite0", "resolutions": (128, 160, 192)},
        {name: value for name, value in ADAPTING.items() if name != "epochs"},
        ("efficientnet-lite0",),
        finetuning=0.4,
        baseline=0.4,
    )


@click.command("quickstart")
@click.option(
    "--photos",
    "folder",
    type=click.Path(path_type=Path),
    metavar="FOLDER|ZIP",
    help="Your own photos, one sub-folder per class, in place of the digits; begins with EfficientNet-Lite0's weights.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="The run folder to make.  [default: runs/quickstart or runs/<photos>]"
)
@click.option("--time", "seconds", type=SECONDS, help="How long to train the supernet.  [default: 100s, 5m for photos]")
@click.option("--seed", type=int, default=0, show_default=True)
def command(folder: Path | None, out: Path | None, seconds: float | None, seed: int) -> None:
    """The whole pipeline, beside networks that people pick by hand. Needs no network.

    \b
    edgenas quickstart
    edgenas quickstart --photos flowers.zip

    Without --photos on 5,000 handwritten digits that come with an installed package. Run again, it goes on where it stopped;
    of a finished run, it verifies and reports once more.
    """
    story = photos(folder) if folder else DIGITS
    if seconds:
        story = replace(story, seconds=seconds)
    tell(story, out or (train_command.default_folder(story.data) if folder else Path("runs/quickstart")), seed)


def tell(story: Story, out: Path, seed: int) -> None:
    """Every step of a story, from the images to the report; what was done before is not done again."""
    step = _Steps("Train a supernet", "Measure this CPU", "Search for three latency budgets", "Fine-tune the winners",
                  "Export them", "Verify every file in its runtimes", "Train networks that people pick by hand",
                  "Report")  # fmt: skip
    step()
    run = _trained(story, out, seed)
    dataset = run.dataset()
    largest = Evaluator(run.supernet(), dataset).accuracy(run.space.largest, dataset.test)
    say(f"     The largest subnet has {percent(largest)} on {len(dataset.test)} test images.")

    step()
    device = load_device("cpu")
    tables = [profile_command.measure(device, run.space, runtime=runtime) for runtime in RUNTIMES]
    for table in tables:
        profile_command.show(table, run.space)

    step()
    budgets = three_budgets(run.space, tables[0])
    # A search that has ended would otherwise begin anew with what it knows, and perhaps find other winners.
    has_ended = {record.budget_ms for record in load_records(run.path / "search")}.issuperset(budgets)
    evaluations = 0 if has_ended else search_command.EVALUATIONS
    records = search_command.search_run(run, dataset, tables[0], budgets, evaluations, seed)
    search_command.show(records[-1])
    show_judgement(run, "search")

    step()
    finetune_command.finetune_run(run, dataset, seconds=story.finetuning * trained_seconds(run), seed=seed)
    show_judgement(run, "finetuning")

    step()
    export_run(run, dataset, tuple(FORMATS))

    step()
    verify_command.show(verify_command.verify_run(run, dataset))

    step()
    timed, baseline_seconds = timed_tables(), story.baseline * trained_seconds(run)
    for choice in story.baselines(run.space):
        baseline_command.train(run, choice, None, timed, baseline_seconds, None)

    step()
    rows = report_command.report_run(run)
    broken = [row for row in rows if row.breaks_budget]
    if broken:
        raise EdgeNASError(
            f"{len(broken)} budget(s) were not met when measured: the machine may have slowed down "
            f"since step 2. Verify again with: edgenas verify {out}"
        )
    say(f"The model files are in {out / 'export'}, the picture is {out / 'front.png'}.")


class _Steps:
    """Says which step begins, of how many."""

    def __init__(self, *names: str):
        self._left = iter([f"{number}/{len(names)}  {name}" for number, name in enumerate(names, start=1)])

    def __call__(self) -> None:
        say(next(self._left))


def _trained(story: Story, out: Path, seed: int) -> Run:
    """The run of a story, new or continued. Raises UsageError where the folder holds another one."""
    if (out / "config.toml").exists():
        run = Run.open(out)
        if run.config["data"]["source"] != story.data:
            raise UsageError(f"{out} holds a run on other images: choose another --out.")
    else:
        common = {"width": None, "resolutions": None, "epochs": None, "precision": "auto"}
        run = train_command.create(story.data, out=out, seconds=story.seconds, seed=seed,
                                   **common | story.network | story.recipe)  # fmt: skip
    train_command.train(run, None)
    return run


def three_budgets(space: SearchSpace, table: LatencyTable) -> tuple[float, ...]:
    """Budgets in ms that are worth asking for on this machine: multiples of what its fastest subnet surely keeps."""
    _, fastest_ms = table.fastest(space)
    fastest_ms = float(table.interval(space, fastest_ms).high)
    return tuple(float(f"{factor * fastest_ms:.2g}") for factor in BUDGETS)
