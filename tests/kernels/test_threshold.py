import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import naive
from tests.kernels.cases import activations, assert_same_bits
from ttfs_convert.kernels._jit import jit
from ttfs_convert.kernels.threshold import crossing_time, encode, fire, fire_at, ramp, time_step

QUICK = settings(derandomize=True, deadline=None, max_examples=40)
STEPS = st.sampled_from((1, 2, 3, 10, 50, 255, 256, 1000, 65535))
HALVES = st.sampled_from((0.0, 0.5))


def times_for(shape, steps):
    return np.empty(shape, np.float32 if not steps else np.uint8 if steps <= 255 else np.uint16)


@pytest.mark.parametrize(
    "potential, slope, expected",
    (
        (0.25, 1, 0.75),
        (0, 1, 1),
        (1, 1, 0),
        (0.5, 2, 0.25),
        (0.5, 0.5, 1),
        (0.5, 0.25, 1),
        (-3, 1, 1),
        (-3, 8, 0.5),
        (1.5, 1, 0),
        (2, 0, 0),
        (2, -1, 0),
        (1, 0, 0),
        (1, -5, 0),
        (0.999, 0, 1),
        (0.999, -1, 1),
        (0, 0, 1),
        (-1, -1, 1),
    ),
)
def test_crossing_time_by_hand(potential, slope, expected):
    assert crossing_time(float(potential), float(slope)) == expected


@QUICK
@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_crossing_time_equals_the_equation(potential, slope):
    tau = crossing_time(potential, slope)
    assert 0 <= tau <= 1
    assert tau == pytest.approx(naive.crossing_time(potential, slope), abs=1e-12)


@QUICK
@given(st.floats(-3, 3), st.floats(1e-3, 10))
def test_crossing_time_is_where_the_ramp_first_reaches_the_threshold(potential, slope):
    tau = crossing_time(potential, slope)
    if 0 < tau < 1:
        assert potential + slope * tau == pytest.approx(1, abs=1e-9)
    assert potential + slope * tau <= 1 + 1e-9 or tau == 0
    assert potential + slope * tau >= 1 - 1e-9 or tau == 1


@QUICK
@given(STEPS, HALVES, st.floats(0, 1), st.sampled_from((-0.4, -1e-3, 0, 5e-5, 2e-4, 1e-3, 0.4)))
def test_time_step_equals_exact_arithmetic_on_and_beside_ties(steps, half, share, beside):
    tau = min(max((round(share * steps) + half + beside) / steps, 0.0), 1.0)
    assert time_step(tau, steps, half) == naive.time_step(tau, steps, half)


@pytest.mark.parametrize(
    "steps, half, tau_in_steps, expected",
    (
        (50, 0.5, 3.5, 3),
        (50, 0.5, 3.50009, 3),
        (50, 0.5, 3.5002, 4),
        (50, 0.5, 3.4, 3),
        (50, 0.5, 0.5, 0),
        (50, 0.5, 49.6, 50),
        (50, 0.0, 3.0, 3),
        (50, 0.0, 3.00009, 3),
        (50, 0.0, 3.0002, 4),
        (50, 0.0, 0.0, 0),
        (50, 0.0, 49.01, 50),
        (1, 0.5, 0.5, 0),
        (1, 0.0, 0.5, 1),
        (65535, 0.5, 65534.6, 65535),
        (65535, 0.0, 65534.0, 65534),
    ),
)
def test_ties_fire_earlier_and_both_roundings(steps, half, tau_in_steps, expected):
    assert time_step(tau_in_steps / steps, steps, half) == expected


