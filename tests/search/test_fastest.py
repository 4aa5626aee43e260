"""The fastest architecture of a table, which the exact search finds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgenas.latency import Calibration, Entry, LatencyTable
from edgenas.search import fastest
from edgenas.space import SearchSpace
from tests.conftest import ORT, every_genome, make_universal_space


def test_fastest_is_what_brute_force_finds(
    table: LatencyTable, micro_space: SearchSpace, all_micro_genomes: np.ndarray
) -> None:
    predicted = table.predict(micro_space, all_micro_genomes)
    architecture, latency_ms = fastest(micro_space, table)
    assert architecture == micro_space.decode(all_micro_genomes[predicted.argmin()])
    assert latency_ms == pytest.approx(predicted.min(), rel=1e-12)


def test_fastest_has_a_width_too() -> None:
    space = make_universal_space()
    latencies = np.random.default_rng(3).uniform(0.01, 0.1, len(space.distinct_blocks))
    entries = {spec.key: Entry(float(ms), 0.01, 3) for spec, ms in zip(space.distinct_blocks, latencies, strict=True)}
    calibrations = {space.fingerprint: Calibration(0.3, 1.2, 0.0, fitted_on=5)}
    table = LatencyTable("box", ORT, reference_ms=0.1, entries=entries, calibrations=calibrations)
    genomes = every_genome(space)
    architecture, _ = fastest(space, table)
    assert architecture == space.decode(genomes[table.predict(space, genomes).argmin()])


def test_fastest_takes_a_longer_stage_where_that_costs_less(
    table: LatencyTable, micro_space: SearchSpace, all_micro_genomes: np.ndarray
) -> None:
    """Calibration may price a block below zero; depth must still be chosen by the sum."""
    table.calibrations[micro_space.fingerprint] = replace(table.calibration(micro_space), scale=-1.0)
    architecture, latency_ms = fastest(micro_space, table)
    assert architecture.depths == (2, 1)
    assert latency_ms == pytest.approx(table.predict(micro_space, all_micro_genomes).min())
