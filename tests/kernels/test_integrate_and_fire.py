import numpy as np

from ttfs_convert.kernels.integrate_and_fire import integrate_and_fire


def test_a_step_equals_its_twin():
    rng = np.random.default_rng(0)
    potential, charge = rng.normal(0.4, 0.6, (3, 7)).astype(np.float32), rng.normal(0.2, 0.3, (3, 7)).astype(np.float32)
    threshold = rng.uniform(0.3, 1.2, 7).astype(np.float32)
    spikes, counts = rng.random((3, 7)).astype(np.float32), rng.integers(0, 4, (3, 7)).astype(np.int32)
    reached = potential + charge
    fires = reached >= threshold
    expected = np.where(fires, reached - threshold, reached), np.where(fires, threshold, 0), counts + fires
    assert fires.any() and not fires.all()
    integrate_and_fire(potential, charge, threshold, spikes, counts)
    for found, wanted in zip((potential, spikes, counts), expected):
        np.testing.assert_array_equal(found, wanted)


def test_what_is_above_the_threshold_is_kept_for_the_next_step():
    potential, counts, spikes = np.full((1, 1), 2.5, np.float32), np.zeros((1, 1), np.int32), np.zeros((1, 1), np.float32)
    for left, spike in ((1.5, 1), (0.5, 1), (0.5, 0)):
        integrate_and_fire(potential, np.zeros((1, 1), np.float32), np.ones(1, np.float32), spikes, counts)
        assert (potential[0, 0], spikes[0, 0]) == (left, spike)
    assert counts.tolist() == [[2]]
