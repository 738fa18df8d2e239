"""Pooling over positions, channel by channel. Geometry arguments are those of `conv`; `kernel` is (height, width)."""

import numba as nb
import numpy as np

from ._jit import jit
from ._threads import SERIAL_ELEMENTS, in_parallel, share
from .threshold import time_step


@jit()
def taps(out, kernel, stride, dilation, pad, size):
    """First and past-the-last tap index of one axis whose input position lies inside [0, size), for output position `out`."""
    start = out * stride - pad
    first = max(0, -(start // dilation)) if start < 0 else 0
    last = min(kernel, max(0, (size - start + dilation - 1) // dilation))
    return first, last


def average_pool(activation, divisor, kernel, strides, dilations, pads, potential):
    """potential[n, y, x, c] += mean of `activation` over the window: the synapses of an average pool, each of weight 1/divisor.

    activation: (n, height, width, channels) float32. divisor: (out height, out width) float32, how many taps each window has, padded
    ones included if they count. potential: (n, out height, out width, channels) float32, added to in place.
    """
    arguments = activation, divisor, kernel, strides, dilations, pads, potential
    in_parallel(_average_pool_shared, len(activation) * potential.shape[1], arguments, activation.size < SERIAL_ELEMENTS)


@jit()
def _average_pool(first, past, activation, divisor, kernel, strides, dilations, pads, potential):
    out_height, out_width = potential.shape[1], potential.shape[2]
    for row in range(first, past):
        n, y = row // out_height, row % out_height
        total = np.empty(activation.shape[3], np.float32)
        y0, y1 = taps(y, kernel[0], strides[0], dilations[0], pads[0], activation.shape[1])
        for x in range(out_width):
            x0, x1 = taps(x, kernel[1], strides[1], dilations[1], pads[1], activation.shape[2])
            total[:] = 0
            for ky in range(y0, y1):
                for kx in range(x0, x1):
                    in_y, in_x = y * strides[0] - pads[0] + ky * dilations[0], x * strides[1] - pads[1] + kx * dilations[1]
                    for c in range(total.size):
                        total[c] += activation[n, in_y, in_x, c]
            for c in range(total.size):
                potential[n, y, x, c] += total[c] / divisor[y, x]


@jit()
def _average_pool_shared(state, items, chunk, *arguments):
    share(_average_pool, state, items, chunk, arguments)


def average_pool_decoded(times, steps, divisor, kernel, strides, dilations, pads, potential):
    """As `average_pool`, of the activations (N - k) / N that spike steps stand for, by integer sums.

    times: (n, height, width, channels) unsigned. steps: N. The others: as for `average_pool`.
    """
    arguments = times, steps, divisor, kernel, strides, dilations, pads, potential
    in_parallel(_average_pool_decoded_shared, len(times) * potential.shape[1], arguments, times.size < SERIAL_ELEMENTS)


@jit()
def _average_pool_decoded(first, past, times, steps, divisor, kernel, strides, dilations, pads, potential):
    out_height, out_width = potential.shape[1], potential.shape[2]
    for row in range(first, past):
        n, y = row // out_height, row % out_height
        total = np.empty(times.shape[3], np.int32)
        y0, y1 = taps(y, kernel[0], strides[0], dilations[0], pads[0], times.shape[1])
        for x in range(out_width):
            x0, x1 = taps(x, kernel[1], strides[1], dilations[1], pads[1], times.shape[2])
            total[:] = steps * max(y1 - y0, 0) * max(x1 - x0, 0)
            for ky in range(y0, y1):
                for kx in range(x0, x1):
                    line = times[n, y * strides[0] - pads[0] + ky * dilations[0], x * strides[1] - pads[1] + kx * dilations[1]]
                    for c in range(total.size):
                        total[c] -= line[c]
            share, out = np.float32(1 / (steps * nb.float64(divisor[y, x]))), potential[n, y, x]
            for c in range(total.size):
                out[c] += total[c] * share


@jit()
def _average_pool_decoded_shared(state, items, chunk, *arguments):
    share(_average_pool_decoded, state, items, chunk, arguments)


def add_decoded(times, steps, potential):
    """potential[r, i] += (N - k) / N for spike steps k: an identity connection.

    times: (rows, m) unsigned. steps: N. potential: (rows, m) float32.
    """
    in_parallel(_add_decoded_shared, len(times), (times, steps, potential), times.size < SERIAL_ELEMENTS)


@jit()
def _add_decoded(first, past, times, steps, potential):
    for r in range(first, past):
        line, out = times[r], potential[r]
        for i in range(line.size):
            out[i] += np.float32(np.int32(steps) - np.int32(line[i])) / np.float32(steps)


@jit()
def _add_decoded_shared(state, items, chunk, *arguments):
    share(_add_decoded, state, items, chunk, arguments)


def average_pool_steps(times, steps_in, divisor, kernel, strides, dilations, pads, steps, half, out):
    """Spike steps of average-pooling neurons with a window of their own, by integer sums, because averages fall on ties.

    tau = (sum of the inputs' steps + N' per padded tap that counts) / (N' divisor), then the rule of `time_step`.
    times, out: (n, height, width, channels) unsigned steps. divisor: as for `average_pool`. steps_in: N' of `times`. steps: N of `out`.
    half: h.
    """
    arguments = times, steps_in, divisor, kernel, strides, dilations, pads, steps, half, out
    in_parallel(_average_pool_steps_shared, len(times) * out.shape[1], arguments, times.size < SERIAL_ELEMENTS)


@jit()
def _average_pool_steps(first, past, times, steps_in, divisor, kernel, strides, dilations, pads, steps, half, out):
    out_height, out_width = out.shape[1], out.shape[2]
    for row in range(first, past):
        n, y = row // out_height, row % out_height
        y0, y1 = taps(y, kernel[0], strides[0], dilations[0], pads[0], times.shape[1])
        for x in range(out_width):
            x0, x1 = taps(x, kernel[1], strides[1], dilations[1], pads[1], times.shape[2])
            count = nb.int64(divisor[y, x])
            for c in range(times.shape[3]):
                total = nb.int64(0)
                for ky in range(y0, y1):
                    for kx in range(x0, x1):
                        in_y, in_x = y * strides[0] - pads[0] + ky * dilations[0], x * strides[1] - pads[1] + kx * dilations[1]
                        total += nb.int64(times[n, in_y, in_x, c])
                total += steps_in * (count - (y1 - y0) * (x1 - x0))
                out[n, y, x, c] = time_step(total / (count * nb.float64(steps_in)), steps, half)


@jit()
def _average_pool_steps_shared(state, items, chunk, *arguments):
    share(_average_pool_steps, state, items, chunk, arguments)


def max_pool(times, silent, kernel, strides, dilations, pads, out):
    """out[n, y, x, c] = the earliest spike time of the window, which is the largest activation; padded taps are silent.

    times, out: (n, height, width, channels), one dtype. silent: the time that means "no spike": N, or 1 in continuous time.
    """
    arguments = times, silent, kernel, strides, dilations, pads, out
    in_parallel(_max_pool_shared, len(times) * out.shape[1], arguments, times.size < SERIAL_ELEMENTS)


@jit()
def _max_pool(first, past, times, silent, kernel, strides, dilations, pads, out):
    out_height, out_width = out.shape[1], out.shape[2]
    for row in range(first, past):
        n, y = row // out_height, row % out_height
        y0, y1 = taps(y, kernel[0], strides[0], dilations[0], pads[0], times.shape[1])
        for x in range(out_width):
            x0, x1 = taps(x, kernel[1], strides[1], dilations[1], pads[1], times.shape[2])
            earliest = out[n, y, x]
            earliest[:] = silent
            for ky in range(y0, y1):
                for kx in range(x0, x1):
                    line = times[n, y * strides[0] - pads[0] + ky * dilations[0], x * strides[1] - pads[1] + kx * dilations[1]]
                    for c in range(line.size):
                        earliest[c] = min(earliest[c], line[c])


@jit()
def _max_pool_shared(state, items, chunk, *arguments):
    share(_max_pool, state, items, chunk, arguments)
