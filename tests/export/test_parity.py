import numpy as np

from edgenas.export import compare
from edgenas.export.parity import TOLERANCE

EXPECTED = np.array([[3.0, -1.0, 0.5], [0.1, 0.2, 7.0]], dtype=np.float32)


def test_equal_outputs_agree():
    parity = compare(EXPECTED, EXPECTED.copy())
    assert (parity.max_difference, parity.scale, parity.agreement, parity.holds) == (0, 7, 1, True)


def test_the_tolerance_is_relative_to_the_largest_logit():
    assert compare(EXPECTED, EXPECTED + np.float32(6 * TOLERANCE)).holds
    assert not compare(EXPECTED, EXPECTED + np.float32(8 * TOLERANCE)).holds
    small = EXPECTED / 1000
    assert compare(small, small + np.float32(0.9 * TOLERANCE)).holds
    assert not compare(small, small + np.float32(1.1 * TOLERANCE)).holds


def test_agreement_is_of_the_top_class():
    assert compare(EXPECTED, EXPECTED[:, ::-1]).agreement == 0
    assert compare(EXPECTED, np.stack([EXPECTED[0], EXPECTED[0]])).agreement == 0.5


def test_what_is_no_number_or_another_shape_never_agrees():
    broken = EXPECTED.copy()
    broken[0, 0] = np.nan
    assert not compare(EXPECTED, broken).holds
    assert not compare(EXPECTED, EXPECTED[:, :2]).holds
