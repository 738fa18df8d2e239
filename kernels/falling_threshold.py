"""When a neuron fires whose potential stays and whose threshold falls: a table of one threshold per step."""

import numba as nb

from ._jit import jit
from ._threads import SERIAL_ELEMENTS, in_parallel, share


def fire_under(potential, thresholds, times):
    """times[r, i] = the first step k with potential[r, i] >= thresholds[i % c, k], else N: silent.

    potential: V0, (rows, m) float32. thresholds: (c, N) float64, falling along k; m a multiple of c. times: (rows, m), unsigned integers.
    """
    in_parallel(_under_shared, len(potential), (potential, thresholds, times), potential.size < SERIAL_ELEMENTS)


@jit()
def _under(first, past, potential, thresholds, times):
    channels, steps = thresholds.shape
    for r in range(first, past):
        channel = 0
        for i in range(potential.shape[1]):
            value, k, left = nb.float64(potential[r, i]), 0, steps
            while left > 1:  # the first of `left` thresholds from k on that is not above the potential, or what comes behind them
                half = left // 2
                k += half if thresholds[channel, k + half - 1] > value else 0
                left -= half
            times[r, i] = k + (thresholds[channel, k] > value)
            channel += 1
            if channel == channels:
                channel = 0


@jit()
def _under_shared(state, items, chunk, *arguments):
    share(_under, state, items, chunk, arguments)
