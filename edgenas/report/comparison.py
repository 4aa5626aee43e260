"""The exported winners of a run beside its baselines: the same test images, the same machine, the same timer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from edgenas.baseline import begins_with, load_baselines, trained_seconds
from edgenas.device import Execution
from edgenas.export import ExportedModel, Verification, load_exports, load_verifications
from edgenas.metric import Metric, Score
from edgenas.report.judgement import Result, beats
from edgenas.run import Run
from edgenas.search import load_records
from edgenas.search.record import in_precision


@dataclass(frozen=True)
class Contestant:
    """One file in one runtime, on one machine. Latency in ms of one image. score: on the test images; accuracy: plain top-1.

    name: the budgets that a winner was chosen for; a baseline's name. id: of a winner's architecture.
    begins_with: `scratch`, the pretrained weights, the warm start's run, or `your file`.
    never_found: classes of which it recognises no test image; of winners alone.
    training_seconds: of a winner the supernet's, which all winners share; None where nobody knows.
    """

    name: str
    is_baseline: bool
    id: str
    resolution: int
    begins_with: str
    training_seconds: float | None
    device: str
    fingerprint: str | None
    runtime: str
    threads: int
    precision: str
    emulated: bool
    images: int
    accuracy: float
    score: Score
    latency_ms: float
    file_bytes: int
    never_found: tuple[str, ...] = ()

    @property
    def place(self) -> tuple:
        """Latencies at equal places can be compared, whatever the precisions: who ships one file has the choice."""
        return self.device, self.fingerprint, self.runtime, self.threads

    @property
    def title(self) -> str:
        """The name, with the precision where it is not fp32."""
        return in_precision(self.name, self.precision)

    def is_at(self, fingerprint: str | None, execution: Execution) -> bool:
        """Whether it was timed on that machine, in that runtime and with so many threads."""
        return (self.fingerprint, self.runtime, self.threads) == (fingerprint, execution.runtime, execution.threads)

    @property
    def result(self) -> Result:
        return Result(self.title, self.score, self.latency_ms)


def contestants(run: Run) -> list[Contestant]:
    """All verified winners and baselines of a run, in every runtime where they were timed, the fastest first."""
    seconds, metric = trained_seconds(run) or None, judged_by(run)
    found = []
    for model in load_exports(run.path / "export"):
        resolution = model.preprocessing.resolution
        for v in load_verifications(model.folder, len(model.classes)):
            if v.passed:
                winner = partial(
                    Contestant, _budgets(model, v.execution.precision), False, model.architecture.id, resolution,
                    begins_with(run), seconds, never_found=tuple(model.classes[i] for i in v.tally.never_found),
                )  # fmt: skip
                found.append(_verified(winner, v, metric))
    for baseline in load_baselines(run):
        by_hand = partial(
            Contestant, baseline.name, True, "", baseline.resolution, baseline.begins_with, baseline.training_seconds
        )
        found += [_verified(by_hand, v, metric) for v in baseline.verifications]
    return sorted(found, key=lambda c: (c.device, c.latency_ms))


def judged_by(run: Run) -> Metric:
    """What a run's searches maximised, where that is the same; else what it was trained for."""
    maximised = {record.metric for record in load_records(run.path / "search")}
    return Metric.named(maximised.pop() if len(maximised) == 1 else run.metric, run.classes)


def beaten_by(one: Contestant, all_: Iterable[Contestant]) -> list[Contestant]:
    """Contestants of the other kind at the same place that are no slower and no less accurate."""
    return [c for c in all_ if c.place == one.place and c.is_baseline != one.is_baseline and beats(c.result, one.result)]


def in_best_precisions(files: Sequence[Contestant]) -> list[Contestant]:
    """Files at one place without those that another precision of the same network beats: nobody would ship these."""

    def is_beaten(file: Contestant) -> bool:
        same = (f for f in files if (f.name, f.is_baseline) == (file.name, file.is_baseline) and f is not file)
        return any(beats(other.result, file.result) for other in same)

    return [file for file in files if not is_beaten(file)]


@dataclass(frozen=True)
class Line:
    """One network in one precision on one machine, in all runtimes where it was timed there.

    of: its file in the first of them. ms: by runtime. beaten_by: the titles of those of the other kind that are no slower and
    no less accurate, in some runtime.
    """

    of: Contestant
    ms: dict[str, float]
    beaten_by: tuple[str, ...]


@dataclass(frozen=True)
class SideBySide:
    """What can be compared: networks on one machine, computed by so many threads, the fastest first."""

    device: str
    threads: int
    emulated: bool
    runtimes: tuple[str, ...]
    lines: tuple[Line, ...]

    @property
    def where(self) -> str:
        where = f"{self.device or 'this machine'}, {self.threads} thread{'s' * (self.threads > 1)}"
        return where + ", EMULATED: no measurement" * self.emulated


def side_by_side(all_: Sequence[Contestant]) -> list[SideBySide]:
    """For every machine and number of threads."""
    tables = []
    for (device, _, threads), group in _grouped(all_, lambda f: (f.device, f.fingerprint, f.threads)):
        lines = [
            Line(same[0], {f.runtime: f.latency_ms for f in same},
                 tuple(dict.fromkeys(better.title for f in same for better in beaten_by(f, group))))
            for _, same in _grouped(group, lambda f: (f.title, f.is_baseline))
        ]  # fmt: skip
        runtimes = tuple(dict.fromkeys(f.runtime for f in group))
        tables.append(SideBySide(device, threads, group[0].emulated, runtimes, tuple(lines)))
    return tables


def _grouped(files: Sequence[Contestant], key: Callable[[Contestant], tuple]) -> list[tuple[tuple, list[Contestant]]]:
    """Files with the same key together, in the order in which keys first appear."""
    groups: dict[tuple, list[Contestant]] = {}
    for file in files:
        groups.setdefault(key(file), []).append(file)
    return list(groups.items())


def _budgets(model: ExportedModel, precision: str) -> str:
    """Those that a file was chosen for; of one in a precision that nobody searched in, all."""
    searched = [budget for budget in model.budgets if budget.execution.precision == precision] or model.budgets
    return ", ".join(dict.fromkeys(budget.label for budget in searched)) or model.architecture.id


def _verified(contestant: Callable[..., Contestant], v: Verification, metric: Metric) -> Contestant:
    return contestant(
        device=v.device,
        fingerprint=v.fingerprint,
        runtime=v.execution.runtime,
        threads=v.execution.threads,
        precision=v.execution.precision,
        emulated=v.emulated,
        images=v.images,
        accuracy=v.accuracy,
        score=v.score(metric),
        latency_ms=v.latency_ms,
        file_bytes=v.file_bytes,
    )
