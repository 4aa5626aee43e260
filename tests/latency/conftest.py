from __future__ import annotations

import numpy as np
import pytest

from edgenas.latency import Calibration, Entry, LatencyTable
from edgenas.space import SearchSpace


@pytest.fixture
def table(micro_space: SearchSpace) -> LatencyTable:
    """Random latencies for `micro_space`."""
    blocks = micro_space.distinct_blocks
    latencies = np.random.default_rng(0).uniform(0.01, 0.1, len(blocks))
    return LatencyTable(
        "box",
        "onnxruntime",
        threads=1,
        reference_ms=0.1,
        entries={spec.key: Entry(float(ms), 0.01, 3) for spec, ms in zip(blocks, latencies, strict=True)},
        calibrations={micro_space.fingerprint: Calibration(0.3, 1.2, 0.5, relative_interval=0.1, fitted_on=5)},
    )
