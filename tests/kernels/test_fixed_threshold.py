import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels.cases import assert_same_bits
from tests.kernels.receptive import SMALL, arriving, random_fields, synapses
from ttfs_convert.kernels.fixed_threshold import fixed
from ttfs_convert.kernels.incoming_spikes import CLOSING, Fields

QUICK = settings(derandomize=True, deadline=None, max_examples=40)
NEURONS, SOURCES = SMALL.neurons, SMALL.sources


def potential_at(time, changes):
    return sum(change * (time - begin) for begin, change in changes if begin <= time)


def naive_fixed(fields, weights, arrivals, begin, end, bias, reference, threshold):
    """The potential is straight between changes of the current: it reaches the threshold at one of them, or on the way to the next."""
    times, potential = np.full((len(arrivals), NEURONS), np.nan), np.zeros((len(arrivals), NEURONS))
    for n, i in np.ndindex(*times.shape):
        changes = arriving(synapses(fields, weights)[i], arrivals[n]) + [(0.0, bias[i]), (CLOSING, -bias[i]), (CLOSING, reference[i])]
        corners = sorted({begin, end, *(time for time, _ in changes if time <= end)})
        potential[n, i] = potential_at(end, changes)
        for left, right in zip(corners, corners[1:]):
            low, high = potential_at(left, changes), potential_at(right, changes)
            if high >= threshold:
                times[n, i] = left + (right - left) * (threshold - low) / (high - low)
                break
    return times, potential


def run_fixed(fields, weights, arrivals, begin, end, bias, reference, threshold):
    times, potential = np.empty((len(arrivals), NEURONS)), np.empty((len(arrivals), NEURONS))
    fixed(fields, weights, arrivals, begin, end, bias, reference, threshold, times, potential)
    return times, potential


@QUICK
@given(st.integers(0, 2**32 - 1), st.integers(0, 2), st.integers(1, 3), st.booleans(), st.booleans())
def test_first_crossing_of_a_threshold_that_holds_at_all_times(seed, before, after, readout, direct):
    rng = np.random.default_rng(seed)
    fields, weights = random_fields(rng, direct=direct)
    arrivals = rng.uniform(-before, after, (3, SOURCES))
    arrivals[rng.random(arrivals.shape) < 0.3] = np.nan
    arrivals[rng.random(arrivals.shape) < 0.3] = CLOSING
    settings_of_run = float(-before), float(after), rng.normal(0, 1, NEURONS), rng.normal(0, 1, NEURONS), np.inf if readout else 1.0
    times, potential = run_fixed(fields, weights, arrivals, *settings_of_run)
    expected = naive_fixed(fields, weights, arrivals, *settings_of_run)
    np.testing.assert_allclose(times, expected[0], rtol=0, atol=1e-9)
    assert np.isnan(times).all() == readout or not readout
    unfired = np.isnan(times)
    np.testing.assert_allclose(potential[unfired], expected[1][unfired], rtol=0, atol=1e-12)


def test_the_random_neurons_fire_early_late_and_never():
    rng = np.random.default_rng(0)
    times = []
    for _ in range(20):
        fields, weights = random_fields(rng)
        arrivals = rng.uniform(-1, 2, (3, SOURCES))
        times.append(run_fixed(fields, weights, arrivals, -1.0, 2.0, np.zeros(NEURONS), np.zeros(NEURONS), 1.0)[0])
    for share in ((np.array(times) < 1).mean(), (np.array(times) > 1).mean(), np.isnan(times).mean()):
        assert share > 0.05


def one_neuron(*weights):
    """Fields of a neuron with one synapse from each source."""
    n = len(weights)
    one = np.array([0])
    fields = Fields(np.arange(n + 1), np.arange(n), np.ones(n, np.float32), np.array([0, 1]), one, one, np.array([n]), one, n)
    return fields, np.array(weights, np.float32).reshape(1, n, 1)


@pytest.mark.parametrize(
    "arrivals, weights, bias, reference, time, potential",
    (
        ((0.2, 0.6), (5, -10), 0, 0, 0.4, None),  # figure 2 of the paper
        ((0.2, 0.3), (5, -10), 0, 0, np.nan, 5 * 1.8 - 10 * 1.7),
        ((0.5, np.nan), (1, 9), 0, 0, 1.5, None),
        ((0.5, 2.5), (0.5, 9), 0, 0, np.nan, 0.75),  # the other one comes after the end
        ((np.nan, np.nan), (1, 1), 0.75, 0, np.nan, 0.75),
        ((np.nan, np.nan), (1, 1), 2, 0, 0.5, None),
        ((np.nan, np.nan), (1, 1), 0, 1, 2, None),
        ((0.0, 0.0), (2, -2), 0, 0, np.nan, 0),
        ((0.0, 1.0), (1, -1), 0, 0, 1, None),
    ),
)
def test_one_neuron_by_hand(arrivals, weights, bias, reference, time, potential):
    fired, found = np.empty((1, 1)), np.empty((1, 1))
    fields, each = one_neuron(*weights)
    fixed(fields, each, np.array([arrivals]), -1.0, 2.0, np.array([float(bias)]), np.array([float(reference)]), 1.0, fired, found)
    np.testing.assert_allclose(fired, [[time]], rtol=0, atol=1e-12)
    if potential is not None:
        np.testing.assert_allclose(found, [[potential]], rtol=0, atol=1e-12)


def test_a_position_that_nothing_reaches():
    nothing = np.zeros(0, np.int64)
    fields = Fields(np.zeros(1, np.int64), nothing, np.zeros(0, np.float32), np.array([0, 0]), nothing, nothing, nothing, nothing, 0)
    weights, arrivals = np.ones((1, 1, 2), np.float32), np.full((2, 3), 0.5)
    current, potential = np.full((2, 2), 9.0), np.full((2, 2), 9.0)
    fixed(fields, weights, arrivals, 0.0, 1.0, np.array([0, 4.0]), np.zeros(2), 1.0, current, potential)
    np.testing.assert_array_equal(current, [[np.nan, 0.25]] * 2)


def test_no_bit_depends_on_batch_or_threads():
    fields, weights = random_fields(np.random.default_rng(2))
    bias, reference = np.linspace(-1, 1, NEURONS), np.linspace(1, -1, NEURONS)

    def run(x):
        parts = np.empty((2, len(x), NEURONS))
        fixed(fields, weights, x * 3 - 1, -1.0, 2.0, bias, reference, 1.0, *parts)
        return np.concatenate(parts, axis=1)

    assert_same_bits(run, np.random.default_rng(3).random((6, SOURCES)))
