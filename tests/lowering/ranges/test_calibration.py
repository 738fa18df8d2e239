"""Value ranges from data against plain NumPy on all the data at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ttfs_convert.errors import DataError, ModelError, UsageError
from ttfs_convert.lowering.ranges.calibration import BINS, RangeRequest, Rule, ranges

INF = np.inf
MAXIMUM = Rule("maximum")
RULES = [MAXIMUM, Rule("maximum", margin=0.1), Rule("percentile", percentile=90.0), Rule("mse", steps=8)]
pytestmark = pytest.mark.filterwarnings("error")
seeded = settings(max_examples=100, deadline=None, derandomize=True)


def _ranges(data, rule, low=-INF, high=INF, axis=1, splits=()):
    """(lo, hi) of `data` itself, split in front of the rows `splits`."""
    found = ranges([RangeRequest("t", axis, low, high)], lambda x: {"t": x}, lambda: np.split(data, splits), rule)
    assert list(found) == ["t"]
    lo, hi = found["t"]
    assert lo.dtype == hi.dtype == np.float32 and lo.shape == hi.shape == (data.shape[axis],)
    assert (lo < hi).all() and np.isfinite([lo, hi]).all()
    return lo, hi


def _normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


# maximum


def test_maximum_is_the_smallest_and_largest_per_channel():
    data = _normal(20, 3, 4, 5) * np.float32([1, 10, 100])[:, None, None]
    lo, hi = _ranges(data, MAXIMUM)
    np.testing.assert_array_equal(lo, data.min((0, 2, 3)))
    np.testing.assert_array_equal(hi, data.max((0, 2, 3)))


@pytest.mark.parametrize(("shape", "axis"), [((20, 3, 4, 5), 1), ((20, 3, 4, 5), 2), ((20, 3, 4, 5), 3), ((20, 6, 7), 2)])
@pytest.mark.parametrize("rule", RULES)
def test_any_axis(shape, axis, rule):
    data = _normal(*shape)
    expected = _ranges(np.ascontiguousarray(np.moveaxis(data, axis, 1)), rule)
    np.testing.assert_array_equal(_ranges(data, rule, axis=axis), expected)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(-INF, INF, (-2 - 0.25 * 10, 8 + 0.25 * 10)), (-4.0, INF, (-4, 8 + 0.25 * 12)), (-INF, 10.0, (-2 - 0.25 * 12, 10)), (-4.0, 10.0, (-4, 10))],
)
def test_margin_moves_free_ends_by_a_share_of_the_range(low, high, expected):
    data = np.array([[-2], [3], [8]], np.float32)
    lo, hi = _ranges(data, Rule("maximum", margin=0.25), low, high)
    assert (lo[0], hi[0]) == expected


def test_margin_is_of_maximum_only():
    data = _normal(50, 2)
    for method in ({"method": "percentile", "percentile": 99.0}, {"method": "mse", "steps": 9}, {"method": "mse"}):
        np.testing.assert_array_equal(_ranges(data, Rule(**method, margin=3.0)), _ranges(data, Rule(**method)))


@seeded
@given(arrays(np.float64, (7, 2), elements=st.floats(-1e30, 1e30)))
def test_extremes_lie_inside_after_rounding_to_float32(data):
    lo, hi = _ranges(data, MAXIMUM)
    assert (lo.astype(np.float64) <= data.min(0)).all() and (hi.astype(np.float64) >= data.max(0)).all()
    assert (np.nextafter(lo, np.float32(INF)) > data.min(0))[np.ptp(data, axis=0) > 0].all()  # and no further out than needed
    assert (np.nextafter(hi, np.float32(-INF)) < data.max(0))[np.ptp(data, axis=0) > 0].all()


# percentile


@seeded
@given(arrays(np.float32, (40, 2), elements=st.one_of(st.just(0.0), st.floats(-1000, 1000, width=32))), st.floats(50.5, 100))
def test_percentile_to_within_a_bin(data, percent):
    lo, hi = _ranges(data, Rule("percentile", percentile=percent))
    for channel in range(2):
        values = data[:, channel].astype(np.float64)
        width = np.ptp(values)
        expected = np.percentile(values, [100 - percent, percent])
        if np.ptp(expected) > 2 * width / BINS:
            np.testing.assert_allclose([lo[channel], hi[channel]], expected, rtol=2e-7, atol=1.001 * width / BINS)


def test_percentile_of_many_values():
    data = _normal(2000, 3, 10) ** 3
    lo, hi = _ranges(data, Rule("percentile", percentile=99.9))
    values = data.transpose(1, 0, 2).reshape(3, -1)
    bins = np.ptp(values, axis=1) / BINS
    assert (np.abs(hi - np.percentile(values, 99.9, axis=1)) <= bins).all() and (hi < values.max(1) / 2).all()
    assert (np.abs(lo - np.percentile(values, 0.1, axis=1)) <= bins).all() and (lo > values.min(1) / 2).all()


def test_percentile_leaves_known_ends():
    data = _normal(500, 2)
    free, low, high = (_ranges(data, Rule("percentile", percentile=95.0), *ends) for ends in ((-INF, INF), (-7.0, INF), (-INF, 7.0)))
    np.testing.assert_array_equal(low, [[-7, -7], free[1]])
    np.testing.assert_array_equal(high, [free[0], [7, 7]])


def test_percentile_of_100_is_the_maximum():
    data = _normal(50, 3)
    np.testing.assert_array_equal(_ranges(data, Rule("percentile", percentile=100.0)), _ranges(data, MAXIMUM))


def test_channel_active_more_rarely_than_the_percentile_says_keeps_its_maximum():
    data = np.zeros((1000, 3), np.float32)
    data[:1, 0], data[:200, 1] = 5, np.linspace(1, 2, 200)
    rule = Rule("percentile", percentile=99.0)
    _, hi = _ranges(data, rule, 0.0)
    assert hi[0] == 5 and abs(hi[1] - np.percentile(data[:, 1], 99)) <= 2 / BINS and hi[2] == 5
    np.testing.assert_array_equal(_ranges(-data, rule, high=0.0)[0][[0, 2]], [-5, -5])
    np.testing.assert_array_equal(np.ravel(_ranges(data[:, :1], rule)), [0, 5])


# mse


def _squared_error(values, lo, hi, steps):
    inside = np.count_nonzero((values > lo) & (values < hi))
    return ((values - np.clip(values, lo, hi)) ** 2).sum() + inside * ((hi - lo) / steps) ** 2 / 12


@seeded
@given(
    st.integers(0, 99),
    st.sampled_from([1, 4, 16, 64]),
    st.sampled_from([0.1, 1]),
    st.sampled_from([-2.5, 0, 2.5]),
    st.sampled_from([(0.0, INF), (-INF, 0.0), (-INF, INF), (-3.0, INF), (-INF, 3.0)]),
)
def test_no_other_ends_have_a_smaller_error(seed, steps, scale, offset, known):
    """Against brute force on the values themselves, where the ends may be."""
    values = np.clip(scale * _normal(400, seed=seed) ** 3 + offset, *known).astype(np.float32)
    if np.ptp(values) == 0:
        return
    lo, hi = (float(end[0]) for end in _ranges(values[:, None], Rule("mse", steps=steps), *known))
    assert known[0] in (lo, -INF) and known[1] in (hi, INF)
    value = values.astype(np.float64)
    anchors = (lo if np.isfinite(known[0]) else value.mean()), (hi if np.isfinite(known[1]) else value.mean())
    shares = np.linspace(0.02, 1, 99)[:: 4 if np.isinf(known).all() else 1]
    lows = [lo] if np.isfinite(known[0]) else anchors[1] + shares * (value.min() - anchors[1])
    highs = [hi] if np.isfinite(known[1]) else anchors[0] + shares * (value.max() - anchors[0])
    least = min(_squared_error(value, low, high, steps) for low in lows for high in highs)
    assert _squared_error(value, lo, hi, steps) <= 1.02 * least + 1e-9


def test_errors_of_a_rounded_window_are_those_minimised():
    """The formula stands for rounding itself: with it, the ends found are nearly the best for values that are really rounded."""
    values = np.maximum(_normal(20_000), 0)
    steps = 6
    _, hi = _ranges(values[:, None], Rule("mse", steps=steps), 0.0)

    def error(top):
        return ((np.clip(np.round(values / top * steps), 0, steps) / steps * top - values) ** 2).sum()

    assert error(float(hi[0])) <= 1.03 * min(error(top) for top in np.linspace(0.1, values.max(), 200))
    assert hi[0] < 0.8 * values.max()


def test_few_steps_clip_more_than_many():
    data = np.maximum(_normal(5000, 1), 0)
    tops = [_ranges(data, Rule("mse", steps=steps), 0.0)[1][0] for steps in (2, 8, 64, 100_000)]
    assert tops == sorted(tops) and tops[0] < tops[1] < tops[2] and tops[3] == data.max()


def test_silent_values_are_not_rounded():
    """Zeros behind a ReLU are exact whatever the range: they do not make it narrower."""
    active = np.maximum(_normal(5000), 0)[:, None]
    with_zeros = np.concatenate([active, np.zeros((50_000, 1), np.float32)])
    rule = Rule("mse", steps=8)
    np.testing.assert_allclose(_ranges(with_zeros, rule, 0.0)[1], _ranges(active, rule, 0.0)[1], rtol=0.02)
    np.testing.assert_allclose(_ranges(-with_zeros, rule, high=0.0)[0], _ranges(-active, rule, high=0.0)[0], rtol=0.02)


@pytest.mark.parametrize("known", [(-INF, INF), (-9.0, INF), (-INF, 9.0)])
def test_mse_in_continuous_time_is_the_maximum(known):
    data = _normal(60, 3)
    np.testing.assert_array_equal(_ranges(data, Rule("mse"), *known), _ranges(data, MAXIMUM, *known))


# all rules


@seeded
@given(st.integers(0, 99), st.lists(st.integers(0, 30), max_size=6), st.sampled_from(RULES), st.sampled_from([(0.0, INF), (-INF, INF)]))
def test_batches_do_not_matter(seed, splits, rule, known):
    """Empty batches included."""
    data = np.clip(_normal(30, 3, 4, seed=seed), *known).astype(np.float32)
    np.testing.assert_array_equal(_ranges(data, rule, *known, splits=sorted(splits)), _ranges(data, rule, *known))


@pytest.mark.parametrize("rule", RULES)
def test_known_ends_are_returned_as_they_are(rule):
    lo, hi = _ranges(_normal(9, 4), rule, -0.1, 0.3)
    np.testing.assert_array_equal(lo, np.float32([-0.1] * 4))
    np.testing.assert_array_equal(hi, np.float32([0.3] * 4))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("known", "constant", "ends"),
    [
        ((0.5, INF), 0.5, lambda width: (0.5, 0.5 + width)),
        ((-INF, 6.0), 6.0, lambda width: (6 - width, 6)),
        ((-INF, INF), -3.0, lambda width: (-3 - width / 2, -3 + width / 2)),
    ],
)
def test_dead_channel_takes_the_largest_width(rule, known, constant, ends):
    data = np.clip(_normal(300, 3) * np.float32([1, 2, 1]), *known).astype(np.float32)
    data[:, 2] = constant
    lo, hi = _ranges(data, rule, *known)
    width = (hi - lo).astype(np.float64)[:2].max()
    np.testing.assert_allclose((lo[2], hi[2]), ends(width), rtol=1e-6)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("known", "expected"), [((2.0, INF), (2, 3)), ((-INF, 2.0), (1, 2)), ((-INF, INF), (1.5, 2.5))])
def test_all_channels_dead(rule, known, expected):
    np.testing.assert_array_equal(_ranges(np.full((5, 2), 2, np.float32), rule, *known), np.repeat([expected], 2, axis=0).T)


@pytest.mark.parametrize("rule", RULES)
def test_constant_channel_above_its_known_end_is_not_dead(rule):
    np.testing.assert_allclose(_ranges(np.full((5, 1), 3, np.float32), rule, 0.0), [[0], [3 + 3 * rule.margin]])


@seeded
@given(
    arrays(np.float32, (4, 3), elements=st.sampled_from(np.float32([-1e30, -1.0, 0.0, 1e-45, 1e-38, 1.0, 1.0000001, 1e8, 1e30]).tolist())),
    st.sampled_from(RULES),
    st.sampled_from([(-INF, INF), (0.0, INF), (1e30, INF), (-INF, 1e8), (-1e30, INF)]),
)
def test_ends_are_apart_and_finite_whatever_the_values(data, rule, known):
    lo, hi = _ranges(data, rule, *known)  # checks it
    assert np.isinf(known[0]) or (lo == np.float32(known[0])).all()
    assert np.isinf(known[1]) or (hi == np.float32(known[1])).all()


def test_largest_float32():
    largest = np.finfo(np.float32).max
    lo, hi = _ranges(np.array([[-largest], [largest]]), Rule("maximum", margin=0.5))
    assert (lo[0], hi[0]) == (-largest, largest)


def test_several_tensors_of_a_model():
    data = _normal(12, 4)
    requests = [RangeRequest("twice", 1, -INF, INF), RangeRequest("relu", 1, 0.0, INF), RangeRequest("clipped", 1, 0.0, 6.0)]

    def run(x):
        return {"twice": 2 * x, "relu": np.maximum(x, 0), "clipped": np.clip(x, 0, 6), "other": x}

    found = ranges(requests, run, lambda: np.split(data, 3), MAXIMUM)
    assert list(found) == ["twice", "relu", "clipped"]
    np.testing.assert_array_equal(found["twice"], [2 * data.min(0), 2 * data.max(0)])
    np.testing.assert_array_equal(found["relu"], [np.zeros(4), np.maximum(data, 0).max(0)])
    np.testing.assert_array_equal(found["clipped"], [np.zeros(4), np.full(4, 6)])


@pytest.mark.parametrize(
    ("rule", "known", "passes"),
    [
        (MAXIMUM, (0.0, INF), 1),
        (Rule("mse"), (0.0, INF), 1),
        (Rule("mse", steps=9), (0.0, INF), 2),
        (Rule("percentile", percentile=99.0), (0.0, INF), 2),
        (Rule("percentile", percentile=99.0), (0.0, 1.0), 1),
    ],
)
def test_passes(rule, known, passes):
    """No pass that is not needed; each batch is let go before the next one is asked for."""
    started, alive = [], []

    def batches():
        started.append(True)
        for index in range(5):
            assert not alive
            alive.append(index)
            yield np.full((2, 3), index, np.float32)

    def run(x):
        alive.clear()
        return {"t": x}

    ranges([RangeRequest("t", 1, *known)], run, batches, rule)
    assert len(started) == passes


def test_nothing_requested():
    assert ranges([], lambda x: 1 / 0, lambda: 1 / 0, MAXIMUM) == {}


# errors


@pytest.mark.parametrize("value", [np.nan, INF, -INF, 1e39])
@pytest.mark.parametrize("known", [(-INF, INF), (0.0, 1.0)])
def test_activations_that_are_not_finite(value, known):
    data = np.zeros((6, 3))
    data[4, 1] = value
    with pytest.raises(DataError) as caught:
        ranges([RangeRequest("conv1", 1, *known)], lambda x: {"conv1": x}, lambda: np.split(data, 3), MAXIMUM)
    assert str(caught.value) == (
        "conv1: activations that are not finite in float32; expected finite values; check the model and the calibration data"
    )


@pytest.mark.parametrize("batches", [[], [np.zeros((0, 3), np.float32)]])
def test_no_data(batches):
    with pytest.raises(DataError) as caught:
        ranges([RangeRequest("t", 1, 0.0, INF)], lambda x: {"t": x}, lambda: batches, MAXIMUM)
    assert str(caught.value) == "calibration data: no samples; expected one or more"


def test_data_that_is_gone_in_the_second_pass():
    batches = iter(np.split(_normal(6, 3), 3))
    with pytest.raises(DataError) as caught:
        ranges([RangeRequest("t", 1, 0.0, INF)], lambda x: {"t": x}, lambda: batches, Rule("mse", steps=4))
    assert str(caught.value) == "calibration data: 0 samples in the second pass; expected 6 as in the first"


def test_tensor_that_is_not_there():
    with pytest.raises(ModelError, match="t: no such tensor in what the original network gives"):
        ranges([RangeRequest("t", 1, 0.0, INF)], lambda x: {"u": x}, lambda: [_normal(2, 3)], MAXIMUM)


@pytest.mark.parametrize("axis", [-1, 0, 2])
def test_axis_that_is_not_there(axis):
    with pytest.raises(ModelError) as caught:
        _ranges(_normal(2, 3), MAXIMUM, axis=axis)
    assert str(caught.value) == f"t: a tensor of shape (2, 3); expected axis {axis} as the channels'"


def test_channels_that_change():
    with pytest.raises(ModelError) as caught:
        ranges([RangeRequest("t", 1, 0.0, INF)], lambda x: {"t": x}, lambda: [_normal(2, 3), _normal(2, 1)], MAXIMUM)
    assert str(caught.value) == "t: a tensor of shape (2, 1); expected axis 1 as the channels', 3 as before"


def test_tensor_requested_twice():
    with pytest.raises(ValueError, match="a tensor is requested twice"):
        ranges([RangeRequest("t", 1, 0.0, INF), RangeRequest("t", 2, 0.0, INF)], lambda x: {"t": x}, lambda: [_normal(2, 3)], MAXIMUM)


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0), (2.0, 1.0), (1.0, 1.0 + 1e-9), (np.nan, 1.0), (INF, INF)])
def test_known_ends_without_an_interval(low, high):
    with pytest.raises(ModelError, match=f"^t: values from {low:g} to {high:g}; expected the lower end below the upper one$"):
        RangeRequest("t", 1, low, high)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"method": "median"}, "method median; expected maximum, percentile or mse"),
        ({"method": "percentile"}, "percentile None; expected above 50 and at most 100"),
        ({"method": "percentile", "percentile": 50.0}, "percentile 50.0; expected above 50"),
        ({"method": "percentile", "percentile": 100.1}, "percentile 100.1; expected above 50"),
        ({"method": "maximum", "margin": -0.1}, "margin -0.1; expected 0 or more"),
        ({"method": "maximum", "margin": np.nan}, "margin nan; expected 0 or more"),
        ({"method": "mse", "steps": 0}, "0 time steps; expected 1 or more"),
    ],
)
def test_rule_out_of_range(arguments, text):
    with pytest.raises(UsageError) as caught:
        Rule(**arguments)
    assert str(caught.value).startswith(f"calibration: {text}")
