"""When a neuron fires: the crossing of its ramp with the threshold, in continuous time and on a grid of N steps."""

# Without compilation, plain functions stand in for the intrinsics.
# pyright: reportRedeclaration=false

import math
from typing import NamedTuple

import numba as nb
import numpy as np
from llvmlite import ir
from numba.core import types

from ._jit import JIT_OFF, intrinsic, jit
from ._llvm import I32, LANES, VECTOR, call, data, load, splat, vectors_at
from ._threads import SERIAL_ELEMENTS, in_parallel, share
from .rounding import TIE


@jit()
def crossing_time(potential, slope):
    """First tau in [0, 1] with potential + slope tau >= 1; 1 (silent) if there is none. Scalars, float64 arithmetic.

    potential: V0, the membrane potential when the window opens. slope: S of the ramp. For slope <= 0: 0 if V0 >= 1, else 1.
    """
    if slope <= 0:
        return 0.0 if potential >= 1 else 1.0
    return min(max((1.0 - potential) / slope, 0.0), 1.0)


@jit()
def time_step(tau, steps, half):
    """The step at which a spike due at `tau` fires: k = clip(ceil(N tau - h - 1e-4), 0, N), see `rounding`.

    tau: spike time in [0, 1]. steps: N. half: h, of `rounding.HALF`. Returns a float with an integer value.
    """
    return min(max(math.ceil(steps * tau - half - TIE), 0.0), steps)


def fire(potential, slope, steps, half, times):
    """Write every neuron's spike time: `times[r, i]` from V0 = `potential[r, i]` and S = `slope[i]`.

    potential: (rows, m) float32. slope: (m,) float32. steps: N, or 0 for continuous time. half: h of `time_step`.
    times: (rows, m), unsigned integers (steps) when N > 0, float32 (tau) otherwise.
    """
    in_parallel(_fire_shared, len(potential), (potential, slope, steps, half, times), potential.size < SERIAL_ELEMENTS)


@jit()
def _fire(first, past, potential, slope, steps, half, times):
    for r in range(first, past):
        for i in range(potential.shape[1]):
            tau = crossing_time(nb.float64(potential[r, i]), nb.float64(slope[i]))
            times[r, i] = time_step(tau, steps, half) if steps > 0 else tau


@jit()
def _fire_shared(state, items, chunk, *arguments):
    share(_fire, state, items, chunk, arguments)


def encode(values, low, width, steps, half, times):
    """Write the spike times of analog values: tau = 1 - (x - low) / width, on the grid if N > 0.

    values: (rows, channels, positions) float32, contiguous, within [low, low + width]. low, width: (channels,) float32. steps, half: as for
    `fire`. times: (rows, positions, channels), otherwise as for `fire`.
    """
    in_parallel(encode_shared, len(values), (values, low, width, steps, half, times), values.size < SERIAL_ELEMENTS)


@jit()
def encode_rows(first, past, values, low, width, steps, half, times):
    """`encode` of the rows `first` to `past`."""
    for r in range(first, past):
        for c in range(values.shape[1]):
            for p in range(values.shape[2]):
                tau = 1.0 - nb.float64((values[r, c, p] - low[c]) / width[c])
                times[r, p, c] = time_step(tau, steps, half) if steps > 0 else tau


@jit()
def encode_shared(state, items, chunk, *arguments):
    """`encode_rows` as a part of what `in_parallel` hands out."""
    share(encode_rows, state, items, chunk, arguments)


class Ramp(NamedTuple):
    """A and B, so that clip(ceil(A - B V0), 0, N) is `time_step` of `crossing_time`: N (1 - V0) / S - h - 1e-4.

    For S <= 0, A = B = 1e30: what is not 0 is far outside the window. In single precision A - B V0 is off by 3 u (|A| + N + 1), u = 2^-24, at
    most where it lies between -1 and N + 1, and outside of that it stays outside of [0, N]: so its ceiling is right wherever it is farther than
    that from an integer.
    """

    exact: np.ndarray  # (2, *shape of slope) float64: A, B
    single: np.ndarray  # (3, *shape of slope) float32: A, B, and how far from the middle between two integers the ceiling can be trusted


