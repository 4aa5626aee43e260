"""`edgenas quickstart`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from edgenas.bars import track
from edgenas.cli.answering import Answering, reply
from edgenas.cli.display import answer, answer_all, percent, say
from edgenas.cli.options import PATH, SECONDS
from edgenas.cli.remembering import remember
from edgenas.cli.show_files import show_verified
from edgenas.cli.show_latency import show_table
from edgenas.cli.show_report import show_report
from edgenas.cli.show_search import show_front, show_searched
from edgenas.cli.show_training import show_by_hand, show_epoch, show_epoch_by_hand, show_finetuned, show_trained
from edgenas.latency import LatencyTable
from edgenas.metric import NAMES as METRICS
from edgenas.pipeline.baseline import ByHand
from edgenas.pipeline.finetune import FineTunedWinners
from edgenas.pipeline.quickstart import DIGITS, Watch, photos, tell
from edgenas.pipeline.report import Report
from edgenas.pipeline.search import Searched
from edgenas.pipeline.train import Trained, default_folder
from edgenas.pipeline.verify import Verified
from edgenas.run import Run
from edgenas.space import Architecture, SearchSpace
from edgenas.training import FineTuned


@click.command("quickstart", cls=Answering)
@click.option(
    "--photos",
    "folder",
    type=PATH,
    metavar="FOLDER|ZIP",
    help="Your own photos, one sub-folder per class, in place of the digits; begins with EfficientNet-Lite0's weights.",
)
@click.option("--out", type=PATH, help="The run folder to make.  [default: runs/quickstart or runs/<photos>]")
@click.option("--time", "seconds", type=SECONDS, help="How long to train the supernet.  [default: 100s, 5m for photos]")
@click.option(
    "--metric",
    metavar="|".join(METRICS),
    help="What makes one network better than another; for uneven classes balanced.  [default: accuracy]",
)
@click.option("--seed", type=int, default=0, show_default=True)
def command(folder: Path | None, out: Path | None, seconds: float | None, metric: str | None, seed: int) -> None:
    """The whole pipeline, beside networks that people pick by hand. Needs no network.

    \b
    edgenas quickstart
    edgenas quickstart --photos flowers.zip

    Without --photos on 5,000 handwritten digits that come with an installed package. Run again, it goes on where it stopped;
    of a finished run, it verifies and reports once more.
    """
    story = DIGITS if folder is None else photos(str(folder))
    if seconds:
        story = replace(story, seconds=seconds)
    out = out or (Path("runs/quickstart") if folder is None else default_folder(story.data))
    tell(story, out, seed, metric=metric, track=track, watch=_Shown())


class _Shown(Watch):
    """Shows every step as its own command does."""

    def begins(self, step: str) -> None:
        say(step)

    def epoch(self, metrics: dict[str, Any]) -> None:
        show_epoch(metrics)

    def trained(self, trained: Trained, accuracy: float, images: int) -> None:
        remember(click.get_current_context(), trained.run)
        show_trained(trained)
        answer(f"     The largest subnet has {percent(accuracy)} on {images} test images.")

    def profiled(self, table: LatencyTable, space: SearchSpace) -> None:
        show_table(table, space)

    def searched(self, searched: Searched) -> None:
        show_searched(searched)
        show_front(searched.records[-1])
        answer_all(searched.judgement)

    def finetuned_one(self, architecture: Architecture, tuned: FineTuned) -> None:
        show_finetuned(architecture, tuned)

    def finetuned(self, finetuned: FineTunedWinners) -> None:
        answer_all(finetuned.judgement)

    def verified(self, verified: Verified) -> None:
        show_verified(verified)

    def epoch_by_hand(self, metrics: dict[str, Any]) -> None:
        show_epoch_by_hand(metrics)

    def trained_by_hand(self, network: ByHand) -> None:
        show_by_hand(network)

    def reported(self, run: Run, report: Report) -> None:
        show_report(run, report)
        if not any(row.breaks_budget for row in report.rows):
            picture = f", the picture is {report.pictures[0]}, all of it as a page {report.page}" if report.pictures else ""
            answer(f"The model files are in {run.path / 'export'}{picture}.")
        reply(report)
