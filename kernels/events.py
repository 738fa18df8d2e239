"""Spikes as events: of a row of inputs, those that are not silent, with their places and activations."""

# Without compilation, plain functions stand in for the intrinsics.
# pyright: reportRedeclaration=false

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import overload

from ._jit import JIT_OFF, intrinsic, jit
from ._llvm import I32, I64, LANES, VECTOR, data, integer, permute, splat

LANE_ORDER = np.array(
    [[*(lane for lane in range(LANES) if mask >> lane & 1), *(lane for lane in range(LANES) if not mask >> lane & 1)] for mask in range(256)],
    np.int32,
).ravel()  # per set of lanes: these lanes first


def decoded(steps, x):
    """The activation that `x` stands for: (N - k) / N of spike step k, correctly rounded; an activation itself."""
    return x if isinstance(x, np.floating) else np.float32(steps - x) / np.float32(steps)


@overload(decoded, inline="always")
def _decoded(steps, x):
    return (lambda steps, x: x) if isinstance(x, types.Float) else (lambda steps, x: np.float32(steps - x) / np.float32(steps))


def _lanes(b, inputs, at, steps, dtype):
    """Eight inputs: what was read, what it means when silent, and the activations."""
    analog = isinstance(dtype, types.Float)
    scalar = ir.FloatType() if analog else ir.IntType(dtype.bitwidth)
    read = b.load(b.bitcast(b.gep(inputs, [at]), ir.VectorType(scalar, LANES).as_pointer()))
    read.align = 4 if analog else dtype.bitwidth // 8
    if analog:
        return b.fcmp_unordered("!=", read, ir.Constant(VECTOR, [0.0] * LANES)), read
    left = b.sub(splat(b, b.trunc(steps, I32)), b.zext(read, ir.VectorType(I32, LANES)))
    activation = b.fdiv(b.uitofp(left, VECTOR), splat(b, b.uitofp(steps, ir.FloatType())))
    return b.icmp_unsigned("!=", read, splat(b, b.trunc(steps, scalar))), activation


def _write(b, value, array, element):
    b.store(value, b.bitcast(b.gep(array, [element]), value.type.as_pointer())).align = 4


@intrinsic
def _compress_lanes(typing_context, inputs, at, steps, order, place, row, value, event):
    """`compress` of eight inputs. All eight are written, silent ones last: nobody asks which spike, because that cannot be predicted."""
    signature = types.int64(inputs, at, steps, order, place, row, value, event)

    def codegen(context, b, sig, args):
        source, orders, rows, values = (data(context, b, sig, args, i) for i in (0, 3, 5, 6))
        spikes, activation = _lanes(b, source, args[1], args[2], sig.args[0].dtype)
        mask = b.zext(b.bitcast(spikes, ir.IntType(LANES)), I64)
        lanes = b.load(b.bitcast(b.gep(orders, [b.mul(mask, integer(LANES))]), ir.VectorType(I32, LANES).as_pointer()))
        lanes.align = 4
        _write(b, b.add(lanes, splat(b, b.trunc(args[4], I32))), rows, args[7])
        _write(b, permute(context, b, activation, lanes), values, args[7])
        return b.add(args[7], b.ctpop(mask))

    return signature, codegen


@intrinsic
def _decode_lanes(typing_context, inputs, at, steps, value, to):
    """value[to + k] = what inputs[at + k] stands for, for eight k."""
    signature = types.void(inputs, at, steps, value, to)

    def codegen(context, b, sig, args):
        source, values = (data(context, b, sig, args, i) for i in (0, 3))
        _write(b, _lanes(b, source, args[1], args[2], sig.args[0].dtype)[1], values, args[4])
        return context.get_dummy_value()

    return signature, codegen


@jit(inline="always")
def compress(inputs, at, count, steps, place, row, value, event):
    """Append the events of `inputs[at:at + count]`, and return how many there are then. Up to eight entries behind them are overwritten.

    inputs: (m,) unsigned steps, where `steps` = N is silent, or float32 activations, where 0 is. row: int32, `place` + the input's number.
    value: float32, its activation. event: events so far.
    """
    whole = count // LANES * LANES
    for k in range(0, whole, LANES):
        event = _compress_lanes(inputs, at + k, steps, LANE_ORDER, place + k, row, value, event)
    for k in range(whole, count):
        row[event] = place + k
        value[event] = decoded(steps, inputs[at + k])
        event += value[event] != 0
    return event


@jit(inline="always")
def decode(inputs, at, count, steps, value, to):
    """value[to + k] = what inputs[at + k] stands for, for k < count; arguments as for `compress`."""
    whole = count // LANES * LANES
    for k in range(0, whole, LANES):
        _decode_lanes(inputs, at + k, steps, value, to + k)
    for k in range(whole, count):
        value[to + k] = decoded(steps, inputs[at + k])


if JIT_OFF:  # intrinsics exist in compiled code only

    def _compress_lanes(inputs, at, steps, order, place, row, value, event):
        for k in range(LANES):
            row[event] = place + k
            value[event] = decoded(steps, inputs[at + k])
            event += value[event] != 0
        return event

    def _decode_lanes(inputs, at, steps, value, to):
        for k in range(LANES):
            value[to + k] = decoded(steps, inputs[at + k])
