"""Which values spikes stand for, in every mode, by activation and by what is known of the values."""

import math

import numpy as np
import pytest

from ttfs_convert.lowering.ranges.of_layers import Ranges
from ttfs_convert.lowering.values import Potential, channels_first

INF = math.inf
FOUND = (np.float32([-1.5, 0.5]), np.float32([2.5, 3.5]))
MODES = ("strict", "unchecked", "exact")


def potential(bounds=None, shape=(3, 3, 2)):
    known = {} if bounds is None else {"bounds": tuple(np.array(end, np.float64) for end in bounds)}
    return Potential("layer", (), np.zeros(2), shape, channels_first(shape), **known)


def ends(ranges, low, high, bounds=None):
    lo, hi = ranges.of(potential(bounds), "t", low, high)
    assert lo.dtype == hi.dtype == np.float32 and lo.shape == hi.shape == (2,) and (lo < hi).all()
    return lo.tolist(), hi.tolist()


@pytest.mark.parametrize("low, high", ((0, 1), (-1, 0.5), (0.25, 1), (-3, -2)))
@pytest.mark.parametrize("mode", MODES)
def test_an_activation_with_two_ends_gives_them(mode, low, high):
    ranges = Ranges(mode, {})
    assert ends(ranges, low, high) == ends(ranges, low, high, ([0, 0], [1, 1])) == ([low] * 2, [high] * 2)
    assert not ranges.unbounded


@pytest.mark.parametrize("low, high, cut", ((0, 6, 1), (-1, 2, 1), (1, 2, 2)))
def test_an_end_beyond_1_is_kept_in_mode_exact_alone(low, high, cut):
    for mode in MODES:
        assert ends(Ranges(mode, {}), low, high) == ([low] * 2, [high if mode == "exact" else cut] * 2)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "low, high, expected", ((-INF, INF, ([-1, 0.5], [3, 2])), (0, INF, ([0, 0.5], [3, 2])), (-INF, 1.5, ([-1, 0.5], [1.5, 1.5])))
)
def test_what_is_known_of_the_values_is_cut_by_the_activation(mode, low, high, expected):
    ranges = Ranges(mode, {"t": FOUND})
    assert ends(ranges, low, high, ([-1, 0.5], [3, 2])) == expected and not ranges.unbounded


def test_known_bounds_may_differ_by_position_or_be_one_for_all():
    whole = np.linspace(-1, 1, 18).reshape(3, 3, 2)
    lo, hi = ends(Ranges("exact", {}), -INF, INF, (whole, whole + 1))
    assert lo == pytest.approx([-1, whole[0, 0, 1]]) and hi == pytest.approx([whole[-1, -1, 0] + 1, 2])
    assert ends(Ranges("exact", {}), -INF, INF, ([-1], [2])) == ([-1, -1], [2, 2])


@pytest.mark.parametrize(
    "low, high, expected", ((-INF, 1, ([0, 1], [1, 1])), (-INF, -1, ([-1, -1], [-1, -1])), (2, INF, ([2, 2], [2, 3])), (5, INF, ([5, 5], [5, 5])))
)
@pytest.mark.parametrize("mode", MODES)
def test_values_wholly_beyond_an_end_are_that_end(mode, low, high, expected):
    """Of values between 0 and 1 in one channel and 2 and 3 in the other."""
    lo, hi = Ranges(mode, {}).of(potential(([0, 2], [1, 3])), "t", low, high)
    for value, side in ((expected[0], lo), (expected[1], hi)):
        np.testing.assert_allclose(side, value, atol=6e-3)
    assert (lo < hi).all()
    if math.isfinite(high):
        assert (hi <= high).all(), "a value of the clamp's end would be coded as a larger one"
    if math.isfinite(low):
        assert (lo >= low).all()


@pytest.mark.parametrize("low, high", ((-INF, INF), (0, INF), (-INF, 1)))
def test_mode_exact_asks_for_what_is_not_known_and_takes_what_was_found(low, high):
    asking = Ranges("exact", {})
    assert ends(asking, low, high) == ([0, 0], [1, 1])
    (asked,) = asking.unbounded.values()
    assert (asked.layer, asked.tensor, asked.channels, asked.low, asked.high) == ("layer", "t", 2, low, high)
    np.testing.assert_array_equal(asked.index, channels_first((3, 3, 2)))
    told = Ranges("exact", {"t": FOUND})
    assert ends(told, low, high) == tuple(np.clip(end, low, high).tolist() for end in FOUND) and not told.unbounded


@pytest.mark.parametrize("low, high, expected", ((-INF, INF, (0, 1)), (0, INF, (0, 1)), (-1, INF, (-1, 1)), (-INF, 0.5, (0, 0.5))))
@pytest.mark.parametrize("mode", ("strict", "unchecked"))
def test_the_other_modes_take_0_and_1_for_what_is_not_known(mode, low, high, expected):
    ranges = Ranges(mode, {"t": FOUND})
    assert ends(ranges, low, high) == ([expected[0]] * 2, [expected[1]] * 2) and not ranges.unbounded


def test_one_known_end_is_not_enough():
    ranges = Ranges("exact", {})
    ends(ranges, 0, INF, ([-INF, -INF], [2, INF]))
    assert list(ranges.unbounded) == ["t"]


def test_a_narrow_channel_gets_a_thousandth_of_the_layers_largest_value():
    lo, hi = Ranges("exact", {"t": (np.float32([2, 0]), np.float32([2 + 1e-6, 8]))}).of(potential(), "t", -INF, INF)
    assert (lo[0], hi[1]) == (2, 8) and hi[0] - lo[0] == pytest.approx(0.008, rel=1e-4)


def test_a_narrow_channel_ends_where_its_clamp_ends():
    lo, hi = Ranges("exact", {"t": (np.float32([1 - 1e-6, -8]), np.float32([1, 1]))}).of(potential(), "t", -INF, 1)
    assert hi.tolist() == [1, 1] and hi[0] - lo[0] == pytest.approx(0.008, rel=1e-4)
    lo, hi = Ranges("exact", {"t": (np.float32([0, 0]), np.float32([1e-6, 8]))}).of(potential(), "t", 0, INF)
    assert lo.tolist() == [0, 0] and hi[0] == pytest.approx(0.008, rel=1e-4)
