"""Baseline: what a person would otherwise have picked by hand, beside a run's winners on the same images and machine."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgenas.baseline import (
    SCRATCH,
    Choice,
    add_file,
    begins_with,
    choose,
    create,
    finish,
    folder_of,
    is_done,
    published_weights,
    trained_seconds,
)
from edgenas.errors import DivergenceError, ParityError
from edgenas.export import Verification, load_exports
from edgenas.latency import LatencyTable, timed_tables
from edgenas.pipeline.train import Report, unheard
from edgenas.pretrained import how_to_get
from edgenas.progress import Track, quiet
from edgenas.report import judge_files
from edgenas.run import Run
from edgenas.training.recipe import check_length
from edgenas.values import checked
from edgenas.values.kinds import Epochs, GivenPath, GivenText, Resolutions, Seconds
from edgenas.words import counted

log = logging.getLogger("edgenas")


@dataclass(frozen=True)
class ByHand:
    """A network beside a run. verifications: of its files; none where its training diverged, so that it is left out.

    is_new: whether this call made it; else it was there already, in `folder`.
    """

    name: str
    folder: Path
    verifications: tuple[Verification, ...] = ()
    is_new: bool = True

    def require_passed(self) -> None:
        if not all(v.passed for v in self.verifications):
            raise ParityError(f"Outputs of {self.name} differ from torch's: please report this network.")


@dataclass(frozen=True)
class Compared:
    """judgement: sentences on the winners beside all networks by hand, those of earlier calls too."""

    networks: tuple[ByHand, ...]
    judgement: tuple[str, ...]


@checked
def compare_by_hand(
    run: Run, *, networks: Sequence[str] = (), resolutions: Resolutions | None = None, seconds: Seconds | None = None,
    epochs: Epochs | None = None, from_scratch: bool = False, models: tuple[GivenPath, ...] = (), data: GivenText | None = None,
    track: Track = quiet, report: Report = unheard, done: Callable[[ByHand], None] = lambda network: None,
) -> Compared:  # fmt: skip
    """Train networks that people pick by hand on a run's images, and verify them as its winners are.

    networks: names of `edgenas.space.NETWORKS`, or `all`; by default what people pick for such images. resolutions: sizes of
    their images, by default the run's largest. seconds, epochs: how long to train each; by default as long as the run was.
    from_scratch: begin with random weights, whatever others have published. Their files are of the precisions of the winners'.
    models: ONNX files of your own, of the same classes, to be verified as they are; given alone, nothing is trained.
    data: where the run's images are now. report: gets the metrics of every epoch. done: gets each network when it is done.

    Each is a run of its own in baselines/ of the run. What is done is not done again; interrupted, the next call goes on.
    """
    check_length(seconds, epochs)
    run.require_trained()
    only_files = models and not (networks or resolutions or seconds or epochs or from_scratch)
    choices = [] if only_files else choose(networks, resolutions, run.space.resolutions)
    choices = [replace(choice, from_scratch=from_scratch) for choice in choices]
    tables, precisions, found = timed_tables(), exported_precisions(run), []

    def keep(network: ByHand) -> None:
        done(network)
        network.require_passed()
        found.append(network)

    for path in map(Path, models):
        keep(ByHand(path.stem, folder_of(run, path.stem), tuple(add_file(run, path, data, tables, track))))
    _tell_what_is_left(run, choices, seconds, epochs)
    for choice in choices:
        made = train_by_hand(
            run, choice, tables, precisions=precisions, seconds=seconds, epochs=epochs, data=data, track=track, report=report
        )
        keep(made)
    return Compared(tuple(found), tuple(judge_files(run)))


def exported_precisions(run: Run) -> tuple[str, ...]:
    """Of the files of a run's winners: those in which networks by hand are to be compared with them."""
    files = (file for model in load_exports(run.path / "export") for file in model.variants)
    return tuple(dict.fromkeys(["fp32", *(file.precision for file in files)]))


def train_by_hand(
    run: Run, choice: Choice, tables: Sequence[LatencyTable], *, precisions: Sequence[str] = ("fp32",),
    seconds: float | None = None, epochs: int | None = None, data: str | None = None, track: Track = quiet,
    report: Report = unheard,
) -> ByHand:  # fmt: skip
    """One network from wherever it is to verified files. tables: of timed latencies, see `edgenas.latency.timed_tables`."""
    baseline, dataset = create(run, choice, data, track, seconds=seconds, epochs=epochs)
    if is_done(baseline, precisions):
        return ByHand(choice.name, baseline.path, is_new=False)
    if baseline.weights.exists():
        log.info(f"{choice.name} is trained: its files are written in {', '.join(precisions)}.")
    else:
        log.info(
            f"{choice.name}: {counted(baseline.recipe.epochs, 'epoch')}, beginning with {_beginning(run, choice, baseline)}"
        )
    try:
        return ByHand(
            choice.name, baseline.path, tuple(finish(baseline, dataset, tables, track, report, precisions=precisions))
        )
    except DivergenceError:
        return ByHand(choice.name, baseline.path)


def _tell_what_is_left(run: Run, choices: Sequence[Choice], seconds: float | None, epochs: int | None) -> None:
    """What is to be done, and how long the trainings will take."""
    folders = [folder_of(run, choice.name) for choice in choices]
    left = [folder.name for folder in folders if not ((folder / "config.toml").exists() and Run.open(folder).weights.exists())]
    if left:
        each = counted(epochs, "epoch") if epochs else f"{(seconds or trained_seconds(run)) / 60:.1f} minutes"
        log.info(f"{counted(len(left), 'baseline')}, each trained for {each}: {', '.join(left)}")


def _beginning(run: Run, choice: Choice, baseline: Run) -> str:
    """What a baseline's weights are before its training, and where it lacks those that a person would have taken."""
    if (name := begins_with(baseline)) != SCRATCH:
        return f"the weights {name}"
    there_are = published_weights(run, choice)
    return "random weights" + (f", since {there_are[0].name}'s are not here: {how_to_get(there_are[0])}" if there_are else "")
