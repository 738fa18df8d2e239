"""Fair clocks: engines in turn, in one process, medians of many rounds; and the machine's peak."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ttfs_convert.kernels._llvm import LANES, VECTOR, add_product, integer, loop, splat
from ttfs_convert.kernels._threads import in_parallel, share

SETTLE = 0.1  # seconds: threads of the engine before keep a core busy for up to half of that, waiting for work
CHAINS = 12  # independent sums: a multiply-add takes four cycles, and two can start in each


def seconds(function: Callable[[], object], at_least: float, clock: Callable[[], float] = time.perf_counter) -> float:
    """Mean time of one call, of as many as take `at_least` seconds, behind one that is not counted."""
    time.sleep(SETTLE)
    function()
    calls, start = 0, clock()
    while True:
        function()
        calls += 1
        passed = clock() - start
        if passed >= at_least:
            return passed / calls


def in_turn(
    engines: dict[str, Callable[[], object]], rounds: int, at_least: float, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Median seconds of each engine, over rounds in which each has its turn."""
    taken = {name: [] for name in engines}
    for _ in range(rounds):
        for name, function in engines.items():
            taken[name].append(seconds(function, at_least, clock))
    return {name: statistics.median(times) for name, times in taken.items()}


@intrinsic
def _multiply_adds(typing_context, factor, count):
    signature = types.float32(factor, count)

    def codegen(context, b, sig, args):
        start = [ir.Constant(VECTOR, [float(k)] * LANES) for k in range(CHAINS)]
        spread = splat(b, args[0])
        _, sums = loop(b, integer(0), args[1], 1, start, lambda index, sums: [add_product(b, spread, total, spread) for total in sums])
        total = sums[0]
        for other in sums[1:]:
            total = b.fadd(total, other)
        return b.extract_element(total, ir.Constant(ir.IntType(32), 0))

    return signature, codegen


@numba.njit(nogil=True)
def _peak(first, past, results, count):
    for item in range(first, past):
        results[item] = _multiply_adds(np.float32(0.5), count)


@numba.njit(nogil=True)
def _peak_shared(state, items, chunk, *arguments):
    share(_peak, state, items, chunk, arguments)


def peak_rate(clock: Callable[[], float] = time.perf_counter) -> float:
    """Multiply-adds per second that the machine can do, on as many threads as the kernels use, from registers alone."""
    items, count = 8 * numba.get_num_threads(), 250_000
    fastest = min(seconds(lambda: in_parallel(_peak_shared, items, (np.empty(items, np.float32), count)), 0.05, clock) for _ in range(7))
    return items * count * CHAINS * LANES / fastest
