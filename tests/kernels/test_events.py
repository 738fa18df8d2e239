import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels.cases import activations
from ttfs_convert.kernels._jit import jit
from ttfs_convert.kernels.events import compress, decode

QUICK = settings(derandomize=True, deadline=None, max_examples=40)
COUNTS = st.sampled_from((0, 1, 7, 8, 9, 24, 33))


@jit()
def compressed(inputs, at, count, steps, place, row, value, event):
    return compress(inputs, at, count, steps, place, row, value, event)


@jit()
def decoded(inputs, at, count, steps, value, to):
    decode(inputs, at, count, steps, value, to)


def events(inputs, at, count, steps):
    """Those appended to three others, and these three."""
    row, value = np.full(count + 20, -1, np.int32), np.full(count + 20, -1, np.float32)
    past = compressed(inputs, at, count, steps, 100, row, value, 3)
    assert (row[:3] == -1).all() and (value[:3] == -1).all() and (row[past + 8 :] == -1).all()
    return row[3:past], value[3:past]


@QUICK
@given(COUNTS, st.sampled_from((0, 5)), st.sampled_from((0.0, 0.2, 1.0)), st.integers(0, 2**32 - 1))
def test_events_are_the_activations_that_are_not_silent(count, at, density, seed):
    inputs = activations(np.random.default_rng(seed), (at + count + 3,), density)
    row, value = events(inputs, at, count, 0)
    expected = np.flatnonzero(inputs[at : at + count])
    np.testing.assert_array_equal(row, 100 + expected)
    np.testing.assert_array_equal(value, inputs[at + expected])


@QUICK
@given(COUNTS, st.sampled_from((1, 50, 255)), st.integers(0, 2**32 - 1))
def test_steps_decode_to_correctly_rounded_activations(count, steps, seed):
    rng = np.random.default_rng(seed)
    inputs = np.where(rng.random(count + 2) < 0.5, steps, rng.integers(0, steps + 1, count + 2)).astype(np.uint8)
    row, value = events(inputs, 1, count, steps)
    activation = (1 - inputs[1 : 1 + count] / steps).astype(np.float32)
    np.testing.assert_array_equal(row, 100 + np.flatnonzero(activation))
    np.testing.assert_array_equal(value, activation[activation != 0])
    everything = np.full(count + 3, -1, np.float32)
    decoded(inputs, 1, count, steps, everything, 2)
    np.testing.assert_array_equal(everything, [-1, -1, *activation, -1])


@pytest.mark.parametrize("lanes", (3, 8))
def test_negative_zero_is_silent(lanes):
    inputs = np.zeros(lanes, np.float32)
    inputs[-2:] = -0.0, 0.5
    row, value = events(inputs, 0, lanes, 0)
    assert row.tolist() == [100 + lanes - 1] and value.tolist() == [0.5]
