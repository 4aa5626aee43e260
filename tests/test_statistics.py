import math

import numpy as np
import pytest

from edgenas.predictor import kendall_tau
from edgenas.statistics import differ, kendall_is_chance, wilson


def test_wilsons_interval_of_exact_accuracies_is_a_point():
    assert wilson(0.7, math.inf) == (pytest.approx(0.7), pytest.approx(0.7))
    # Newcombe (1998), table I, method 3: 81 of 263.
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)


def accuracies_differ(accuracy, images, other, other_images=None):
    return differ(accuracy, wilson(accuracy, images), other, wilson(other, other_images or images))


@pytest.mark.parametrize("images", [100, 1000])
def test_equal_networks_are_told_apart_one_time_in_twenty(images):
    rng = np.random.default_rng(0)
    pairs = rng.binomial(images, 0.8, (2000, 2)) / images
    assert np.mean([accuracies_differ(a, images, b) for a, b in pairs]) == pytest.approx(0.05, abs=0.015)


def test_more_images_tell_smaller_differences():
    assert not accuracies_differ(0.88, 500, 0.89)
    assert accuracies_differ(0.88, 50_000, 0.89)
    assert accuracies_differ(0.88, math.inf, 0.8801)
    assert not accuracies_differ(0.88, math.inf, 0.88)
    assert accuracies_differ(0.5, 500, 0.9, 50)
    assert not accuracies_differ(1.0, 10, 1.0)


def test_the_interval_of_a_difference_is_the_published_one():
    # Newcombe (1998), table II, method 10: 56/70 and 48/80 differ by 0.0524 to 0.3339; 9/10 and 3/10 by 0.1705 to 0.8090.
    # Shrunk by its lower end and a bit the difference cannot be told any more.
    for one, n, other, m, low in ((56, 70, 48, 80, 0.0524), (9, 10, 3, 10, 0.1705)):
        a, b = one / n, other / m
        (better_low, _), (_, worse_high) = wilson(a, n), wilson(b, m)
        assert a - b - math.hypot(a - better_low, worse_high - b) == pytest.approx(low, abs=1e-4)
        assert differ(a, wilson(a, n), b, wilson(b, m))


@pytest.mark.parametrize("samples", [10, 20, 75])
def test_a_tau_of_chance_is_called_so_19_times_in_20(samples):
    rng = np.random.default_rng(0)
    taus = [kendall_tau(*rng.random((2, samples))) for _ in range(2000)]
    assert np.mean([kendall_is_chance(tau, samples) for tau in taus]) == pytest.approx(0.95, abs=0.015)


def test_no_tau_is_chance():
    assert kendall_is_chance(math.nan, 20)
    assert kendall_is_chance(-0.9, 20)
    assert not kendall_is_chance(0.9, 20)
