"""`LatencyTable`: milliseconds per block on one device, and the sum that predicts a network."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from edgenas.cost import block_parameters
from edgenas.device import Execution, Provenance
from edgenas.errors import EdgeNASError
from edgenas.files import read_json, write_json
from edgenas.latency.tolerance import normal_half_width, tolerance
from edgenas.space import Architecture, BlockSpec, SearchSpace

VERSION = 3
MEASURED, ESTIMATED, EMULATED = "measured", "estimated", "emulated"

CONFIDENCE = 0.9
"""Of intervals, unless another is asked for."""

DRIFT = 0.006
"""Standard deviation of what all latencies of a machine gain or lose together from one minute to another, relative. Profiling,
which is over in seconds, does not see it; 60 networks timed again and again on a quiet machine did."""


@dataclass(frozen=True)
class Entry:
    """One block, timed alone.

    latency_ms: as `bench.STATISTIC` says; in a table also minus that of an empty session.
    spread_ms: standard deviation over the rounds.
    repeats: the number of rounds.
    """

    latency_ms: float
    spread_ms: float
    repeats: int


@dataclass(frozen=True)
class Check:
    """Predictions against measurements of networks that calibration did not see.

    errors: ascending, without sign, relative to the measurement. spearman: the rank correlation of the two.
    """

    errors: tuple[float, ...]
    spearman: float

    @property
    def mean_error(self) -> float:
        return float(np.mean(self.errors))

    @property
    def worst_error(self) -> float:
        return self.errors[-1]


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

    overhead_ms: float
    scale: float
    weights_ms: float
    fitted_on: int
    check: Check | None = None
    stated_interval: float = 0.0
    se_ms: float = 0.0
    corrections: dict[str, float] = field(default_factory=dict)

    def relative_interval(self, confidence: float = CONFIDENCE) -> float:
        """r such that latency lies within `[ms / (1 + r), ms * (1 + r)]` with a confidence in [0, 1); 0 for none."""
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

    device: str
    execution: Execution
    kind: str = MEASURED
    provenance: Provenance = field(default_factory=Provenance)
    reference_ms: float | None = None
    entries: dict[str, Entry] = field(default_factory=dict)
    calibrations: dict[str, Calibration] = field(default_factory=dict)

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
                               f"run `profile(device={self.device})` to measure.")  # fmt: skip
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

    # ---- files ----

    def save(self, path: Path) -> None:
        data = asdict(self) | {"provenance": self.provenance.to_json()}
        write_json(path, {"version": VERSION, "device": data.pop("device")} | data.pop("execution") | data)

    @classmethod
    def load(cls, path: Path) -> LatencyTable:
        """Raises EdgeNASError for a file that is absent, damaged or from a newer EdgeNAS."""
        data = read_json(path, "latency table")
        version = data.pop("version", None) if isinstance(data, dict) else None
        if isinstance(version, int) and version > VERSION:
            raise EdgeNASError(f"{path} was written by a newer EdgeNAS: update EdgeNAS, or measure again with `fresh`.")
        if isinstance(version, int) and version < VERSION:
            raise EdgeNASError(f"{path} was written by an older EdgeNAS, which timed otherwise: measure again with `fresh`.")
        try:
            data["entries"] = {BlockSpec.from_key(key).key: Entry(**_numbers(e)) for key, e in data["entries"].items()}
            data["calibrations"] = {space: _calibration(c) for space, c in data["calibrations"].items()}
            data["provenance"] = Provenance.from_json(data["provenance"])
            table = cls(execution=Execution.pop_from(data), **data)
            if version != VERSION or table.kind not in (MEASURED, ESTIMATED, EMULATED):
                raise ValueError("unknown version or kind")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise EdgeNASError(
                f"{path} is no latency table: it is damaged ({error}). Delete it, or measure again with `fresh`."
            ) from error
        return table


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


def _calibration(data: dict) -> Calibration:
    check, corrections = data.pop("check"), _numbers(data.pop("corrections"))
    if check is not None:
        errors = tuple(_numbers(dict(enumerate(check.pop("errors")))).values())
        check = Check(errors, **_numbers(check))
    return Calibration(**_numbers(data), check=check, corrections=corrections)


def _numbers(data: dict) -> dict:
    for name, value in data.items():
        if not isinstance(value, int | float):
            raise ValueError(f"{name} is {value!r}, not a number")
    return data
