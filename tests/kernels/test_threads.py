import threading

import numpy as np
import pytest

from tests.kernels.cases import with_threads
from ttfs_convert.kernels._jit import jit
from ttfs_convert.kernels._threads import in_parallel


@jit()
def count(first, past, counts):
    for item in range(first, past):
        counts[item] += 1


@pytest.mark.parametrize("items", (0, 1, 2, 7, 1000))
@pytest.mark.parametrize("threads", (1, 2))
def test_every_item_is_done_once(items, threads):
    counts = np.zeros(items + 3, np.int64)
    with_threads(threads, lambda: in_parallel(count, items, (counts,)))
    assert (counts[:items] == 1).all() and (counts[items:] == 0).all()


def test_calls_from_several_threads_do_not_mix():
    arrays = [np.zeros(500, np.int64) for _ in range(4)]

    def call(counts):
        for _ in range(50):
            in_parallel(count, 500, (counts,))

    callers = [threading.Thread(target=call, args=(counts,)) for counts in arrays]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert all((counts == 50).all() for counts in arrays)


@pytest.mark.parametrize("threads", (1, 2))
def test_an_error_reaches_the_caller_and_leaves_the_helpers_at_work(threads):
    def fail(first, past, where):
        if first <= where < past:
            raise ValueError("here")

    with pytest.raises(ValueError, match="here"):
        with_threads(threads, lambda: in_parallel(fail, 100, (50,)))
    test_every_item_is_done_once(100, threads)
