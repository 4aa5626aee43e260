from __future__ import annotations

import numpy as np
import pytest

from edgenas.quantisation import IMAGE, Parameters, Quantisation, Range, calibrated
from edgenas.space import BlockSpec, weighted

SPEC = BlockSpec("conv", 4, 3, 0, 4, kernel=3, activation="relu6")
(STEP,) = weighted(SPEC)


def quantised(weight: np.ndarray, bias: np.ndarray, activation: str = "relu6", **options: bool) -> Parameters:
    quantisation = Quantisation((SPEC,), {value.name: Range(-1, 1) for value in calibrated([SPEC])}, **options)
    return quantisation.parameters("block0", STEP, {"conv.weight": weight, "conv.bias": bias}, activation)


@pytest.fixture
def weight() -> np.ndarray:
    """Channels of very different size."""
    rng = np.random.default_rng(0)
    return (rng.standard_normal((4, 3, 3, 3)) * np.array([0.01, 0.1, 1, 10])[:, None, None, None]).astype(np.float32)


def test_every_channel_has_all_steps(weight: np.ndarray) -> None:
    found = quantised(weight, np.ones(4, np.float32))
    assert found.weight.dtype == np.int8 and found.bias.dtype == np.int32
    np.testing.assert_array_equal(np.abs(found.weight).reshape(4, -1).max(axis=1), 127)
    np.testing.assert_allclose(found.weight * found.scale.reshape(-1, 1, 1, 1), weight, atol=found.scale.max() / 2)
    np.testing.assert_allclose(found.bias * found.bias_scale, 1, rtol=1e-3)
    np.testing.assert_allclose(found.bias_scale, found.scale * Range(-1, 1).scale)


def test_per_tensor_the_largest_channel_has(weight: np.ndarray) -> None:
    found = quantised(weight, np.ones(4, np.float32), per_tensor=True)
    assert found.scale.shape == (1,)
    assert list(np.abs(found.weight).reshape(4, -1).max(axis=1) > 100) == [False, False, False, True]


def test_channels_without_weights_keep_their_bias(weight: np.ndarray) -> None:
    weight[1] = 0
    found = quantised(weight, np.ones(4, np.float32))
    assert not found.weight[1].any() and np.isfinite(found.scale).all()
    assert found.bias[1] * found.bias_scale[1] == pytest.approx(1, rel=1e-3)
    nothing = quantised(np.zeros_like(weight), np.ones(4, np.float32))
    assert (nothing.scale > 0).all()


def test_a_bias_stays_within_int32(weight: np.ndarray) -> None:
    found = quantised(weight * 1e-12, np.full(4, 5, np.float32))
    np.testing.assert_allclose(found.bias * found.bias_scale.astype(float), 5, rtol=1e-3)


def test_a_gates_shift_is_part_of_its_bias(weight: np.ndarray) -> None:
    found = quantised(weight, np.ones(4, np.float32), "gate")
    np.testing.assert_allclose(found.bias * found.bias_scale, 4, rtol=1e-3)


def test_scores_are_the_last_value() -> None:
    blocks = (SPEC, BlockSpec("head", 4, 4, 0, 3))
    own = {value.name: Range(-index, index) for index, value in enumerate(calibrated(blocks), 1)}
    assert Quantisation(blocks, own).scores == own["block1.classify"]
    assert Quantisation(blocks, own).ranges["block0.input"] == own[IMAGE]
