"""Every block of every family can be timed, in every runtime and precision that takes it."""

import numpy as np
import pytest

from edgenas.device import Execution, open_session
from edgenas.latency.microbenchmark import model_bytes
from edgenas.space import FAMILIES, get_space
from tests.conftest import make_universal_space

SPACES = {"universal": make_universal_space, **{f: lambda f=f: get_space(f, "tiny", 10) for f in FAMILIES}}


@pytest.mark.parametrize("runtime, precision", [("onnxruntime", "fp32"), ("onnxruntime", "int8"), ("litert", "fp32")])
@pytest.mark.parametrize("name", SPACES)
def test_blocks_can_be_timed(name, runtime, precision):
    blocks = SPACES[name]().distinct_blocks
    some = np.random.default_rng(0).choice(len(blocks), min(40, len(blocks)), replace=False)
    kinds = {(b.op, b.start > 0, b.kernel > 0, b.residual, b.stride): b for b in blocks}  # one of each, at least
    for spec in {*kinds.values(), *(blocks[i] for i in some)}:
        session = open_session(Execution(runtime), model_bytes([spec], runtime, precision))
        session.invoke()
