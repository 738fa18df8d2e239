"""Pooling over positions, channel by channel. Geometry arguments are those of `conv`; `kernel` is (height, width)."""

# Without compilation, plain functions stand in for the intrinsics.
# pyright: reportRedeclaration=false

import numba as nb
import numpy as np
from llvmlite import ir
from numba.core import types

from ._jit import JIT_OFF, intrinsic, jit
from ._llvm import I32, LANES, VECTOR, data, integer, loop, splat, store, vectors_at
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


def average_pool_decoded(times, steps, divisor, kernel, strides, dilations, pads, out):
    """out[n, y, x, c] = mean of the window's activations (N - k) / N that spike steps stand for, by integer sums.

    times: (n, height, width, channels) unsigned. steps: N. out: (n, out height, out width, channels) float32, contiguous. The
    others: as for `average_pool`.
    """
    arguments = np.ascontiguousarray(times), steps, divisor, kernel, strides, dilations, pads, out
    in_parallel(average_pool_decoded_shared, len(times) * out.shape[1], arguments, times.size < SERIAL_ELEMENTS)


@intrinsic
def _pool_lanes(typing_context, times, at, rows, down, columns, right, whole, share, out, to):
    """out[to + k] = (whole - sum over r < rows, c < columns of times[at + r down + c right + k]) share, for eight k; flat arrays."""
    signature = types.void(times, at, rows, down, columns, right, whole, share, out, to)

    def codegen(context, b, sig, args):
        integers, width = ir.VectorType(I32, LANES), sig.args[0].dtype.bitwidth
        source = b.gep(data(context, b, sig, args, 0), [args[1]])

        def add_row(r, sums):
            line = b.gep(source, [b.mul(r, args[3])])

            def add(c, sums):
                read = b.load(b.bitcast(b.gep(line, [b.mul(c, args[5])]), ir.VectorType(ir.IntType(width), LANES).as_pointer()), align=width // 8)
                return [b.sub(sums[0], read if width == 32 else b.zext(read, integers))]

            return loop(b, integer(0), args[4], 1, sums, add)[1]

        _, (total,) = loop(b, integer(0), args[2], 1, [splat(b, b.trunc(args[6], I32))], add_row)
        store(b, b.fmul(b.sitofp(total, VECTOR), splat(b, args[7])), vectors_at(b, data(context, b, sig, args, 8), args[9]), 0)
        return context.get_dummy_value()

    return signature, codegen


@jit()
def average_pool_decoded_rows(first, past, times, steps, divisor, kernel, strides, dilations, pads, out):
    """`average_pool_decoded` of the output rows `first` to `past` of all images."""
    height, width, channels = times.shape[1:]
    flat, result, whole = times.reshape(-1), out.reshape(-1), channels // LANES * LANES
    down, right = dilations[0] * width * channels, dilations[1] * channels
    for row in range(first, past):
        n, y = row // out.shape[1], row % out.shape[1]
        y0, y1 = taps(y, kernel[0], strides[0], dilations[0], pads[0], height)
        for x in range(out.shape[2]):
            x0, x1 = taps(x, kernel[1], strides[1], dilations[1], pads[1], width)
            rows, columns = max(y1 - y0, 0), max(x1 - x0, 0)
            at = ((n * height + y * strides[0] - pads[0]) * width + x * strides[1] - pads[1]) * channels + y0 * down + x0 * right
            to = (row * out.shape[2] + x) * channels
            full, share = steps * rows * columns, np.float32(1 / (steps * nb.float64(divisor[y, x])))
            for c in range(0, whole, LANES):
                _pool_lanes(flat, at + c, rows, down, columns, right, full, share, result, to + c)
            for c in range(whole, channels):
                total = full
                for ky in range(rows):
                    for kx in range(columns):
                        total -= nb.int64(flat[at + c + ky * down + kx * right])
                result[to + c] = np.float32(total) * share


@jit()
def average_pool_decoded_shared(state, items, chunk, *arguments):
    """`average_pool_decoded_rows` as a part of what `in_parallel` hands out."""
    share(average_pool_decoded_rows, state, items, chunk, arguments)


def average_pool_steps(times, steps_in, divisor, kernel, strides, dilations, pads, steps, half, out):
    """Spike steps of average-pooling neurons with a window of their own, by integer sums, because averages fall on ties.

    tau = (sum of the inputs' steps + N' per padded tap that counts) / (N' divisor), then the rule of `time_step`.
    times, out: (n, height, width, channels) unsigned steps. divisor: as for `average_pool`. steps_in: N' of `times`. steps: N of `out`.
    half: h of the rounding.
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
    in_parallel(max_pool_shared, len(times) * out.shape[1], arguments, times.size < SERIAL_ELEMENTS)


@jit()
def max_pool_rows(first, past, times, silent, kernel, strides, dilations, pads, out):
    """`max_pool` of the output rows `first` to `past` of all images."""
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
def max_pool_shared(state, items, chunk, *arguments):
    """`max_pool_rows` as a part of what `in_parallel` hands out."""
    share(max_pool_rows, state, items, chunk, arguments)


if JIT_OFF:  # intrinsics exist in compiled code only

    def _pool_lanes(times, at, rows, down, columns, right, whole, share, out, to):
        for k in range(LANES):
            total = sum(int(times[at + k + r * down + c * right]) for r, c in np.ndindex(rows, columns))
            out[to + k] = np.float32(whole - total) * share
