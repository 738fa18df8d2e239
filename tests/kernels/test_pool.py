import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import naive
from tests.kernels.cases import Geometry, activations, assert_same_bits, geometries
from ttfs_convert.kernels.pool import average_pool, average_pool_decoded, average_pool_steps, max_pool

QUICK = settings(derandomize=True, deadline=None, max_examples=40)
SEEDS = st.integers(0, 2**32 - 1)
DTYPES = {50: np.uint8, 255: np.uint8, 256: np.uint16, 65535: np.uint16, None: np.float32}
OVERLAPPING = Geometry((5, 4), (3, 2), (2, 1), (1, 2), (1, 1), (1, 0))


def counts_of(geometry, include_pad):
    return naive.window_size(geometry.size, *geometry.arguments, geometry.pads_end, geometry.out, include_pad)


def filled(geometry):
    """Whether every window has a tap inside the image, without which an average that leaves padding out does not exist."""
    return (counts_of(geometry, False) > 0).all()


def random_times(rng, shape, steps):
    return rng.random(shape).astype(np.float32) if steps is None else rng.integers(0, steps + 1, shape).astype(DTYPES[steps])


@QUICK
@given(geometries(pool=True).filter(filled), st.booleans(), st.sampled_from((0.0, 0.5, 1.0)), SEEDS)
def test_average_equals_the_mean(geometry, include_pad, density, seed):
    activation = activations(np.random.default_rng(seed), (2, *geometry.size, 3), density)
    counts = counts_of(geometry, include_pad)
    potential = np.full((2, *geometry.out, 3), 0.25, np.float32)
    average_pool(activation, counts.astype(np.float32), *geometry.arguments, potential)
    np.testing.assert_allclose(potential, 0.25 + naive.average_pool(activation, counts, *geometry.arguments), rtol=1e-5, atol=1e-6)


@QUICK
@given(geometries(pool=True).filter(filled), st.booleans(), st.sampled_from((50, 255, 65535)), SEEDS)
def test_average_of_steps_is_that_of_their_activations(geometry, include_pad, steps, seed):
    times = random_times(np.random.default_rng(seed), (2, *geometry.size, 11), steps)  # eight channels at a time, and the others
    counts = counts_of(geometry, include_pad)
    out = np.full((2, *geometry.out, 11), np.nan, np.float32)
    average_pool_decoded(times, steps, counts.astype(np.float32), *geometry.arguments, out)
    np.testing.assert_allclose(out, naive.average_pool(1 - times / steps, counts, *geometry.arguments), rtol=1e-5, atol=1e-6)


@QUICK
@given(geometries(pool=True).filter(filled), st.booleans(), st.sampled_from((1, 4, 50, 255, 256, 65535)), st.sampled_from((0.0, 0.5)), SEEDS)
def test_average_steps_equal_exact_arithmetic(geometry, include_pad, steps, half, seed):
    times = random_times(np.random.default_rng(seed), (2, *geometry.size, 2), steps if steps in DTYPES else 50).clip(0, steps)
    counts = counts_of(geometry, include_pad)
    out = np.empty((2, *geometry.out, 2), times.dtype)
    average_pool_steps(times, steps, counts.astype(np.float32), *geometry.arguments, steps, half, out)
    np.testing.assert_array_equal(out, naive.average_pool_steps(times, counts, *geometry.arguments, steps, half))


@pytest.mark.parametrize("half, expected", ((0.5, (0, 1, 2)), (0.0, (1, 2, 3))))
def test_average_steps_that_fall_on_ties_fire_earlier(half, expected):
    pairs = np.array([[0, 1], [1, 2], [2, 3]], np.uint8)  # averages 0.5, 1.5, 2.5 steps
    out = np.empty((3, 1, 1, 1), np.uint8)
    average_pool_steps(pairs[:, None, :, None], 50, np.full((1, 1), 2, np.float32), (1, 2), (1, 1), (1, 1), (0, 0), 50, half, out)
    assert tuple(out.ravel()) == expected


@QUICK
@given(geometries(pool=True), st.sampled_from(tuple(DTYPES)), SEEDS)
def test_max_pool_is_the_earliest_spike(geometry, steps, seed):
    times = random_times(np.random.default_rng(seed), (2, *geometry.size, 3), steps)
    silent = times.dtype.type(steps or 1)
    out = np.empty((2, *geometry.out, 3), times.dtype)
    max_pool(times, silent, *geometry.arguments, out)
    np.testing.assert_array_equal(out, naive.max_pool(times, silent, *geometry.arguments, geometry.out))


def test_max_pool_of_padding_alone_is_silent():
    out = np.empty((1, 1, 2, 1), np.uint8)
    max_pool(np.full((1, 1, 2, 1), 7, np.uint8), np.uint8(50), (1, 1), (1, 3), (1, 1), (0, 1), out)
    assert out.ravel().tolist() == [50, 50]


def run_average(x):
    potential = np.zeros((len(x), *OVERLAPPING.out, 3), np.float32)
    average_pool(x, counts_of(OVERLAPPING, True).astype(np.float32), *OVERLAPPING.arguments, potential)
    return potential


def run_average_steps(x):
    out = np.empty((len(x), *OVERLAPPING.out, 3), np.uint8)
    counts = counts_of(OVERLAPPING, True).astype(np.float32)
    average_pool_steps(np.round(x * 50).astype(np.uint8), 50, counts, *OVERLAPPING.arguments, 50, 0.5, out)
    return out


def run_max(x):
    out = np.empty((len(x), *OVERLAPPING.out, 3), np.float32)
    max_pool(x, np.float32(1), *OVERLAPPING.arguments, out)
    return out


@pytest.mark.parametrize("run", (run_average, run_average_steps, run_max))
def test_no_bit_depends_on_batch_or_threads(run):
    assert_same_bits(run, activations(np.random.default_rng(7), (5, *OVERLAPPING.size, 3), 0.8))
