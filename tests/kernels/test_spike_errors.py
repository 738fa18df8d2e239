import numpy as np
import pytest

from tests.kernels.cases import with_threads
from ttfs_convert.kernels.spike_errors import compare


def expected(times, steps, silent_from, reference, channels_first, lo, width, margin):
    """By the definitions, in whole arrays; reference as neurons are ordered."""
    if times.dtype.kind == "f":
        ours, active, sent = np.nan_to_num(np.float32(1) - times, nan=0), times < silent_from, ~np.isnan(times)
    else:
        ours, active, sent = (1 - times / steps).astype(np.float32), times != steps, np.ones(times.shape, bool)
    images, positions, channels = times.shape
    values = reference.reshape(images, channels, positions).swapaxes(1, 2) if channels_first else reference.reshape(times.shape)
    theirs = (values - lo) / width
    error = np.abs(theirs - ours)
    errors = error.max(), error.sum(dtype=np.float64), theirs.min(), theirs.max(), int(((theirs > 1 + margin) | (theirs < -margin)).sum())
    return errors, active.sum(axis=0), sent.sum(axis=0), error.sum(axis=(1, 2), dtype=np.float64)


@pytest.mark.parametrize("threads", (1, 2))
@pytest.mark.parametrize("shape", ((5, 1, 9), (3, 12, 7), (40, 30, 20)))
@pytest.mark.parametrize("kind", (np.uint8, np.uint16, np.float32))
@pytest.mark.parametrize("channels_first", (False, True))
def test_equals_the_definitions(kind, shape, channels_first, threads):
    rng = np.random.default_rng(shape[2])
    steps = 0 if kind == np.float32 else 50
    times = rng.integers(0, 51, shape).astype(kind)
    if kind == np.float32:
        times = np.where(rng.random(shape) < 0.1, np.nan, times / 50).astype(kind)
    reference = rng.normal(0.5, 0.5, (shape[0], shape[1] * shape[2])).astype(np.float32)
    lo, width = rng.normal(size=shape[1:]).astype(np.float32), rng.uniform(0.5, 2, shape[1:]).astype(np.float32)
    active, sent = np.ones(shape[1:], np.int64), np.zeros(shape[1:], np.int64)
    totals = np.ones(shape[0])
    found = with_threads(threads, lambda: compare(times, steps, 0.9, reference, channels_first, (lo, width), 0.25, active, sent, totals))
    errors, their_active, their_sent, their_totals = expected(times, steps, np.float32(0.9), reference, channels_first, lo, width, np.float32(0.25))
    np.testing.assert_allclose(found, errors, rtol=1e-6)
    np.testing.assert_array_equal(active, 1 + their_active)
    np.testing.assert_array_equal(sent, their_sent)
    np.testing.assert_allclose(totals, 1 + their_totals, rtol=1e-6)


def test_without_a_reference_only_spikes_are_counted():
    active, sent = np.zeros((2, 3), np.int64), np.zeros((2, 3), np.int64)
    times = np.array([[[0, 50, 3], [50, 50, 49]]], np.uint8)
    lo, width, totals = np.zeros((2, 3), np.float32), np.ones((2, 3), np.float32), np.zeros(1)
    found = compare(times, 50, 1, np.empty((0, 0), np.float32), False, (lo, width), 0, active, sent, totals)
    assert found == (0, 0, np.inf, -np.inf, 0)
    np.testing.assert_array_equal(active, [[1, 0, 1], [0, 0, 1]])
    np.testing.assert_array_equal(sent, 1)
    assert totals == 0


def test_a_value_that_is_no_number_is_the_largest_error():
    reference = np.array([[0.5, np.nan, 0.25]], np.float32)
    counts = np.zeros((1, 3), np.int64), np.zeros((1, 3), np.int64), np.zeros(1)
    found = compare(np.zeros((1, 1, 3), np.uint8), 50, 1, reference, False, None, 0, *counts)
    assert np.isnan(found.largest)
