"""A network's kernel calls for batches of one size, recorded once and then made as one call: Python takes longer than a small layer's sums."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..kernels._threads import Call, with_helpers
from ..kernels.call_table import address, run, table
from .batch import Batch

ABSOLUTE, RESULTS, ENTRIES = range(3)  # bases of addresses: none; of what a batch gives; of the first array it is given, then the others
ALIGNMENT = 64  # bytes between the starts of results are multiples of it


class Program:
    """Spike times and readouts' potentials of batches like the recorded one.

    batch: the recorded one. results: the arrays of all its spike times and potentials. calls: those that made them, which `kernels.program`
    knows.
    """

    def __init__(self, batch: Batch, results: Sequence[np.ndarray], calls: Sequence[Call]):
        offsets = np.cumsum([0, *(-(-each.nbytes // ALIGNMENT) * ALIGNMENT for each in results)], dtype=np.int64).tolist()
        ranges = [(address(each), each.nbytes, RESULTS, offset) for each, offset in zip(results, offsets)]
        ranges += [(address(each), each.nbytes, ENTRIES + k, 0) for k, each in enumerate(batch.entries.values())]
        ranges.sort()
        starts = [start for start, *_ in ranges]
        self._size, self._entries, self._kept, self._free = offsets[-1], list(batch.entries), [], []

        def place(array: np.ndarray) -> tuple[int, int]:
            at = address(array)
            start, size, base, offset = ranges[max(bisect_right(starts, at) - 1, 0)]
            if array.size and start <= at < start + size:
                return base, offset + at - start
            self._kept.append(array)
            return ABSOLUTE, at

        self._calls, self._bases = table(calls, place), np.zeros(ENTRIES + len(self._entries), np.int64)
        self._times, self._readouts = (
            {name: (each.shape, each.dtype, place(each)[1], each.strides) for name, each in part.items()} for part in (batch.times, batch.readouts)
        )

    def __call__(self, entries: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], Callable[[], None]]:
        """Spike times and readouts of `entries`, float32 and contiguous, by the names and of the shapes of the recorded batch's; and what to
        call once nobody needs the spike times any more: their memory then serves a later batch, since the system clears what it hands out."""
        memory = self._free.pop() if self._free else np.empty(self._size, np.uint8)
        self._bases[RESULTS:] = address(memory), *(address(entries[name]) for name in self._entries)
        with_helpers(run, self._calls, self._bases)
        times, readouts = (
            {name: np.ndarray(shape, dtype, memory, offset, strides) for name, (shape, dtype, offset, strides) in part.items()}
            for part in (self._times, self._readouts)
        )
        lent = [memory]

        def done() -> None:
            if lent:  # a second word would lend one memory to two batches
                self._free.append(lent.pop())

        return times, {name: values.copy() for name, values in readouts.items()}, done
