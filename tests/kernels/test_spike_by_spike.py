"""Neurons in continuous time, spike by spike, against sums over all synapses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels.cases import assert_same_bits
from tests.kernels.receptive import MANY, SMALL, arriving, random_fields, synapses
from ttfs_convert.kernels.neuron_blocks import Window, in_blocks, in_rows
from ttfs_convert.kernels.spike_by_spike import run_spikes

QUICK = settings(derandomize=True, deadline=None, max_examples=40)
NONE = np.empty((0, 1))


def spikes(rng, kind, shape):
    """Anywhere, a third of them silent; all within a moment, so that they crowd one part of the window; or at few moments."""
    times = {"any": rng.uniform(-0.2, 1.3, shape), "crowded": 0.5 + rng.uniform(0, 1e-5, shape), "few": rng.integers(0, 5, shape) / 4}[kind]
    return np.clip(times, 0, 1)


@QUICK
@given(st.sampled_from(MANY), st.booleans(), st.booleans(), st.sampled_from(("any", "crowded", "few")), st.integers(0, 2**32 - 1))
def test_potentials_and_spike_times_are_those_of_the_sums(sizes, direct, closing, kind, seed):
    rng = np.random.default_rng(seed)
    fields, weights = random_fields(rng, sizes, direct)
    rows, listed = in_rows(weights), synapses(fields, weights)
    bias, rise = rng.normal(0, 0.5, rng.choice([1, sizes.groups * sizes.outputs, sizes.neurons])), rng.normal(0.5, 0.5, sizes.neurons)
    window = Window(in_blocks(bias, rows), in_blocks(rise, rows), in_blocks(NONE, rows))
    arrivals = spikes(rng, kind, (2, sizes.sources))
    charged = rng.normal(0, 0.2, (2, sizes.neurons if rng.random() < 0.5 else 0))
    potential, fired = np.empty((2, sizes.neurons)), np.empty((2, sizes.neurons))
    run_spikes(rows, fields, closing, window, arrivals, False, charged, potential)
    run_spikes(rows, fields, closing, window, arrivals, True, charged, fired)
    for n, i in np.ndindex(*fired.shape):
        come = arriving(listed[i], arrivals[n])
        expected = bias[i % bias.size] + (charged[n, i] if charged.shape[1] else 0) + sum(weight * (1 - time) for time, weight in come)
        assert potential[n, i] == pytest.approx(expected, abs=1e-12)
        slope = rise[i] + (sum(weight for _, weight in come) if closing else 0)
        crossing = 0.0 if potential[n, i] >= 1 else min((1 - potential[n, i]) / slope, 1) if slope > 0 else 1.0
        assert fired[n, i] == pytest.approx(crossing, abs=2e-6 / max(abs(slope), 1e-3))


def test_a_position_that_nothing_reaches():
    fields, weights = random_fields(np.random.default_rng(0))
    fields = fields._replace(first=np.zeros(3, np.int64))
    rows, out = in_rows(weights), np.full((2, 8), 9.0)
    window = Window(in_blocks(np.array([0.5]), rows), in_blocks(np.array([2.0]), rows), in_blocks(NONE, rows))
    run_spikes(rows, fields, True, window, np.full((2, 5), 0.5), True, np.empty((2, 0)), out)
    np.testing.assert_array_equal(out, np.full((2, 8), 0.25))


def test_no_bit_depends_on_batch_or_threads():
    for sizes in (SMALL, MANY[1], MANY[3]):
        fields, weights = random_fields(np.random.default_rng(2), sizes, direct=True)
        rows = in_rows(weights)
        window = Window(in_blocks(np.array([0.1]), rows), in_blocks(np.array([1.0]), rows), in_blocks(NONE, rows))

        def run(x, arguments=(rows, fields, True, window), sizes=sizes):
            out = np.empty((len(x), sizes.neurons))
            run_spikes(*arguments, x, True, np.empty((len(x), 0)), out)
            return out

        assert_same_bits(run, np.random.default_rng(3).random((6, sizes.sources)))
