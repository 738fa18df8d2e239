"""Neurons that live step by step, against a loop over every neuron, step and synapse."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels.cases import assert_same_bits
from tests.kernels.receptive import MANY, SMALL, Sizes, random_fields, synapses
from ttfs_convert.kernels.incoming_spikes import VIRTUAL
from ttfs_convert.kernels.neuron_blocks import Window, in_blocks, in_rows
from ttfs_convert.kernels.step_by_step import encode_step_by_step, run_windows

QUICK = settings(derandomize=True, deadline=None, max_examples=40)
LEAD = 0.5 + 1e-4


def live(neuron, spikes, lengths, closing, bias, rise, threshold, lead, steps, charged):
    """One neuron: the step at which it fires, whether that was close, and its potential as its window opens."""
    potential, current = bias + charged, 0.0
    for window, length in enumerate(lengths):
        switched = np.zeros(length + 1)
        for source, weight, its in neuron:
            if its == window:
                switched[length if source == VIRTUAL else min(spikes[source], length)] += weight
        flowing = 0.0
        for k in range(length):
            flowing += switched[k]
            potential += flowing / length
        current += flowing + switched[length]
    opened, slope = potential, rise + (current if closing else 0)
    margin = np.inf
    for k in range(steps):
        over = potential + max(slope, 0) * lead / steps - (threshold[k] if threshold.size else 1)
        margin = min(margin, abs(over))
        if over >= 0:
            return k, margin, opened
        potential += slope / steps
    return steps, margin, opened


def case(rng, sizes, direct, lengths, closing, falls, steps, images=2):
    fields, weights = random_fields(rng, sizes, direct, len(lengths))
    rows = in_rows(weights)
    spikes = rng.integers(0, max(lengths) + 1, (images, sizes.sources)).astype(np.uint16 if max(lengths) > 255 else np.uint8)
    bias, rise = rng.normal(0.5, 0.5, rng.choice([1, sizes.groups * sizes.outputs, sizes.neurons])), rng.normal(0.5, 0.5, sizes.neurons)
    threshold = -np.sort(-rng.normal(0.5, 1, (steps, sizes.groups * sizes.outputs)), axis=0) if falls else np.empty((0, 1))
    rise = rise * 0 if falls else rise
    window = Window(in_blocks(bias, rows), in_blocks(rise, rows), in_blocks(threshold, rows))
    charged = rng.normal(0, 0.2, (images, sizes.neurons if rng.random() < 0.5 else 0))
    arguments = rows, fields, np.cumsum([0, *lengths]), closing and not falls, window, spikes
    return arguments, (synapses(fields, weights), bias, rise, threshold, charged)


@QUICK
@given(
    st.sampled_from(MANY), st.booleans(), st.sampled_from(((7,), (50,), (3, 8))), st.booleans(), st.booleans(), st.sampled_from((0, 1, 9, 60)),
    st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_every_neuron_fires_at_the_step_that_the_loop_says(sizes, direct, lengths, closing, falls, steps, seed):
    """steps 0: readouts. Neurons within float32 rounding of their threshold may fire one step away."""
    arguments, (listed, bias, rise, threshold, charged) = case(
        np.random.default_rng(seed), sizes, direct, lengths, closing, falls and steps > 0, steps
    )
    _, _, _, closing, _, spikes = arguments
    out = np.empty((len(spikes), sizes.neurons), np.uint8 if steps else np.float32)
    run_windows(*arguments, LEAD, steps, charged, out)
    for n, i in np.ndindex(*out.shape):
        column = threshold[:, i % threshold.shape[1]] if threshold.size else threshold
        start = charged[n, i] if charged.shape[1] else 0.0
        step, margin, opened = live(listed[i], spikes[n], lengths, closing, bias[i % bias.size], rise[i], column, LEAD, steps, start)
        if steps == 0:
            assert out[n, i] == pytest.approx(opened, abs=2e-5)
        else:
            assert out[n, i] == step or margin < 2e-5


def test_neurons_fire_in_all_parts_of_the_window_and_never():
    arguments, (*_, charged) = case(np.random.default_rng(0), Sizes(3, 1, 64, 8, 40), True, (50,), True, False, 50, images=8)
    out = np.empty((8, 192), np.uint8)
    run_windows(*arguments, LEAD, 50, charged, out)
    assert min((out == 0).mean(), (out == 50).mean(), ((out > 0) & (out < 50)).mean()) > 0.05


def test_no_bit_depends_on_batch_or_threads():
    for sizes in (SMALL, MANY[1], MANY[3]):
        (*arguments, _), _ = case(np.random.default_rng(1), sizes, True, (50,), True, False, 50)

        def run(x, arguments=arguments, sizes=sizes):
            out = np.empty((len(x), sizes.neurons), np.float32)
            run_windows(*arguments, x, LEAD, 0, np.empty((len(x), 0)), out)
            return out

        assert_same_bits(run, np.random.default_rng(2).integers(0, 51, (6, sizes.sources)).astype(np.uint8))


def test_steps_of_sixteen_bits():
    arguments, (listed, bias, rise, threshold, charged) = case(np.random.default_rng(3), SMALL, True, (300,), True, False, 1000)
    *arguments, spikes = arguments
    out = np.empty((len(spikes), SMALL.neurons), np.uint16)
    run_windows(*arguments, spikes.astype(np.uint16), LEAD, 1000, charged, out)
    for n, i in np.ndindex(*out.shape):
        start = charged[n, i] if charged.shape[1] else 0.0
        step, margin, _ = live(listed[i], spikes[n], (300,), True, bias[i % bias.size], rise[i], threshold, LEAD, 1000, start)
        assert out[n, i] == step or margin < 2e-5


@pytest.mark.parametrize("steps, half", ((1, 0.5), (7, 0.5), (50, 0.0), (300, 0.5)))
def test_encoders_follow_the_rounding_rule(steps, half):
    """ceil(N tau - h - 1e-4) of tau = 1 - a, or N; ties among them."""
    values = np.concatenate([np.random.default_rng(steps).uniform(-0.2, 1.2, 3000), np.arange(2 * steps + 1) / (2 * steps)]).astype(np.float32)
    times = np.empty(values.size, np.uint16)
    encode_step_by_step(values, half + 1e-4, steps, times)
    np.testing.assert_array_equal(times, np.clip(np.ceil(steps * (1 - values.astype(np.float64)) - half - 1e-4), 0, steps))
