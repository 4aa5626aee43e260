import math

import numpy as np
import pytest

from edgenas.predictor import kendall_tau
from edgenas.statistics import differ, kendall_is_chance, wilson


def test_wilsons_interval_of_exact_accuracies_is_a_point():
    assert wilson(0.7, math.inf) == (pytest.approx(0.7), pytest.approx(0.7))
    # Newcombe (1998), table I, method 3: 81 of 263.
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)


@pytest.mark.parametrize("images", [100, 1000])
def test_equal_networks_are_told_apart_one_time_in_twenty(images):
    rng = np.random.default_rng(0)
    pairs = rng.binomial(images, 0.8, (2000, 2)) / images
    assert np.mean([differ(a, images, b) for a, b in pairs]) == pytest.approx(0.05, abs=0.015)


def test_more_images_tell_smaller_differences():
    assert not differ(0.88, 500, 0.89)
    assert differ(0.88, 50_000, 0.89)
    assert differ(0.88, math.inf, 0.8801)
    assert not differ(0.88, math.inf, 0.88)
    assert differ(0.5, 500, 0.9, 50)
    assert not differ(1.0, 10, 1.0)


@pytest.mark.parametrize("samples", [10, 20, 75])
def test_a_tau_of_chance_is_called_so_19_times_in_20(samples):
    rng = np.random.default_rng(0)
    taus = [kendall_tau(*rng.random((2, samples))) for _ in range(2000)]
    assert np.mean([kendall_is_chance(tau, samples) for tau in taus]) == pytest.approx(0.95, abs=0.015)


def test_no_tau_is_chance():
    assert kendall_is_chance(math.nan, 20)
    assert kendall_is_chance(-0.9, 20)
    assert not kendall_is_chance(0.9, 20)
