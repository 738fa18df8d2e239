import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from ttfs_convert.kernels.events import events

from tests.kernels.cases import activations, assert_same_bits


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.integers(1, 5), st.sampled_from((1, 2, 7, 33)), st.sampled_from((0.0, 0.2, 1.0)), st.integers(0, 2 ** 32 - 1))
def test_events_are_the_channels_that_are_not_silent(pixels, channels, density, seed):
    activation = activations(np.random.default_rng(seed), (2, pixels, 3, channels), density)
    channel, value, count = events(activation, channels)
    rows = activation.reshape(-1, channels)
    assert len(count) == len(rows)
    for r, row in enumerate(rows):
        expected = np.flatnonzero(row)
        np.testing.assert_array_equal(channel[r, :count[r]], expected)
        np.testing.assert_array_equal(value[r, :count[r]], row[expected])


def test_empty_full_and_negative_zero_rows():
    rows = np.array([[0, 0, 0], [1, 1, 1], [0, -0.0, 0.5]], np.float32)
    channel, value, count = events(rows, 3)
    assert count.tolist() == [0, 3, 1]
    assert channel[1, :3].tolist() == [0, 1, 2] and channel[2, 0] == 2 and value[2, 0] == 0.5


def test_groups_make_rows_of_their_own():
    channel, _, count = events(np.array([[[0, 1, 1, 0]]], np.float32), 2)
    assert count.tolist() == [1, 1] and channel[:, 0].tolist() == [1, 0]


def test_no_bit_depends_on_batch_or_threads():
    def run(x):
        channel, value, count = events(x, 6)
        seen = np.arange(7) < count[:, None]
        return np.concatenate([channel * seen, np.where(seen, value, 0), count[:, None]], axis=1)

    assert_same_bits(run, activations(np.random.default_rng(9), (5, 6), 0.5))
