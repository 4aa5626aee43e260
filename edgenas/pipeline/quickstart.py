"""Quickstart: the whole story, from images to a report, beside networks that people pick by hand."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgenas.baseline import PHOTO, Choice, spread, trained_seconds
from edgenas.data import open_source
from edgenas.errors import EdgeNASError, UsageError
from edgenas.latency import LatencyTable, timed_tables
from edgenas.metric import ACCURACY
from edgenas.names import pasted
from edgenas.pipeline.baseline import ByHand, train_by_hand
from edgenas.pipeline.export import export_run
from edgenas.pipeline.finetune import FineTunedWinners, finetune_run
from edgenas.pipeline.profile import profile_device
from edgenas.pipeline.report import Report, report_run
from edgenas.pipeline.search import EVALUATIONS, Searched, search_run
from edgenas.pipeline.train import Trained, create, train
from edgenas.pipeline.verify import Verified, verify_run
from edgenas.progress import Track, quiet
from edgenas.run import Run
from edgenas.search import fastest, load_records
from edgenas.space import Architecture, SearchSpace
from edgenas.training import Evaluator, FineTuned, load_images, load_supernet
from edgenas.values import checked
from edgenas.values.kinds import GivenText, NewFolder, Seed, Text

RUNTIMES = ("onnxruntime", "litert")  # budgets are searched for in the first
BUDGETS = (1.25, 2.0, 4.0)
"""In times of the fastest subnet's latency: beyond a few of them little accuracy is left to be bought."""
STEPS = ("Train a supernet", "Measure this CPU", "Search for three latency budgets", "Fine-tune the winners", "Export them",
         "Verify every file in its runtimes", "Train networks that people pick by hand", "Report")  # fmt: skip

log = logging.getLogger("edgenas")


@dataclass(frozen=True)
class Story:
    """What a quickstart is told with.

    data: the images. seconds: of the supernet's training. options: what else `create` of `edgenas.pipeline.train` takes.
    by_hand: the networks to compare with, at a few sizes of the images. finetuning, baseline: what all winners together are
    trained on for, and each network by hand is trained for, as shares of the seconds that the supernet was.
    """

    data: str
    seconds: float
    options: dict[str, Any]
    by_hand: tuple[str, ...]
    finetuning: float
    baseline: float

    def baselines(self, space: SearchSpace) -> list[Choice]:
        sizes = spread(space.resolutions) if max(space.resolutions) >= PHOTO else [max(space.resolutions)]
        return [Choice(network, size) for network in self.by_hand for size in sizes]


DIGITS = Story(
    "mnist5k",
    100,
    {"family": "plain", "preset": "tiny", "largest_alone": 0.2, "subnet_weight": 1.0, "split_batch": False},
    ("lenet", "strided-cnn"),
    finetuning=0.75,
    baseline=0.45,
)


@checked
def photos(folder: GivenText) -> Story:
    """The story that begins with what ImageNet taught."""
    return Story(
        open_source(folder).location,
        300,
        {"pretrained": "efficientnet-lite0", "resolutions": (128, 160, 192)},
        ("efficientnet-lite0",),
        finetuning=0.4,
        baseline=0.4,
    )


class Watch:
    """Is told what a story comes to, step by step. This one does nothing: override what is of interest."""

    def begins(self, step: str) -> None: ...
    def epoch(self, metrics: dict[str, Any]) -> None: ...
    def trained(self, trained: Trained, accuracy: float, images: int) -> None:
        """accuracy: of the largest subnet on so many test images, in 0..1."""

    def profiled(self, table: LatencyTable, space: SearchSpace) -> None: ...
    def searched(self, searched: Searched) -> None: ...
    def finetuned_one(self, architecture: Architecture, tuned: FineTuned) -> None: ...
    def finetuned(self, finetuned: FineTunedWinners) -> None: ...
    def verified(self, verified: Verified) -> None: ...
    def epoch_by_hand(self, metrics: dict[str, Any]) -> None: ...
    def trained_by_hand(self, network: ByHand) -> None: ...
    def reported(self, run: Run, report: Report) -> None: ...


