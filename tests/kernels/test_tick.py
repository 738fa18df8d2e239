import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels.cases import assert_same_bits
from ttfs_convert.kernels.tick import UNFIRED, tick

QUICK = settings(derandomize=True, deadline=None, max_examples=40)


def naive_tick(potential, current, threshold, lead, dt, step, times):
    """(potential, times) afterwards: fires where V is at the threshold now or `lead` later, once; then V += I dt."""
    potential, times = potential.copy(), times.copy()
    for r, i in np.ndindex(*potential.shape):
        v, now = potential[r, i], current[r, i]
        if (v >= threshold or v + now * lead >= threshold) and times[r, i] == UNFIRED:
            times[r, i] = step
        potential[r, i] = v + now * dt
    return potential, times


def fresh(rows, m):
    return np.zeros((rows, m)), np.zeros((rows, m)), np.full((rows, m), UNFIRED)


@QUICK
@given(st.sampled_from((1, np.inf, -np.inf, 0.3)), st.floats(0, 1), st.floats(0, 1), st.integers(-9, 99), st.integers(0, 2**32 - 1))
def test_tick_equals_its_twin(threshold, lead, dt, step, seed):
    rng = np.random.default_rng(seed)
    potential, current = rng.normal(0.7, 0.5, (3, 5)), rng.normal(0, 2, (3, 5))
    potential[0, :2] = threshold if np.isfinite(threshold) else 0
    times = np.where(rng.random((3, 5)) < 0.3, rng.integers(0, 9, (3, 5)), UNFIRED).astype(np.int32)
    expected = naive_tick(potential, current, threshold, lead, dt, step, times)
    tick(potential, current, threshold, lead, dt, step, times)
    np.testing.assert_allclose(potential, expected[0], rtol=1e-15, atol=1e-15)
    np.testing.assert_array_equal(times, expected[1])


@pytest.mark.parametrize("threshold, fires", ((np.inf, False), (-np.inf, True)))
def test_no_neuron_fires_before_the_window_and_every_one_at_its_end(threshold, fires):
    potential, current, times = fresh(1, 3)
    potential[:] = [[-1e9, 0, 1e9]]
    tick(potential, current, threshold, 0.5, 0.1, 7, times)
    assert (times == 7).all() == fires and (times == UNFIRED).all() == (not fires)


def test_a_neuron_fires_once():
    potential, current, times = fresh(1, 1)
    potential += 2
    for step in (3, 4, 5):
        tick(potential, current, 1.0, 0.0, 0.1, step, times)
    assert times.tolist() == [[3]]


def test_a_falling_potential_counts_before_it_falls_and_a_rising_one_up_to_the_lead():
    potential, current, times = fresh(1, 4)
    potential[:], current[:] = [[1, 0.5, 0.5, 1.5]], [[-9, 1, 1.02, -9]]
    tick(potential, current, 1.0, 0.49, 0.5, 0, times)
    assert (times == UNFIRED).tolist() == [[False, True, True, False]]
    tick(potential, current, 1.0, 0.0, 0.5, 1, times)
    assert times[0, 1:3].tolist() == [1, 1]  # 0.5 + 0.5 * 1, 0.5 + 0.5 * 1.02


@pytest.mark.parametrize("steps, half", ((7, 0.5), (50, 0.0), (300, 0.5)))
def test_ticks_of_a_ramp_follow_the_rounding_rule(steps, half):
    """Over a whole window: ceil(N tau - h - 1e-4) of tau = (1 - V0) / S, or N."""
    rng = np.random.default_rng(steps)
    potential, current, times = fresh(4, 30)
    potential += rng.uniform(-0.3, 1.2, potential.shape)
    current += rng.uniform(0.5, 2, current.shape)
    tau = (1 - potential) / current
    for step in range(steps):
        tick(potential, current, 1.0, (half + 1e-4) / steps, 1 / steps, step, times)
    tick(potential, current, -np.inf, 0.0, 0.0, steps, times)
    np.testing.assert_array_equal(times, np.clip(np.ceil(steps * tau - half - 1e-4), 0, steps))


def test_no_bit_depends_on_batch_or_threads():
    def run(x):
        potential, current, times = x.copy(), 2 - 3 * x, np.full(x.shape, UNFIRED)
        for step in range(5):
            tick(potential, current, 1.0, 0.1, 0.2, step, times)
        return np.concatenate([potential, times], axis=1)

    assert_same_bits(run, np.random.default_rng(3).random((7, 6)))
