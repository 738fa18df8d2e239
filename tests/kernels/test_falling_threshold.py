import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import naive
from tests.kernels.cases import assert_same_bits
from ttfs_convert.kernels.falling_threshold import falling_threshold, fire_under

QUICK = settings(derandomize=True, deadline=None, max_examples=40)
STEPS = st.sampled_from((1, 2, 3, 7, 50, 255, 1000))


def fired(potential, thresholds):
    times = np.full(potential.shape, 77, np.uint8 if thresholds.shape[1] <= 255 else np.uint16)
    fire_under(potential, falling_threshold(thresholds), times)
    return times


def falling(rng, channels, steps):
    """Thresholds that fall, with stretches that are flat, from infinity and to minus infinity in some channels."""
    table = -np.sort(-rng.normal(0, 1, (channels, steps)).astype(np.float32).astype(np.float64), axis=1)
    table[:, steps // 2 : steps // 2 + 3] = table[:, steps // 2 : steps // 2 + 1]
    table[::2, : steps // 5] = np.inf
    table[::3, steps - steps // 4 :] = -np.inf
    return table


@QUICK
@given(STEPS, st.sampled_from((1, 2, 6)), st.integers(0, 2**32 - 1))
def test_fire_under_equals_its_twin(steps, channels, seed):
    """Half of the potentials are thresholds themselves: ties fire."""
    rng = np.random.default_rng(seed)
    table = falling(rng, channels, steps)
    potential = rng.normal(0, 1.5, (4, 6)).astype(np.float32)
    chosen = np.array([[table[i % channels, rng.integers(steps)] for i in range(6)] for _ in range(4)], np.float32)
    potential = np.where(rng.random((4, 6)) < 0.5, chosen, potential)
    potential[0, :3] = [np.inf, -np.inf, 0]
    np.testing.assert_array_equal(fired(potential, table), naive.fire_under(potential, table))


@pytest.mark.parametrize("steps", (1, 2, 50, 255, 1000))
def test_every_step_is_found(steps):
    """At each threshold, a little above it and a little below."""
    table = np.linspace(2, -1, steps)[None] + 1e-4
    table = table.astype(np.float32).astype(np.float64)
    at = table[0].astype(np.float32)
    for potential, expected in (
        (at, np.arange(steps)),
        (np.nextafter(at, np.float32(9)), np.arange(steps)),
        (np.nextafter(at, np.float32(-9)), np.arange(steps) + 1),
    ):
        np.testing.assert_array_equal(fired(potential[None], table)[0], expected)


@pytest.mark.parametrize(
    "table, expected",
    (
        ([[1, 1, 1]], (3, 0, 0, 3, 0)),
        ([[1, 0, 0]], (1, 0, 0, 3, 0)),
        ([[np.inf, np.inf, 0.5]], (3, 2, 2, 3, 0)),
        ([[np.inf, np.inf, np.inf]], (3, 3, 3, 3, 0)),
        ([[-np.inf, -np.inf, -np.inf]], (0, 0, 0, 0, 0)),
        ([[2, -np.inf, -np.inf]], (1, 1, 0, 1, 0)),
        ([[0.5]], (1, 0, 0, 1, 0)),
        ([[1 + 2.0**-40, 1, 0]], (2, 1, 0, 3, 0)),
    ),
)
def test_by_hand(table, expected):
    potential = np.array([[0.25, 1, 3, -np.inf, np.inf]], np.float32)
    assert fired(potential, np.array(table, np.float64))[0].tolist() == list(expected)


def test_each_channel_has_thresholds_of_its_own():
    potential = np.tile(np.array([0.5, 0.5, 0.5], np.float32), (2, 4))
    table = np.array([[0.5, 0.4], [0.6, 0.5], [0.9, 0.8]])
    assert fired(potential, table).tolist() == [[0, 1, 2] * 4] * 2


def test_no_bit_depends_on_batch_or_threads():
    rng = np.random.default_rng(8)
    table = falling(rng, 3, 50)
    assert_same_bits(lambda x: fired(x, table), rng.normal(0, 1, (7, 6)).astype(np.float32))


def test_large_batches_are_shared_between_threads():
    rng = np.random.default_rng(9)
    table, potential = falling(rng, 3, 50), rng.normal(0, 1, (40, 6000)).astype(np.float32)
    found = fired(potential, table)
    for row in (0, 17, 39):
        np.testing.assert_array_equal(found[row : row + 1, :60], naive.fire_under(potential[row : row + 1, :60], table))
    np.testing.assert_array_equal(found, np.concatenate([fired(potential[k : k + 1], table) for k in range(40)]))
