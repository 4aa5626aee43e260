from __future__ import annotations

import numpy as np
import pytest
import torch

from edgenas.errors import CheckpointError
from edgenas.quantisation import IMAGE, Range, calibrated
from edgenas.quantisation.calibration import BINS, METHODS, Calibration, Observed, calibrate, observe
from edgenas.quantisation.computation import compute, in_floats
from edgenas.space import BlockSpec
from edgenas.values import plain, read
from tests.graph.reference import CHAINS, reference, relative_error
from tests.quantisation.networks import BLOCKS, Case, random_weights_of


def of(values: np.ndarray) -> Observed:
    low, high = min(0.0, values.min()), max(0.0, values.max())
    return Observed(low, high, np.histogram(values, BINS, (low, high))[0].astype(float))


@pytest.mark.parametrize("name", [name for name in CHAINS if name.endswith("largest")])
def test_in_floats_it_computes_what_torch_computes(name: str) -> None:
    case = Case(CHAINS[name], 2)
    tensors = [{key: torch.from_numpy(array) for key, array in arrays.items()} for arrays in case.weights]
    found = compute(case.blocks, in_floats(tensors), torch.from_numpy(case.images), lambda _, value: value)
    assert relative_error(found.numpy(), reference(case.blocks, case.weights, case.images)) < 1e-4


def test_a_few_that_lie_far_out_are_cut_off_by_percentile_and_mse() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.standard_normal(200_000), [-60.0, 90.0]])
    ranges = {method: find(of(values)) for method, find in METHODS.items()}
    assert ranges["min-max"] == Range(-60, 90)
    for method in ("percentile", "mse"):
        assert -60 < ranges[method].low < -3 and 3 < ranges[method].high < 90, method
    errors = {}
    for method, limits in ranges.items():
        errors[method] = np.mean((limits.values(limits.steps(values.astype(np.float32), "uint8")) - values) ** 2)
    assert errors["mse"] <= errors["min-max"]


def test_what_is_never_negative_has_a_range_from_zero() -> None:
    values = np.abs(np.random.default_rng(0).standard_normal(10_000))
    for find in METHODS.values():
        assert find(of(values)).low == 0


def test_a_value_that_is_always_zero_is_no_trouble() -> None:
    for find in METHODS.values():
        assert find(of(np.zeros(10))) == Range(0, 0)


def test_it_observes_the_values_of_all_images() -> None:
    spec = BLOCKS["conv relu6"]
    images = 3 * torch.randn(8, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    observed = observe([spec], random_weights_of([spec]), lambda: images.split(3))
    assert observed[IMAGE].low == images.min() and observed[IMAGE].high == images.max()
    assert observed[IMAGE].counts.sum() == images.numel()
    assert (observed["block0.conv.relu6"].low, observed["block0.conv.relu6"].high) == (0, 6)


def test_the_method_is_the_one_whose_scores_are_nearest_to_those_in_floats() -> None:
    """One pixel that is far too bright would leave a handful of steps to all others."""
    blocks = [BLOCKS["conv relu"], BlockSpec("head", 6, 8, 0, 5)]
    weights, generator = random_weights_of(blocks), torch.Generator().manual_seed(0)
    usual, odd = (torch.randn(32, 3, 12, 12, generator=generator) for _ in range(2))
    odd[0, 0, 0, 0] = 500
    assert calibrate(blocks, weights, lambda: [usual], lambda: [usual]).images == 32
    found = calibrate(blocks, weights, lambda: [odd], lambda: [usual], per_tensor=True)
    assert found.method != "min-max" and found.per_tensor
    assert found.ranges[IMAGE].high < 500
    assert found == calibrate(blocks, weights, lambda: [odd], lambda: [usual], per_tensor=True)


def test_it_is_kept_as_plain_data_and_fits_its_network_alone() -> None:
    blocks = (BLOCKS["residual"],)
    ranges = {value.name: Range(-1, 1) for value in calibrated(blocks)}
    calibration = Calibration("mse", 10, True, False, ranges)
    assert read(Calibration, plain(calibration)) == calibration
    assert calibration.quantisation(blocks).per_tensor
    with pytest.raises(CheckpointError, match="another network"):
        calibration.quantisation((BLOCKS["squeeze"],))
