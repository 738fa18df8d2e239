"""Several threads for one kernel call. The caller works too, and waits for nobody who has not begun.

OpenMP's loops end when every thread has come; on a machine with other work that is a scheduler's time slice, 12 ms for a layer of 0.1 ms.
Here a helper that wakes up late finds nothing left to do.
"""

import os
import queue
import threading
from collections.abc import Callable

import numba
from numba.core import config

SERIAL_ELEMENTS = 50_000  # of elementwise work: a second thread takes longer to wake up
CHUNKS_PER_THREAD = 4  # so that one who is held up leaves the rest to the others

_helpers: list[queue.SimpleQueue] = []
os.register_at_fork(after_in_child=_helpers.clear)  # threads do not survive a fork


class _Task:
    """Chunks of one kernel call, handed out one by one."""

    def __init__(self, kernel: Callable, items: int, chunk: int, arguments: tuple):
        self.kernel, self.items, self.chunk, self.arguments = kernel, items, chunk, arguments
        self.starts = iter(range(0, items, chunk))  # of which each `next` is one step for Python's threads
        self.left = threading.Semaphore(0)
        self.errors: list[BaseException] = []

    def work(self) -> int:
        """Do chunks until none is left to begin; returns how many it did."""
        chunks = 0
        for first in self.starts:
            try:
                self.kernel(first, min(first + self.chunk, self.items), *self.arguments)
            except BaseException as error:  # noqa: BLE001 - raised again in the thread that called
                self.errors.append(error)
            chunks += 1
        return chunks


def in_parallel(kernel: Callable, items: int, arguments: tuple, alone: bool = False) -> None:
    """Call kernel(first, past, *arguments) for ranges that make up 0 to `items`, on as many threads as `numba.get_num_threads` says.

    The kernel must release Python's lock, and an item must not depend on another. alone: too little work for a second thread.
    """
    threads = 1 if alone or items < 2 or config.DISABLE_JIT else numba.get_num_threads()
    if threads == 1:
        kernel(0, items, *arguments)
        return
    task = _Task(kernel, items, -(-items // (CHUNKS_PER_THREAD * threads)), arguments)
    while len(_helpers) < threads - 1:
        _helpers.append(queue.SimpleQueue())
        threading.Thread(target=_help, args=(_helpers[-1],), daemon=True, name="ttfs-kernel").start()
    for helper in _helpers[:threads - 1]:
        helper.put(task)
    mine = task.work()
    for _ in range(-(-items // task.chunk) - mine):
        task.left.acquire()
    if task.errors:
        raise task.errors[0]


def _help(tasks: queue.SimpleQueue) -> None:
    while True:
        task = tasks.get()
        for _ in range(task.work()):
            task.left.release()
        del task  # and with it the arrays