def ramp(slope: np.ndarray, steps: int, half: float) -> Ramp:
    """A and B of slopes S: `slope` of any shape and float dtype, for N = `steps` >= 1 and h = `half`."""
    slope = slope.astype(np.float64)
    rise = np.divide(steps, slope, out=np.full_like(slope, 1e30), where=slope > 0)
    exact = np.stack([np.where(slope > 0, rise - half - TIE, rise), rise])
    trusted = 0.5 - 2.0**-22 * (np.abs(exact[0]) + steps + 1)
    return Ramp(exact, np.stack([*exact, trusted]).astype(np.float32))


@intrinsic
def _fire_lanes(typing_context, sums, at, start, start_at, exact, single, ramp_at, offset, steps, times, to):
    signature = types.void(sums, at, start, start_at, exact, single, ramp_at, offset, steps, times, to)

    def codegen(context, b, sig, args):
        exact_data, single_data = (data(context, b, sig, args, i) for i in (4, 5))
        parts = [b.add(args[6], b.mul(args[7], ir.Constant(args[7].type, k))) for k in range(3)]

        def ceiling(kind, scalar, potential, begin, rise):
            left = b.fsub(begin, b.fmul(rise, potential))
            return left, call(b, f"llvm.ceil.v{LANES}{scalar}", kind, left)

        def write(kind, step):
            zero, last = ir.Constant(kind, [0.0] * LANES), splat(b, b.uitofp(args[8], kind.element))
            step = b.select(b.fcmp_ordered(">", step, zero), step, zero)
            step = b.select(b.fcmp_ordered("<", step, last), step, last)
            small = b.trunc(b.fptosi(step, ir.VectorType(I32, LANES)), ir.VectorType(ir.IntType(8), LANES))
            b.store(small, b.bitcast(b.gep(data(context, b, sig, args, 9), [args[10]]), small.type.as_pointer())).align = 1

        total, begin = (load(b, vectors_at(b, data(context, b, sig, args, i), args[i + 1]), 0) for i in (0, 2))
        potential = b.fadd(begin, total)
        left, step = ceiling(VECTOR, "f32", potential, *(load(b, vectors_at(b, single_data, part), 0) for part in parts[:2]))
        middle = call(b, f"llvm.fabs.v{LANES}f32", VECTOR, b.fsub(b.fsub(step, left), ir.Constant(VECTOR, [0.5] * LANES)))
        doubtful = b.fcmp_unordered(">", middle, load(b, vectors_at(b, single_data, parts[2]), 0))
        with b.if_else(b.icmp_unsigned("!=", b.bitcast(doubtful, ir.IntType(LANES)), ir.Constant(ir.IntType(LANES), 0)), likely=False) as (
            some,
            none,
        ):
            with some:
                doubles = ir.VectorType(ir.DoubleType(), LANES)
                values = [b.load(b.bitcast(b.gep(exact_data, [part]), doubles.as_pointer()), align=8) for part in parts[:2]]
                write(doubles, ceiling(doubles, "f64", b.fpext(potential, doubles), *values)[1])
            with none:
                write(VECTOR, step)
        return context.get_dummy_value()

    return signature, codegen


@jit(inline="always")
def fire_at(sums, at, start, start_at, count, exact, single, ramp_at, offset, steps, times, to):
    """times[to + k] = the step at which V0 = start[start_at + k] + sums[at + k] fires, for k < count, by a `Ramp` whose A is at ramp_at, B
    `offset` behind, and so on. All one-dimensional: float32 sums and start, the ramp's arrays, uint8 times.
    """
    whole = count // LANES * LANES
    for k in range(0, whole, LANES):
        _fire_lanes(sums, at + k, start, start_at + k, exact, single, ramp_at + k, offset, steps, times, to + k)
    for k in range(whole, count):
        step = np.ceil(exact[ramp_at + k] - exact[ramp_at + offset + k] * nb.float64(start[start_at + k] + sums[at + k]))
        times[to + k] = min(max(step, 0.0), nb.float64(steps))


if JIT_OFF:  # intrinsics exist in compiled code only

    def _fire_lanes(sums, at, start, start_at, exact, single, ramp_at, offset, steps, times, to):
        potential = (start[start_at : start_at + LANES] + sums[at : at + LANES]).astype(np.float64)
        step = np.ceil(exact[ramp_at : ramp_at + LANES] - exact[ramp_at + offset : ramp_at + offset + LANES] * potential)
        times[to : to + LANES] = np.clip(step, 0, steps)
