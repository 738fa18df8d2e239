import numpy as np
import pytest

from tests.kernels.cases import assert_same_bits
from ttfs_convert.kernels.decoding import BLOCK, NOTHING, ONE, add_decoded, decode_into, repeated, start_with

KINDS = pytest.mark.parametrize("steps", (1, 50, 255, 1000, None))


def times_of(steps: int | None, shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(3)
    if steps is None:
        return rng.random(shape, np.float32)
    return rng.integers(0, steps + 1, shape).astype(np.uint8 if steps < 256 else np.uint16)


def activations(times: np.ndarray, steps: int | None) -> np.ndarray:
    return np.float32(1) - times if steps is None else (1 - times / steps).astype(np.float32)


@KINDS
def test_activations_are_those_that_times_stand_for(steps):
    times = times_of(steps, (2, 7, 5))
    found = np.full(times.shape, np.nan, np.float32)
    decode_into(times, steps, found)
    np.testing.assert_array_equal(found, activations(times, steps))


def test_missing_spikes_stand_for_nothing():
    found = np.full(3, 7, np.float32)
    decode_into(np.array([np.nan, 0, 1], np.float32), None, found)
    np.testing.assert_array_equal(found, [0, 1, 0])


@KINDS
@pytest.mark.parametrize("period, of_start", ((1, 1), (6, 1), (1, 6), (6, 6), (6, 30), (2100, 6), (6, 2100)))
def test_single_synapses_add_weighted_activations(steps, period, of_start):
    """Weights and starts repeat with periods of their own, over more than a block."""
    rng, times = np.random.default_rng(0), times_of(steps, (4, 2100))
    weights, start = rng.normal(size=period).astype(np.float32), rng.normal(size=of_start).astype(np.float32)
    each = np.tile(weights, times.size // period).reshape(times.shape) * activations(times, steps)
    potential = np.full(times.shape, np.nan, np.float32)
    start_with(repeated(start), times, steps, repeated(weights), potential)
    np.testing.assert_array_equal(potential, np.tile(start, times.size // of_start).reshape(times.shape) + each)
    add_decoded(times, steps, repeated(weights), potential)
    np.testing.assert_allclose(potential, np.tile(start, times.size // of_start).reshape(times.shape) + 2 * each, rtol=0, atol=1e-6)


def test_no_bit_depends_on_batch_or_threads():
    def run(x):
        potential = np.empty_like(x)
        start_with(NOTHING, x, None, ONE, potential)
        add_decoded(x, None, repeated(np.arange(6, dtype=np.float32)), potential)
        return potential

    assert_same_bits(run, np.random.default_rng(0).random((7, BLOCK // 4 * 6), np.float32))
