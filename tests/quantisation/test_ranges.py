from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenas.quantisation import IMAGE, Range, calibrated, quantised_steps
from edgenas.quantisation.ranges import GATE, all_ranges, nominal_ranges
from edgenas.space import BlockSpec
from edgenas.space.program import Act, Scale
from tests.graph.reference import CHAINS
from tests.quantisation.networks import BLOCKS


@given(st.floats(-1e4, 0), st.floats(0, 1e4))
def test_zero_is_a_step_and_the_ends_are_covered(low: float, high: float) -> None:
    limits = Range(low, high)
    assert 0 <= limits.zero_point <= 255
    for dtype in ("uint8", "int8"):
        zero = limits.steps(np.zeros(1, np.float32), dtype)
        assert limits.values(zero) == 0
        ends = np.array([low, high], np.float32)
        np.testing.assert_allclose(limits.values(limits.steps(ends, dtype)), ends, atol=float(limits.scale) * 0.51)


def test_int8_is_uint8_less_128() -> None:
    limits, values = Range(-1, 3), np.linspace(-2, 4, 50, dtype=np.float32)
    np.testing.assert_array_equal(limits.steps(values, "uint8") - 128.0, limits.steps(values, "int8"))


def test_a_value_that_is_always_zero_has_steps() -> None:
    assert Range(0, 0).scale > 0
    assert Range(0, 0).zero_point == 0


def test_every_value_that_a_kernel_writes_is_calibrated_once() -> None:
    def names(block: str) -> list[str]:
        return [value.name for value in calibrated([BLOCKS[block]])]

    assert names("residual") == [
        IMAGE, "block0.expand.relu", "block0.depthwise.relu", "block0.project", "block0.residual"
    ]  # fmt: skip
    assert names("conv hswish") == [IMAGE, "block0.conv", "block0.conv.hswish"]
    # Gates are between 0 and 1, and what a pool writes are steps of what it reads.
    assert names("squeeze")[-5:] == [
        "block0.depthwise.hswish", "block0.se.pool", "block0.se.reduce.relu", "block0.se.scale", "block0.project"
    ]  # fmt: skip
    assert names("maxpool") == [IMAGE]


def test_hswish_is_a_product() -> None:
    *_, gate, product = quantised_steps(BLOCKS["conv hswish"])
    assert isinstance(gate, Act) and (gate.name, gate.kind, gate.reads) == ("conv.hswish.gate", "gate", ("conv",))
    assert isinstance(product, Scale) and product.reads == ("conv", "conv.hswish.gate")


def test_values_that_a_kernel_does_not_write_have_the_range_of_one_that_it_does() -> None:
    blocks = (BLOCKS["maxpool"], BLOCKS["squeeze"])
    ranges = all_ranges(blocks, {value.name: Range(-index, index) for index, value in enumerate(calibrated(blocks), 1)})
    assert ranges["block1.input"] == ranges["block0.pool"] == ranges[IMAGE]
    assert ranges["block1.se.reduce"] == ranges["block1.se.reduce.relu"]
    assert ranges["block1.se.expand"] == ranges["block1.se.gate"] == ranges["block1.expand.hswish.gate"] == GATE
    with pytest.raises(KeyError, match=r"block0\.expand"):
        all_ranges((BlockSpec("mbconv", 8, 8, 24, 8, kernel=5),), {IMAGE: Range(-1, 1)})


@pytest.mark.parametrize("blocks", CHAINS.values(), ids=CHAINS)
def test_every_network_has_nominal_ranges(blocks: tuple[BlockSpec, ...]) -> None:
    assert set(nominal_ranges(blocks)) <= set(all_ranges(blocks, nominal_ranges(blocks)))


def test_what_is_next_to_nothing_can_be_added() -> None:
    blocks = (BLOCKS["residual"], BLOCKS["residual"])
    own = {value.name: Range(-1, 1) for value in calibrated(blocks)}
    own |= {"block0.project": Range(0, 0), "block1.project": Range(-1e-6, 1e-7), "block1.residual": Range(-900, 900)}
    ranges = all_ranges(blocks, own)
    for index in range(2):
        for name in ("input", "project"):
            ratio = ranges[f"block{index}.{name}"].scale / ranges[f"block{index}.residual"].scale
            assert 2**-10 <= ratio < 2**8
    assert ranges["block1.input"] == ranges["block0.residual"] != own["block0.residual"]
    assert ranges[IMAGE] == own[IMAGE]
