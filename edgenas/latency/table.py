"""`LatencyTable`: milliseconds per block on one device, and the sum that predicts a network."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from edgenas.cost import block_parameters
from edgenas.device import Execution, Provenance
from edgenas.errors import CheckpointError, EdgeNASError
from edgenas.latency.tolerance import LEAST_SESSIONS, normal_half_width, tolerance, tolerance_over_sessions
from edgenas.names import pasted
from edgenas.space import Architecture, BlockSpec, SearchSpace
from edgenas.values import Ascending, Format, Inlined, Length, Rule, Within
from edgenas.values.kinds import Correlation, Count, Hex, Milliseconds, Name

Kind = Literal["measured", "estimated", "emulated"]
MEASURED: Kind = "measured"
ESTIMATED: Kind = "estimated"
EMULATED: Kind = "emulated"

CONFIDENCE = 0.9
"""Of intervals, unless another is asked for."""

PLAUSIBLE = 500
"""Networks whose predictions are looked at before a table is believed."""

MOST_ERROR = 0.5
"""Mean, relative, of a table that is one. Those measured on machines with a load of three per core were 1 to 3 % off, perfect
ones are 16 % off where timings repeat to 20 %, as phones' may, and those with four or eight threads on two cores were 400 to
1500 %."""
LEAST_RANK, SMALL_ERROR = 0.3, 0.1
"""The rank correlation of a table that is one, and the mean error below which there is nothing to rank: networks may be equally
fast. It was above 0.9 on busy machines; of perfect tables where timings repeat to 20 %, replayed on the published ones of four
devices, 0.4 to 0.7; with four to eight threads on two cores, -0.1 to -0.2."""
SURE = 1.645
"""Standard errors by which a check has to miss one of these: 19 in 20 that do have it."""

DRIFT = 0.006
"""Standard deviation of what all latencies of a machine gain or lose together from one minute to another, relative, where it
was not measured: in tables of earlier versions, and in those that are estimated from ten networks."""


class _DescribesBlock(Rule):
    words = "that describes a block"

    def allows(self, value: str) -> bool:
        try:
            BlockSpec.from_key(value)
        except ValueError:
            return False
        return True


BlockKey = Annotated[str, _DescribesBlock()]
LogErrors = Annotated[tuple[Annotated[float, Within(-50, 50)], ...], Length(2, 100_000)]


@dataclass(frozen=True)
class Entry:
    """One block, timed alone.

    latency_ms: as `bench.STATISTIC` says; in a table also minus that of an empty session.
    spread_ms: standard deviation over the rounds.
    repeats: the number of rounds.
    """

    latency_ms: Annotated[float, Within(0, 1e7)]
    spread_ms: Annotated[float, Within(0, 1e7)]
    repeats: Count


@dataclass(frozen=True)
class HeldOut:
    """Predictions against measurements of networks that calibration did not see.

    errors: ascending, without sign, relative to the measurement. spearman: the rank correlation of the two.
    sessions: logarithms of measured over predicted, session by session; empty where the networks were timed in one.
    """

    errors: Annotated[tuple[Annotated[float, Within(0, 1e9)], ...], Length(1, 100_000), Ascending()]
    spearman: Correlation
    sessions: Annotated[tuple[LogErrors, ...], Length(0, 1000)] = ()

    @property
    def mean_error(self) -> float:
        return float(np.mean(self.errors))

    @property
    def worst_error(self) -> float:
        return self.errors[-1]

    @property
    def fault(self) -> str:
        """What they say against the table, in words; nothing where they may be those of a table that holds.

        The uncertainty of the mean is its standard error, that of the rank correlation Fisher's, for ranks as Fieller, Hartley
        and Pearson have it (Biometrika 44, 1957). An undefined one counts as none.
        """
        n, rank = len(self.errors), 0.0 if np.isnan(self.spearman) else float(np.clip(self.spearman, -0.999, 0.999))
        least_error = self.mean_error - SURE * float(np.std(self.errors)) / n**0.5
        most_rank = float(np.tanh(np.arctanh(rank) + SURE * (1.06 / max(n - 3, 1)) ** 0.5))
        if least_error <= MOST_ERROR and (most_rank >= LEAST_RANK or least_error <= SMALL_ERROR):
            return ""
        return (f"{n} networks, each predicted without it, took {100 * self.mean_error:.0f} % more or less than it says, and "
                f"their rank correlation is {self.spearman:.2f}")  # fmt: skip


@dataclass(frozen=True)
class Calibration:
    """How blocks timed alone add up to a network of one space: `overhead_ms + sum((scale * latency + weights_ms * parameters
    + se_ms * has_se) * (1 + correction))`.

    overhead_ms: of one inference, whatever the network. Below zero where blocks timed alone carry more of their own.
    scale: alone, a block pays for layout changes at its borders that a network does not.
    weights_ms: per million parameters. Alone, a block finds its weights in the nearest cache; in a network they were
        pushed out by the other blocks'.
    fitted_on: the number of whole networks behind the numbers.
    check: on networks, each predicted by a fit that had not seen it; None for a formula.
    stated_interval: how far a formula may be off, by itself: its `relative_interval` of 90 % confidence.
    se_ms: per block with squeeze and excitation, whose tiny operators overlap with others in a network, and not alone.
    corrections: by `BlockSpec.key`, how much more a block costs in a network, relative; 0 where absent. See `DeviationModel`.
    """

    overhead_ms: Annotated[float, Within(-1e7, 1e7)]
    scale: Annotated[float, Within(0, 1e6)]
    weights_ms: Annotated[float, Within(0, 1e7)]
    fitted_on: Count
    check: HeldOut | None = None
    stated_interval: Annotated[float, Within(0, 1e3)] = 0.0
    se_ms: Annotated[float, Within(-1e7, 1e7)] = 0.0
    corrections: dict[BlockKey, Annotated[float, Within(-1, 1e6)]] = field(default_factory=dict)

    @property
    def fault(self) -> str:
        """Of its check; nothing where there was none."""
        return "" if self.check is None else self.check.fault

    def relative_interval(self, confidence: float = CONFIDENCE) -> float:
        """r such that latency lies within `[ms / (1 + r), ms * (1 + r)]` with a confidence in [0, 1); 0 for none."""
        if self.check is not None and len(self.check.sessions) >= LEAST_SESSIONS:
            return float(np.expm1(tolerance_over_sessions(list(map(np.array, self.check.sessions)), confidence)))
        if self.check is not None:
            return tolerance(np.array(self.check.errors), confidence) + DRIFT * normal_half_width(confidence)
        return self.stated_interval * normal_half_width(confidence) / normal_half_width(CONFIDENCE)


class Interval(NamedTuple):
    """Milliseconds: lower and upper end."""

    low: np.ndarray
    high: np.ndarray


@dataclass
class LatencyTable:
    """Block latencies of one device and execution; plain JSON on disk.

    kind: "measured", or "estimated" from a formula, or "emulated": timed under qemu or on a software GPU, which proves
        that a path works and says nothing about a device. Neither of the last two is ever to be shown as a measurement.
    provenance: where and how the numbers came about.
    reference_ms: latency of `microbenchmark.REFERENCE` when the table was begun: the speed of the machine that all entries,
        later ones too, are stated for; see `Bench`.
    entries: by `BlockSpec.key`. calibrations: by `SearchSpace.fingerprint`.
    """

    device: Name
    execution: Inlined[Execution]
    kind: Kind = MEASURED
    provenance: Provenance = field(default_factory=Provenance)
    reference_ms: Milliseconds | None = None
    entries: dict[BlockKey, Entry] = field(default_factory=dict)
    calibrations: dict[Hex, Calibration] = field(default_factory=dict)

    @property
    def measured(self) -> bool:
        return self.kind == MEASURED

    # ---- prediction ----

    def missing(self, space: SearchSpace) -> list[BlockSpec]:
        """The blocks of a space that the table does not hold yet."""
        return [spec for spec in space.distinct_blocks if spec.key not in self.entries]

    def covers(self, space: SearchSpace) -> bool:
        return not self.missing(space) and space.fingerprint in self.calibrations

    def calibration(self, space: SearchSpace) -> Calibration:
        """Raises EdgeNASError when the table does not cover the space."""
        if not self.covers(space):
            lacking, all_blocks = len(self.missing(space)), len(space.distinct_blocks)
            what = f"{lacking} of the {all_blocks} blocks" if lacking else "the calibration"
            raise EdgeNASError(f"The latency table of {self.device} lacks {what} of {space.name}: "
                               f"run `profile(device={pasted(self.device)})` to measure.")  # fmt: skip
        return self.calibrations[space.fingerprint]

    def costs(self, space: SearchSpace) -> np.ndarray:
        """`(len(space.distinct_blocks),)` calibrated milliseconds: a prediction is the overhead plus a network's sum."""
        calibration = self.calibration(space)
        features = block_features(self.entries, space) @ [calibration.scale, calibration.weights_ms, calibration.se_ms]
        corrections = np.array([calibration.corrections.get(spec.key, 0.0) for spec in space.distinct_blocks])
        return features * (1 + corrections)

    def predict(self, space: SearchSpace, genomes: np.ndarray) -> np.ndarray:
        """`(n, d)` genomes -> `(n,)` milliseconds."""
        return self.calibration(space).overhead_ms + space.gather(self.costs(space), genomes)

    def predict_one(self, space: SearchSpace, architecture: Architecture) -> float:
        return float(self.predict(space, space.encode(architecture)[None])[0])

    def interval(self, space: SearchSpace, latency_ms: np.ndarray | float, confidence: float = CONFIDENCE) -> Interval:
        """Where such a share of the real latencies lies, for predictions of any shape."""
        factor = 1 + self.calibration(space).relative_interval(confidence)
        return Interval(np.asarray(latency_ms) / factor, np.asarray(latency_ms) * factor)

    # ---- plausibility ----

    def require_of(self, device: str, execution: Execution, path: Path) -> None:
        """Raises EdgeNASError for a table of another device, execution or cores, which a file may hold whatever its name."""
        if (self.device, self.execution, self.execution.cores) != (device, execution, execution.cores):
            raise EdgeNASError(
                f"{path} is the table of {self.device} ({self.execution}), not of {device} ({execution}): put it where it "
                "belongs, or measure again with `fresh`."
            )

    def require_plausible(self, space: SearchSpace) -> None:
        """Raises EdgeNASError where what it predicts cannot be latencies, be it costs below zero or networks that take no time,
        and where it failed its own check. What an emulator takes is a trial, whatever its check."""
        if (fault := self.calibration(space).fault) and self.kind != EMULATED:
            raise EdgeNASError(
                f"The latency table of {self.device} ({self.execution}) fails its own check in {space.name}: {fault}. "
                + " ".join([*self.provenance.warnings, "Let nothing else run, and measure again with `fresh`."])
            )
        costs = self.costs(space)
        ends = np.stack([space.encode(space.smallest), space.encode(space.largest)])
        some = np.concatenate([ends, space.sample(np.random.default_rng(0), PLAUSIBLE)])
        if not (np.isfinite(costs).all() and (costs >= 0).all() and (self.predict(space, some) > 0).all()):
            raise EdgeNASError(
                f"The latency table of {self.device} predicts latencies below zero in {space.name}: it is damaged, or what was "
                "timed was no network. Measure again with `fresh`."
            )

    # ---- files ----

    def save(self, path: Path) -> None:
        FORMAT.save(path, self)

    @classmethod
    def load(cls, path: Path) -> LatencyTable:
        """Raises EdgeNASError for a file that is absent, damaged or of another version."""
        table = FORMAT.load(path)
        # Keys have had other forms.
        return replace(table, entries={BlockSpec.from_key(key).key: entry for key, entry in table.entries.items()})


def _upgrade(data: dict[str, Any], version: int) -> None:
    if version < 4 and data["precision"] == "int8":
        raise CheckpointError(
            f"The int8 latencies of {data['device']} are of networks that computed h-swish in floats, which int8 files do not: "
            "measure them again with `fresh`, or delete them."
        )


# Older versions timed otherwise.
FORMAT = Format("latency table", LatencyTable, 4, 3, "Delete it, or measure again with `fresh`.", _upgrade)


def block_features(entries: dict[str, Entry], space: SearchSpace) -> np.ndarray:
    """`(len(space.distinct_blocks), 3)`: milliseconds alone, millions of parameters, 1 for squeeze and excitation."""
    return np.array([
        (entries[spec.key].latency_ms, block_parameters(spec) / 1e6, float(spec.se)) for spec in space.distinct_blocks
    ])  # fmt: skip


def spearman(a: ArrayLike, b: ArrayLike) -> float:
    """Rank correlation of two `(n,)` sequences, ties sharing their mean rank; nan where one is constant."""
    first, second = (_ranks(np.asarray(values, dtype=float)) for values in (a, b))
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = counts.cumsum()
    return ((last - counts + last - 1) / 2)[inverse]
