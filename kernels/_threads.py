"""Several threads for one kernel call. The caller works too, and waits for nobody who has not begun.

OpenMP's loops end when every thread has come; on a machine with other work that takes a scheduler's time slice, many times what a layer
takes. Here a helper that wakes up late finds nothing left to do. Between calls it looks out for the next one for a moment, because
waking up takes longer than many a layer.
"""

import os
import queue
import threading
import time
from collections.abc import Callable

import numba
import numpy as np
from numba.core import config, types
from numba.extending import intrinsic

from ._jit import jit
from ._llvm import data

SERIAL_ELEMENTS = 50_000  # of elementwise work: a second thread takes longer to begin
CHUNKS_PER_THREAD = 4  # so that one who is held up leaves the rest to the others
LOOKS = 500_000  # about half a millisecond

_GROWING = threading.Lock()
_helpers: list["_Helper"] = []
os.register_at_fork(after_in_child=_helpers.clear)  # threads do not survive a fork


@intrinsic
def _now(typing_context, counter):
    """counter[0], read anew each time."""
    signature = types.int64(counter)

    def codegen(context, b, sig, args):
        return b.load_atomic(data(context, b, sig, args, 0), "acquire", 8)

    return signature, codegen


@jit()
def reaches(counter, value, looks):
    """Whether counter[0], an int64 that another thread raises, is at least `value` at one of so many looks."""
    for _ in range(looks):
        if _now(counter) >= value:
            return True
    return False


class _Task:
    """Chunks of one kernel call, handed out one by one."""

    def __init__(self, kernel: Callable, items: int, chunk: int, arguments: tuple):
        self.kernel, self.items, self.chunk, self.arguments = kernel, items, chunk, arguments
        self.starts = iter(range(0, items, chunk))  # of which each `next` is one step for Python's threads
        self.lock, self.helped = threading.Lock(), np.zeros(1, np.int64)  # chunks that helpers have done
        self.errors: list[BaseException] = []

    def work(self, helper: bool) -> int:
        """Do chunks until none is left to begin; returns how many it did."""
        chunks = 0
        for first in self.starts:
            try:
                self.kernel(first, min(first + self.chunk, self.items), *self.arguments)
            except BaseException as error:  # noqa: BLE001 - raised again in the thread that called
                self.errors.append(error)
            chunks += 1
            if helper:
                with self.lock:
                    self.helped[0] += 1
        return chunks


class _Helper:
    def __init__(self):
        self.tasks, self.given = queue.SimpleQueue(), np.zeros(1, np.int64)
        threading.Thread(target=self._help, daemon=True, name="ttfs-kernel").start()

    def give(self, task: _Task) -> None:
        self.tasks.put(task)
        self.given[0] += 1

    def _help(self) -> None:
        taken = 0
        while True:
            reaches(self.given, taken + 1, LOOKS)
            task = self.tasks.get()
            taken += 1
            task.work(helper=True)
            del task  # and with it the arrays


def in_parallel(kernel: Callable, items: int, arguments: tuple, alone: bool = False) -> None:
    """Call kernel(first, past, *arguments) for ranges that make up 0 to `items`, on as many threads as `numba.get_num_threads` says.

    The kernel must release Python's lock, and an item must not depend on another. alone: too little work for a second thread.
    """
    threads = 1 if alone or items < 2 or config.DISABLE_JIT else numba.get_num_threads()
    if threads == 1:
        kernel(0, items, *arguments)
        return
    task = _Task(kernel, items, -(-items // (CHUNKS_PER_THREAD * threads)), arguments)
    with _GROWING:
        while len(_helpers) < threads - 1:
            _helpers.append(_Helper())
    for helper in _helpers[:threads - 1]:
        helper.give(task)
    chunks = -(-items // task.chunk)
    others = chunks - task.work(helper=False)
    while not reaches(task.helped, others, LOOKS):
        time.sleep(1e-4)
    if task.errors:
        raise task.errors[0]