@QUICK
@given(STEPS, HALVES)
def test_time_step_of_a_grid_point_is_that_point(steps, half):
    for k in sorted({0, 1, steps // 3, steps - 1, steps}):
        assert time_step(k / steps, steps, half) == k


@QUICK
@given(st.sampled_from((0, 1, 7, 50, 255, 256, 65535)), HALVES, st.integers(0, 2**32 - 1))
def test_fire_equals_the_equation(steps, half, seed):
    rng = np.random.default_rng(seed)
    potential = rng.normal(0.5, 1, (4, 6)).astype(np.float32)
    slope = rng.choice(np.array([-2, -0.5, 0, 1e-3, 0.5, 1, 1, 3], np.float32), 6)
    times = times_for(potential.shape, steps)
    fire(potential, slope, steps, half, times)
    np.testing.assert_allclose(times, naive.fire(potential, slope, steps, half), rtol=0, atol=0 if steps else 1e-7)


@jit()
def fired(sums, start, exact, single, steps, times):
    for row in range(sums.size // start.size):
        at = row * start.size
        fire_at(sums, at, start, 0, start.size, exact, single, 0, start.size, steps, times, at)


@pytest.mark.parametrize("half", (0.0, 0.5))
@pytest.mark.parametrize("steps", (1, 7, 50, 255))
def test_single_precision_never_decides_what_it_cannot(steps, half):
    """Potentials that cross at a grid point, at its tie, and a few roundings beside them; then any others, the largest included."""
    slope = np.array([1, 1, 1, 1, 0.7, 3, 1e-3, 40, 1e-6, 1e6, 0, -2, 0.3], np.float32)  # eight at a time, and the others
    exact, single = ramp(slope, steps, half)
    at_grid = 1 - slope * ((np.arange(steps + 1)[:, None, None] + np.array([0, half, half + 1e-4])[:, None]) / steps)
    ulps = np.arange(-40, 41, dtype=np.float32) * np.float32(2**-24)
    sums = (at_grid[:, :, None] * (1 + ulps[:, None])).astype(np.float32).reshape(-1, slope.size)
    rng = np.random.default_rng(0)
    others = rng.normal(0.5, 1, (4000, slope.size)) * 10.0 ** rng.integers(-3, 12, (4000, slope.size))
    special = np.broadcast_to(np.array([0, 1, -1, np.inf, -np.inf, np.finfo(np.float32).max])[:, None], (6, slope.size))
    sums = np.concatenate([sums, others, special]).astype(np.float32)
    times = np.empty(sums.shape, np.uint8)
    fired(sums.reshape(-1), np.zeros_like(slope), exact.ravel(), single.ravel(), steps, times.reshape(-1))
    with np.errstate(invalid="ignore"):
        expected = np.clip(np.ceil(exact[0] - exact[1] * sums.astype(np.float64)), 0, steps)
    np.testing.assert_array_equal(times, np.nan_to_num(expected))


@QUICK
@given(st.sampled_from((0, 1, 7, 50, 255, 256, 65535)), HALVES, st.integers(0, 2**32 - 1))
def test_encode_equals_the_equation(steps, half, seed):
    activation = activations(np.random.default_rng(seed), (4, 3, 6), 0.8)
    activation[0, :, :2] = 1
    low, width = np.array([0, -1, 3], np.float32), np.array([1, 4, 0.5], np.float32)  # powers of two: the range costs no rounding
    times = times_for((4, 6, 3), steps)
    encode(low[:, None] + activation * width[:, None], low, width, steps, half, times)
    coded = ((low[:, None] + activation * width[:, None]) - low[:, None]) / width[:, None]
    expected = naive.encode(coded.reshape(4, -1), steps, half).reshape(4, 3, 6)
    np.testing.assert_allclose(times, np.moveaxis(expected, 1, 2), rtol=0, atol=0 if steps else 1e-7)
    assert (times[0, :2] == 0).all() and (np.moveaxis(times, 2, 1)[coded == 0] == (steps or 1)).all()


@pytest.mark.parametrize("steps", (0, 1, 50, 65535))
def test_extreme_potentials_stay_inside_the_window(steps):
    huge = np.float32(3e38)
    potential = np.array([[-huge, huge, 0, 1]], np.float32)
    times = times_for((1, 4), steps)
    for slope, expected in ((1, (1, 0, 1, 0)), (0, (1, 0, 1, 0)), (-huge, (1, 0, 1, 0)), (1e-45, (1, 0, 1, 0)), (huge, (1, 0, 0, 0))):
        fire(potential, np.full(4, slope, np.float32), steps, 0.5, times)
        np.testing.assert_allclose(times[0], [tau * (steps or 1) for tau in expected], rtol=0, atol=1e-30)


def test_saturated_neurons_fire_at_the_opening_and_not_before():
    times = times_for((1, 3), 50)
    fire(np.array([[1, 1.5, 100]], np.float32), np.array([1, 0.1, 1], np.float32), 50, 0.5, times)
    assert times.ravel().tolist() == [0, 0, 0]


@pytest.mark.parametrize("steps", (0, 50))
def test_no_bit_depends_on_batch_or_threads(steps):
    rng = np.random.default_rng(8)
    slope = rng.normal(1, 0.5, 6).astype(np.float32)

    def run(x):
        times = times_for(x.shape, steps), times_for(x.shape, steps)
        fire(x, slope, steps, 0.5, times[0])
        encode(x[:, None], np.zeros(1, np.float32), np.ones(1, np.float32), steps, 0.5, times[1][:, :, None])
        return np.concatenate(times, axis=1)

    assert_same_bits(run, rng.random((7, 6), np.float32))