@checked
def tell(
    story: Story, out: NewFolder, seed: Seed = 0, *, metric: Text | None = None, track: Track = quiet,
    watch: Watch | None = None,
) -> Run:  # fmt: skip
    """Every step of a story, from the images to the report; what was done before is not done again.

    metric: what makes one network better than another, see `edgenas.metric`; accuracy unless told otherwise.

    Raises UsageError where `out` holds a run on other images, EdgeNASError where a file breaks its budget.
    """
    watch = watch or Watch()
    steps = _numbered(STEPS)
    watch.begins(next(steps))
    run = _begun(story, out, seed, metric, track)
    trained = train(run, track=track, report=watch.epoch)
    dataset = load_images(run)
    largest = Evaluator(load_supernet(run), dataset).accuracy(run.space.largest, dataset.test)
    watch.trained(trained, largest, len(dataset.test))

    watch.begins(next(steps))
    tables = [profile_device("cpu", run.space, runtime=runtime, track=track) for runtime in RUNTIMES]
    for table in tables:
        watch.profiled(table, run.space)

    watch.begins(next(steps))
    budgets = three_budgets(run.space, tables[0])
    # A search that has ended would otherwise begin anew with what it knows, and perhaps find other winners.
    has_ended = {record.budget_ms for record in load_records(run.path / "search")}.issuperset(budgets)
    evaluations = 0 if has_ended else EVALUATIONS
    watch.searched(search_run(run, budgets, tables[0], evaluations=evaluations, seed=seed, data=dataset, track=track))

    watch.begins(next(steps))
    seconds = trained_seconds(run)
    watch.finetuned(
        finetune_run(run, seconds=story.finetuning * seconds, seed=seed, data=dataset, track=track, report=watch.finetuned_one)
    )

    watch.begins(next(steps))
    export_run(run, data=dataset, track=track)

    watch.begins(next(steps))
    watch.verified(verify_run(run, data=dataset, track=track))

    watch.begins(next(steps))
    timed = timed_tables()
    for choice in story.baselines(run.space):
        by_hand = train_by_hand(run, choice, timed, seconds=story.baseline * seconds, track=track, report=watch.epoch_by_hand)
        watch.trained_by_hand(by_hand)
        by_hand.require_passed()

    watch.begins(next(steps))
    report = report_run(run)
    watch.reported(run, report)
    if broken := sum(row.breaks_budget for row in report.rows):
        raise EdgeNASError(
            f"{broken} budget(s) were not met when measured: the machine may have slowed down since step 2. Verify again with",
            f"`verify({pasted(out)})`",
        )
    return run


def three_budgets(space: SearchSpace, table: LatencyTable) -> tuple[float, ...]:
    """Budgets in ms that are worth asking for on this machine: multiples of what its fastest subnet surely keeps."""
    _, fastest_ms = fastest(space, table)
    fastest_ms = float(table.interval(space, fastest_ms).high)
    return tuple(float(f"{factor * fastest_ms:.2g}") for factor in BUDGETS)


def _numbered(names: tuple[str, ...]) -> Iterator[str]:
    return (f"{number}/{len(names)}  {name}" for number, name in enumerate(names, start=1))


def _begun(story: Story, out: Path, seed: int, metric: str | None, track: Track) -> Run:
    """The run of a story, new or as it was left. Raises UsageError where the folder holds another one."""
    if not (out / "config.toml").exists():
        judged_by = ACCURACY.name if metric is None else metric
        return create(story.data, out=out, seconds=story.seconds, seed=seed, metric=judged_by, track=track, **story.options)
    run = Run.open(out)
    if run.config["data"]["source"] != story.data:
        raise UsageError(f"{out} holds a run on other images: choose another `out`.")
    if metric is not None and metric != run.metric:
        raise UsageError(f"{out} holds a run that is judged by {run.metric}: choose another `out`, or leave out `metric`.")
    return run
