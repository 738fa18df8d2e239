import threading

import numpy as np
import pytest
from numba.core import config

from tests.kernels.cases import with_threads
from ttfs_convert.kernels import _threads
from ttfs_convert.kernels._jit import jit
from ttfs_convert.kernels._threads import in_parallel, share


@jit()
def count(first, past, counts):
    for item in range(first, past):
        counts[item] += 1


@jit()
def count_shared(state, items, chunk, *arguments):
    share(count, state, items, chunk, arguments)


@pytest.mark.parametrize("items", (0, 1, 2, 7, 1000))
@pytest.mark.parametrize("threads", (1, 2))
def test_every_item_is_done_once(items, threads):
    counts = np.zeros(items + 3, np.int64)
    with_threads(threads, lambda: in_parallel(count_shared, items, (counts,)))
    assert (counts[:items] == 1).all() and (counts[items:] == 0).all()


def test_calls_from_several_threads_do_not_mix():
    arrays = [np.zeros(500, np.int64) for _ in range(4)]

    def call(counts):
        for _ in range(50):
            in_parallel(count_shared, 500, (counts,))

    callers = [threading.Thread(target=call, args=(counts,)) for counts in arrays]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert all((counts == 50).all() for counts in arrays)


@jit()
def count_slowly(first, past, counts, sums):
    for item in range(first, past):
        counts[item] += 1
        for _ in range(10_000):  # some 20 us
            sums[item] = np.sqrt(sums[item] + 1)


@jit()
def count_slowly_shared(state, items, chunk, *arguments):
    share(count_slowly, state, items, chunk, arguments)


@pytest.mark.skipif(config.DISABLE_JIT or config.NUMBA_NUM_THREADS < 2, reason="no helper")
def test_seats_may_change_during_a_call():
    """As they do when another thread, which may use fewer, asks for helpers."""
    done = threading.Event()

    def change():
        while not done.is_set():
            for seats in (0, 1):
                _threads._team.state[_threads.SEATS] = seats

    other = threading.Thread(target=change)
    counts, sums = np.zeros(100, np.int64), np.zeros(100)
    other.start()
    with_threads(2, lambda: [in_parallel(count_slowly_shared, 100, (counts, sums)) for _ in range(100)])
    done.set()
    other.join()
    assert (counts == 100).all()


@jit()
def fail(first, past, where, counts):
    for item in range(first, past):
        if item == where:
            raise ValueError("here")
        counts[item] += 1


@jit()
def fail_shared(state, items, chunk, *arguments):
    share(fail, state, items, chunk, arguments)


@pytest.mark.skipif(config.DISABLE_JIT, reason="no threads without compilation")
@pytest.mark.parametrize("where", (0, 50, 99))
def test_an_error_reaches_the_caller_and_leaves_the_helpers_at_work(where):
    with pytest.raises(RuntimeError, match="failed in one of its threads"):
        with_threads(2, lambda: in_parallel(fail_shared, 100, (where, np.zeros(100, np.int64))))
    with pytest.raises(ValueError, match="here"):
        with_threads(1, lambda: in_parallel(fail_shared, 100, (where, np.zeros(100, np.int64))))
    test_every_item_is_done_once(100, 2)
