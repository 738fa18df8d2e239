"""The first decision against all completions of the spikes that are still to arrive."""

from itertools import product

import numpy as np
import pytest

from ttfs_convert.kernels.certain_winner import certain_winner


def by_completions(times, weights, bias, winner, group, start, steps, latency):
    """The first step at which every completion of one image's spikes has the same winner, `winner`."""
    for t in range(int(start.min()), latency):
        choices = []
        for k, g in zip(times, group):
            passed = t - start[g]
            choices.append([k] if k < passed else list(range(max(0, passed), steps[g] + 1)))
        least = [
            potential[winner] - np.delete(potential, winner).max()
            for completion in product(*choices)
            for potential in [bias + (1 - np.array(completion) / steps[group]) @ weights]
        ]
        if min(least) > 1e-12:
            return t
    return latency


@pytest.mark.parametrize("windows", ([(3, 4)], [(0, 4), (4, 3)], [(2, 5), (0, 3)]))
def test_equals_all_completions(windows):
    start, steps = np.array(windows, np.int64).T
    latency, early = int((start + steps).max()), 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        group = rng.integers(0, len(windows), 4)
        group[: len(windows)] = range(len(windows))
        weights, bias = rng.normal(0, 1, (4, 3)), rng.normal(0, 0.5, 3)
        times = np.minimum(rng.integers(0, 7, (3, 4)), steps[group]).astype(np.uint8)
        winners = (bias + (1 - times / steps[group]) @ weights).argmax(1)
        decided = np.empty(3, np.int64)
        certain_winner(times, weights, bias, winners, group, start, steps, latency, decided)
        for n in range(3):
            assert decided[n] == by_completions(times[n].astype(int), weights, bias, winners[n], group, start, steps, latency), (seed, n)
        early += (decided < latency).sum()
    assert 30 < early < 115


def test_a_winner_by_its_bias_is_certain_before_any_spike_and_a_tie_never():
    weights, group, start, steps = np.zeros((2, 2)), np.zeros(2, np.int64), np.array([5]), np.array([4])
    for bias, expected in (([1.0, 0.0], 5), ([1.0, 1.0], 9)):
        decided = np.empty(1, np.int64)
        certain_winner(np.full((1, 2), 4, np.uint8), weights, np.array(bias), np.zeros(1, np.int64), group, start, steps, 9, decided)
        assert decided[0] == expected
