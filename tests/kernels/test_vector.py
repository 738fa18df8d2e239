import numpy as np
import pytest
from ttfs_convert.kernels.vector import LANES, MAX_VECTORS, accumulate, block_vectors, blocked


@pytest.mark.parametrize("outputs", (*range(1, 140), 255, 256, 257, 1000))
def test_blocks_are_the_fewest_with_the_least_padding(outputs):
    def blocks(vectors):
        return -(-outputs // (LANES * vectors))

    chosen = block_vectors(outputs)
    fitting = [vectors for vectors in range(1, MAX_VECTORS + 1) if blocks(vectors) == blocks(MAX_VECTORS)]
    assert chosen == min(fitting)


@pytest.mark.parametrize("outputs", (1, 8, 10, 24, 64, 65, 130))
@pytest.mark.parametrize("groups", (1, 3))
def test_blocked_keeps_every_weight_once(outputs, groups):
    taps, channels = 4, 5
    weights = np.random.default_rng(outputs).normal(size=(taps, channels, groups * outputs)).astype(np.float32)
    packed = blocked(weights, groups)
    block = packed.shape[4]
    for g in range(groups):
        for o in range(outputs):
            np.testing.assert_array_equal(packed[g, o // block, :, :, o % block], weights[:, :, g * outputs + o])
    assert np.count_nonzero(packed) == np.count_nonzero(weights)
    assert packed.flags.c_contiguous and block % LANES == 0


@pytest.mark.parametrize("vectors", range(1, MAX_VECTORS + 1))
@pytest.mark.parametrize("count", (0, 1, 2, 9))
def test_accumulate_adds_the_first_events_alone(vectors, count):
    rng = np.random.default_rng(10 * vectors + count)
    weights = rng.normal(size=(12, LANES * vectors)).astype(np.float32)
    channel = rng.permutation(12)[:10].astype(np.int32)
    activation = rng.random(10, np.float32)
    channel[count:], activation[count:] = 0, np.nan
    start = rng.normal(size=LANES * vectors).astype(np.float32)
    potential = start.copy()
    accumulate(vectors, potential, weights, channel, activation, count)
    expected = start + activation[:count].astype(np.float64) @ weights[channel[:count]]
    np.testing.assert_allclose(potential, expected, rtol=1e-5, atol=1e-6)


def test_accumulate_touches_its_own_block_alone():
    potential = np.zeros(LANES * 3, np.float32)
    accumulate(2, potential[:LANES * 2], np.ones((1, LANES * 2), np.float32), np.zeros(1, np.int32), np.ones(1, np.float32), 1)
    assert potential.tolist() == [1] * LANES * 2 + [0] * LANES
