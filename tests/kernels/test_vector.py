import numpy as np
import pytest

from ttfs_convert.kernels._jit import jit
from ttfs_convert.kernels.vector import LANES, MAX_VECTORS, PIXELS, accumulate, accumulate_long, aligned, multiply


@jit()
def accumulated(vectors, potential, at, weights, tile, row, value, first, past):
    accumulate(vectors, potential, at, weights, tile, row, value, first, past)


@jit()
def accumulated_long(vectors, potential, at, weights, tile, row, value, first, past):
    accumulate_long(LANES * vectors, potential, at, weights, tile, row, value, first, past)


@jit()
def multiplied(vectors, potential, at, block, weights, tile, inputs, offset, starts, pixel, count, rows, down):
    multiply(vectors, potential, at, block, weights, tile, inputs, offset, starts, pixel, count, rows, down)


@pytest.mark.parametrize(
    "run, vectors", (*((accumulated, vectors) for vectors in range(1, MAX_VECTORS + 1)), (accumulated_long, 1), (accumulated_long, 11))
)
@pytest.mark.parametrize("first, past", ((0, 0), (1, 2), (2, 4), (1, 10), (3, 2)))
def test_accumulate_adds_its_events_alone(run, vectors, first, past):
    rng, block = np.random.default_rng(10 * vectors + past), LANES * vectors
    weights = rng.normal(size=(13, block)).astype(np.float32)
    row, value = rng.integers(1, 13, 12).astype(np.int32), rng.random(12, np.float32)
    value[:first], value[past:] = np.nan, np.nan
    start = rng.normal(size=3 * block).astype(np.float32)
    potential = start.copy()
    run(vectors, potential, block, weights.ravel(), -block, row, value, first, past)
    expected = start.astype(np.float64)
    expected[block : 2 * block] += value[first:past].astype(np.float64) @ weights[row[first:past] - 1]
    np.testing.assert_allclose(potential, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("vectors", PIXELS)
@pytest.mark.parametrize("count, rows", ((0, 1), (1, 1), (5, 1), (2, 3), (1, 0)))
def test_multiply_reads_each_pixel_where_it_starts(vectors, count, rows):
    rng, pixels, lanes, down = np.random.default_rng(count), PIXELS[vectors], LANES * vectors, 6
    block = lanes + LANES
    weights, inputs = rng.normal(size=(9, block)).astype(np.float32), rng.random(70, np.float32)
    starts = rng.integers(0, 40, pixels + 1)
    potential = np.zeros((pixels + 1, block), np.float32)
    multiplied(vectors, potential.ravel(), block, block, weights.ravel(), 2 * block, inputs, 7, starts, 1, count, rows, down)
    expected = np.zeros_like(potential)
    for p in range(pixels):
        for r in range(rows):
            expected[1 + p, :lanes] += inputs[7 + starts[1 + p] + r * down :][:count] @ weights[2 + r * count :, :lanes][:count]
    np.testing.assert_allclose(potential, expected, rtol=1e-5, atol=1e-6)


def test_aligned_arrays_start_a_cache_line():
    assert all(aligned(count).ctypes.data % 64 == 0 and len(aligned(count)) == count for count in (1, 7, 1000))
