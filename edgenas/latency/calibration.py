"""`Calibrator`: from timed networks to a `Calibration` of a table, and its check on others."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgenas.latency.bench import QUIET
from edgenas.latency.deviation import DeviationModel
from edgenas.latency.table import Calibration, HeldOut, LatencyTable, block_features, spearman
from edgenas.latency.tolerance import shifts_of
from edgenas.space import SearchSpace


@dataclass(frozen=True)
class TimedNetworks:
    """Networks that were timed together: `(n, d)` genomes and `(n,)` ms.

    drawn: at random, so that they tell how well other random networks are predicted.
    """

    genomes: np.ndarray
    measured_ms: np.ndarray
    drawn: bool


class Calibrator:
    """What whole networks of one space teach a table, and how well it then predicts others.

    sessions: of timed networks, one for every process that timed some. The table is to hold every block of the space.
    """

    def __init__(self, table: LatencyTable, space: SearchSpace):
        self.table = table
        self.space = space
        self.sessions: list[TimedNetworks] = []

    def add(self, genomes: np.ndarray, measured_ms: np.ndarray, *, drawn: bool) -> None:
        """A session, as `TimedNetworks` has it."""
        self.sessions.append(TimedNetworks(genomes, measured_ms, drawn))

    def calibrate(self) -> Calibration:
        """Fit the table to the networks, check the fit, and keep it in the table: every session of drawn networks is predicted
        by a fit to all others.

        So each network both teaches and checks, and an error holds all that there will be between a prediction and a later
        measurement. Sessions are processes of their own, with a reference network timed anew, spread over the time that
        measuring takes; from one to the next all latencies move together, by 0.5 % (standard deviation) on one idle machine, by
        3 % on another. So the check keeps the errors session by session; see `tolerance_over_sessions`.
        """
        fitted = self._fit(self.sessions)
        predicted_ms, measured_ms = [], []
        for i, held_out in enumerate(self.sessions):
            if held_out.drawn:
                others = self._fit([*self.sessions[:i], *self.sessions[i + 1 :]])
                without = replace(self.table, calibrations={self.space.fingerprint: others})
                predicted_ms.append(without.predict(self.space, held_out.genomes))
                measured_ms.append(held_out.measured_ms)
        found = check(np.concatenate(predicted_ms), np.concatenate(measured_ms))
        if len(measured_ms) > 1 and all((ms > 0).all() for ms in predicted_ms):  # else they are refused, and have no logarithms
            errors = [np.log(m / p) for m, p in zip(measured_ms, predicted_ms, strict=True)]
            found = replace(found, sessions=tuple(tuple(e.tolist()) for e in errors))
        calibration = replace(fitted, check=found)
        self.table.calibrations[self.space.fingerprint] = calibration
        return calibration

    def least_certain(self, pool: np.ndarray, n: int) -> np.ndarray:
        """`(n, d)`: of a pool of genomes those that the calibration knows least about."""
        known, known_ms = self._all(self.sessions)
        model = DeviationModel(self.table.costs(self.space), alike(self.space))
        model.fit(block_counts(self.space, known), self.table.predict(self.space, known), known_ms)
        return pool[model.least_certain(block_counts(self.space, pool), self.table.predict(self.space, pool), n)]

    def _fit(self, sessions: Sequence[TimedNetworks]) -> Calibration:
        """Overhead, scale, cost of weights and of squeeze and excitation, by least squares of relative errors.

        Of 130 networks on x86-64 (ONNX Runtime, 20-28 px), one scale alone left a mean error of 4.4 % (worst 14 %), overhead
        and scale 4.5 %, all three 1.4 % (worst 6 %): isolation flatters blocks with many weights. At 32 px the fourth number
        took the worst of 50 networks from 5.1 % to 3.8 %, and changed nothing at 96 and 224 px. What is left goes to a
        `DeviationModel`, which keeps to zero unless the networks say otherwise.
        """
        genomes, measured_ms = self._all(sessions)
        features, counts = block_features(self.table.entries, self.space), block_counts(self.space, genomes)
        columns = np.concatenate([np.ones((len(genomes), 1)), counts @ features], axis=1)
        measured_ms = _steadied(sessions, measured_ms, columns @ _coefficients(columns, features, measured_ms))
        coefficients = _coefficients(columns, features, measured_ms)
        overhead, scale, weights, se = map(float, coefficients)
        model = DeviationModel(features @ coefficients[1:], alike(self.space)).fit(counts, columns @ coefficients, measured_ms)
        named = zip(self.space.distinct_blocks, model.corrections, strict=True)
        corrections = {spec.key: float(correction) for spec, correction in named if correction}
        return Calibration(overhead, scale, weights, len(genomes), se_ms=se, corrections=corrections)

    @staticmethod
    def _all(sessions: Sequence[TimedNetworks]) -> tuple[np.ndarray, np.ndarray]:
        """`(n, d)` genomes and `(n,)` ms of all of them."""
        return np.concatenate([s.genomes for s in sessions]), np.concatenate([s.measured_ms for s in sessions])


def _coefficients(columns: np.ndarray, features: np.ndarray, measured_ms: np.ndarray) -> np.ndarray:
    """`(4,)`: of `(n, 4)` columns of networks, and `(B, 3)` features of blocks none of which may come out below zero."""
    coefficients = np.zeros(4)
    # Where weights or a whole block seem to cost less than nothing, that is noise: the fit goes without.
    for kept in ([0, 1, 2, 3], [0, 1, 3], [0, 1, 2], [0, 1], [1]):
        coefficients = np.zeros(4)
        ones = np.ones(len(measured_ms))
        coefficients[kept] = np.linalg.lstsq(columns[:, kept] / measured_ms[:, None], ones, rcond=None)[0]
        if coefficients[1] > 0 and coefficients[2] >= 0 and (features @ coefficients[1:]).min() >= 0:
            break
    return coefficients


def _steadied(sessions: Sequence[TimedNetworks], measured_ms: np.ndarray, expected_ms: np.ndarray) -> np.ndarray:
    """`(n,)` ms, of networks that were drawn without what all of a session lost against a quiet one, as far as that is more
    than chance: the best linear prediction of a random effect (Henderson, Biometrics 31, 1975).

    As among rounds, see `bench.QUIET`, so among sessions: other programs only slow a machine down. Of three tables, measured
    with three to ten programs at work on two cores, the mean error against the median of later sessions was 4.2 % by the median
    session, and 2.9 % so.
    """
    drawn = [s.drawn for s in sessions]
    if sum(drawn) < 2 or (expected_ms <= 0).any():
        return measured_ms
    errors = np.split(np.log(measured_ms / expected_ms), np.cumsum([len(s.genomes) for s in sessions])[:-1])
    shifts, chance = shifts_of([e for e, is_drawn in zip(errors, drawn, strict=True) if is_drawn])
    variance = float(np.var(shifts, ddof=1))
    sure = max(0.0, 1 - chance / variance) if variance > 0 else 0.0
    lost = iter(sure * (shifts - np.quantile(shifts, QUIET)))
    each = [next(lost) if is_drawn else 0.0 for is_drawn in drawn]
    return measured_ms / np.exp(np.repeat(each, [len(s.genomes) for s in sessions]))


def check(predicted_ms: np.ndarray, measured_ms: np.ndarray) -> HeldOut:
    """Compare `(n,)` predictions with `(n,)` measurements, both in ms."""
    errors = np.sort(np.abs(predicted_ms / measured_ms - 1))
    return HeldOut(tuple(errors.tolist()), spearman(predicted_ms, measured_ms))


def alike(space: SearchSpace) -> list[list[Hashable]]:
    """What blocks may have in common, as a `DeviationModel` takes it: operator, kernel, resolution, activation, SE."""
    names = "op", "kernel", "resolution", "activation", "se"
    return [[getattr(spec, name) for spec in space.distinct_blocks] for name in names]


def block_counts(space: SearchSpace, genomes: np.ndarray) -> np.ndarray:
    """`(n, d)` genomes -> `(n, B)`: how often a network holds each of the distinct blocks."""
    ids, blocks = space.block_ids(genomes), len(space.distinct_blocks)
    counts = np.zeros((len(genomes), blocks + 1))
    np.add.at(counts, (np.arange(len(genomes))[:, None], ids), 1)
    return counts[:, :blocks]
