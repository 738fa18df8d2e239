"""When a neuron fires whose potential stays and whose threshold falls as the inverse of a function f: where f(V0) is due, in closed form."""

from typing import NamedTuple

import numpy as np

from ._jit import jit
from ._llvm import LANES
from ._threads import SERIAL_ELEMENTS, in_parallel, share
from .function_values import Function, evaluate
from .rounding import TIE

BLOCK = 512  # numbers that are worked on at a time, in the first-level cache


class Course(NamedTuple):
    """How a layer's spike times follow from f = factor (g - offset): tau = begin - rise g, along a block of its neurons: channels repeated up to
    BLOCK, or all of them where there are more. Both (block,) float64.

        begin = (hi + factor offset) / (hi - lo),   rise = factor / (hi - lo)
    """

    begin: np.ndarray
    rise: np.ndarray


def course(function: Function, low: np.ndarray, high: np.ndarray) -> Course:
    """Of ranges (channels,) of the values of f, lo < hi."""
    ends = np.stack([low, high]).astype(np.float64)
    lo, hi = ends[:, :1] if (ends == ends[:, :1]).all() else ends
    repeated = np.tile(np.stack([hi + function.factor * function.offset, np.full_like(hi, function.factor)]) / (hi - lo), max(BLOCK // lo.size, 1))
    return Course(*np.ascontiguousarray(repeated))


def fire_by_function(potential: np.ndarray, function: Function, course: Course, steps: int, half: float, times: np.ndarray) -> None:
    """times[i] = tau = clip((hi - f(V0)) / (hi - lo), 0, 1), or its time step: see `threshold.time_step`.

    potential: V0, float32 or float64, channels last, contiguous. course: of `function` and the layer's range. steps: N, or 0 for continuous time.
    half: h of `rounding.HALF`. times: of as many, contiguous; unsigned integers (steps) when N > 0, float32 or float64 (tau) otherwise.
    """
    arguments = potential.reshape(-1), function.code, function.numbers, function.pieces, *course, steps, half, times.reshape(-1)
    in_parallel(_fire_shared, -(-potential.size // course.rise.size), arguments, potential.size < SERIAL_ELEMENTS)


@jit(fastmath={"contract"})
def _fire(first, past, potential, code, numbers, pieces, begin, rise, steps, half, times):
    block = rise.size
    values = np.zeros(block + LANES)
    for item in range(first, past):
        start = item * block
        count = min(block, potential.size - start)
        charged, fired = potential[start : start + count], times[start : start + count]
        for i in range(count):
            values[i] = charged[i]
        evaluate(code, numbers, pieces, values[: (count + LANES - 1) // LANES * LANES])
        if steps > 0:
            for i in range(count):
                tau = min(max(begin[i] - rise[i] * values[i], 0.0), 1.0)
                fired[i] = max(np.ceil(tau * steps - half - TIE), 0.0)
        else:
            for i in range(count):
                fired[i] = min(max(begin[i] - rise[i] * values[i], 0.0), 1.0)


@jit()
def _fire_shared(state, items, chunk, *arguments):
    share(_fire, state, items, chunk, arguments)
