"""From timed networks to a `Calibration` of a table, and its check on others."""

from __future__ import annotations

import math

import numpy as np

from edgenas.latency.deviation import DeviationModel
from edgenas.latency.table import Calibration, Check, LatencyTable, block_features, spearman
from edgenas.space import SearchSpace


def calibrate(table: LatencyTable, space: SearchSpace, genomes: np.ndarray, measured_ms: np.ndarray) -> Calibration:
    """Fit overhead, scale, cost of weights and of squeeze and excitation to measured networks: `(n, d)` genomes and `(n,)` ms.

    Least squares of relative errors. Of 130 networks on x86-64 (ONNX Runtime, 20-28 px), one scale alone left a mean error
    of 4.4 % (worst 14 %), overhead and scale 4.5 %, all three 1.4 % (worst 6 %): isolation flatters blocks with many weights.
    At 32 px the fourth number took the worst of 50 networks from 5.1 % to 3.8 %, and changed nothing at 96 and 224 px.
    What is left goes to a `DeviationModel`, which keeps to zero unless the networks say otherwise.
    """
    features, counts = block_features(table.entries, space), block_counts(space, genomes)
    columns = np.concatenate([np.ones((len(genomes), 1)), counts @ features], axis=1)
    # Where weights or a whole block seem to cost less than nothing, that is noise: the fit goes without.
    for kept in ([0, 1, 2, 3], [0, 1, 3], [0, 1, 2], [0, 1], [1]):
        coefficients = np.zeros(4)
        coefficients[kept] = np.linalg.lstsq(columns[:, kept] / measured_ms[:, None], np.ones(len(genomes)), rcond=None)[0]
        costs_ms = features @ coefficients[1:]
        if coefficients[1] > 0 and coefficients[2] >= 0 and costs_ms.min() >= 0:
            break
    overhead, scale, weights, se = map(float, coefficients)
    model = deviation_model(space, costs_ms).fit(counts, columns @ coefficients, measured_ms)
    named = zip(space.distinct_blocks, model.corrections, strict=True)
    corrections = {spec.key: float(correction) for spec, correction in named if correction}
    interval = tolerance(np.abs(model.left_out()))
    return Calibration(overhead, scale, weights, interval, len(genomes), se_ms=se, corrections=corrections)


def check(predicted_ms: np.ndarray, measured_ms: np.ndarray) -> Check:
    """Compare `(n,)` predictions with `(n,)` measurements, both in ms."""
    error = np.abs(predicted_ms / measured_ms - 1)
    return Check(len(error), float(error.mean()), float(error.max()), tolerance(error), spearman(predicted_ms, measured_ms))


def tolerance(errors: np.ndarray, share: float = 0.9, confidence: float = 0.9) -> float:
    """What a share of all networks errs by at most, with some confidence, judged by `(n,)` errors of a random sample.

    The upper end of Wilks's nonparametric tolerance interval (Annals of Mathematical Statistics 12, 1941): the k-th least,
    with the least k that the binomial distribution allows. For n below 22 no k does, and it is the largest error.
    """
    n = len(errors)
    below, k = 0.0, 0
    while k < n and below < confidence:
        below += math.comb(n, k) * share**k * (1 - share) ** (n - k)
        k += 1
    return float(np.sort(errors)[k - 1])


def deviation_model(space: SearchSpace, costs_ms: np.ndarray) -> DeviationModel:
    """For a space, `(B,)` costs. Blocks of one operator, kernel, resolution, activation or SE are alike."""
    blocks = space.distinct_blocks
    alike = [[getattr(spec, name) for spec in blocks] for name in ("op", "kernel", "resolution", "activation", "se")]
    return DeviationModel(costs_ms, alike)


def block_counts(space: SearchSpace, genomes: np.ndarray) -> np.ndarray:
    """`(n, d)` genomes -> `(n, B)`: how often a network holds each of the distinct blocks."""
    ids, blocks = space.block_ids(genomes), len(space.distinct_blocks)
    counts = np.zeros((len(genomes), blocks + 1))
    np.add.at(counts, (np.arange(len(genomes))[:, None], ids), 1)
    return counts[:, :blocks]
