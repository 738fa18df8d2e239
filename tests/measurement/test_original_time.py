import numpy as np
import pytest

from ttfs_convert.measurement.original_time import FEWEST, MOST, OriginalTime


def timed(seconds, samples=64):
    time = OriginalTime()
    for each in seconds:
        time.add(samples, each)
    return time


@pytest.mark.parametrize("count", range(FEWEST))
def test_few_batches_are_never_enough(count):
    assert not timed([1.0] * count).is_stable


def test_equal_times_are_enough_at_once():
    assert timed([1.0] * FEWEST).is_stable


def test_scattered_times_are_never_stable_but_end():
    scattered = np.random.default_rng(0).uniform(1, 2, MOST)
    assert not timed(scattered[:-1]).is_stable
    assert timed(scattered).is_stable


def test_one_that_was_held_up_does_not_count():
    """The interval of a median lies between sorted times: one that is far off moves neither end."""
    assert timed([1.0] * 9 + [5.0]).is_stable
    assert not timed([1.0, 2.0] * 5).is_stable


def test_all_are_summed_and_some_stand_for_all():
    time = OriginalTime()
    for samples, seconds in ((10, 1.0), (10, 3.0), (5, 1.0)):
        time.add(samples, seconds)
    assert time.timed == 25
    assert time.of(25) == 5.0
    assert time.of(1000) == pytest.approx(1000 * 0.2), "a sample takes 0.1, 0.3 and 0.2 s"
