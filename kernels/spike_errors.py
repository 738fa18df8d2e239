"""A layer's spike times beside what the original network computes: errors and silence in one pass over both, eight neurons at a time.

Neurons are walked in the order of the tensor, which is read from memory in one stream; spike times, a byte each, come from the cache in any order.
"""

# Without compilation, a plain function stands in for the intrinsic.
# pyright: reportRedeclaration=false

import math
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import overload

from ._jit import JIT_OFF, intrinsic, jit
from ._llvm import I32, LANES, VECTOR, data, for_each_size, integer, load, loop, splat, store, vectors_at
from ._threads import SERIAL_ELEMENTS, in_parallel, share

ROWS, COLUMNS = 8, 1024  # of the tensor that a thread takes at a time, through all images: their counts stay in the cache
RUN = 512  # neurons of a row at most, where a row is nothing but a part of the layer
LARGEST, LOW, HIGH = range(3)  # rows of what is found in float32
DOUBLES, COUNTS = ir.VectorType(ir.DoubleType(), LANES), ir.VectorType(I32, LANES)


class Errors(NamedTuple):
    """Of all values compared, a' = (x - lo) / width being the original's activation and a the spike's."""

    largest: float  # |a' - a|
    total: float  # of |a' - a|
    low: float  # smallest a'
    high: float  # largest a'
    outside: int  # values with a' outside [-margin, 1 + margin]


NONE = np.empty((0, 0), np.float32)


def compare(times, steps, silent_from, reference, channels_first, ends, margin, active, sent, totals):
    """Compare spike times with a tensor, and count in which images each neuron is active and sends a spike.

    times: (n, positions, channels), unsigned steps of which `steps` = N is silent, or float32 tau, silent from `silent_from` on, NaN where a
    spike is missing. reference: float32 (n, positions * channels) in the order of the neurons, or of channels first; or no rows: then nothing
    is compared, and the errors are 0, 0, inf, -inf, 0. ends: lo and width, (positions, channels) float32; None where they are 0 and 1. active, sent:
    (positions, channels) int32, added to in place. totals: (n,) float64, to which the sum of each image's errors is added. All contiguous.
    """
    images, positions, channels = times.shape
    if times.dtype.kind == "u":
        sent += images
    spikes, counted = (times.reshape(images, -1), np.float32(steps), np.float32(silent_from)), (active.reshape(-1), sent.reshape(-1))
    if len(reference) == 0:
        in_parallel(_count_shared, -(-spikes[0].shape[1] // COLUMNS), (*spikes, *counted), times.size < SERIAL_ELEMENTS)
        return Errors(0.0, 0.0, np.inf, -np.inf, 0)
    lo, width = ends or (NONE, NONE)
    if channels_first and channels > 1 and positions > 1:
        shape, strides = (channels, positions), (1, channels)
        lo, width = np.ascontiguousarray(lo.T), np.ascontiguousarray(width.T)
    else:
        run = _run(positions * channels)
        shape, strides = (positions * channels // run, run), (run, 1)
    items = -(-shape[0] // ROWS) * -(-shape[1] // COLUMNS)
    found, outside, sums = np.zeros((items, 3, LANES), np.float32), np.zeros((items, LANES), np.int32), np.zeros((items, images))
    found[:, LOW], found[:, HIGH] = np.inf, -np.inf
    limits = ends is None, lo.reshape(-1), width.reshape(-1), np.float32(margin)
    arguments = *spikes, *strides, reference.reshape(images, *shape), *limits, *counted, sums, found, outside
    in_parallel(_compare_shared, items, arguments, times.size < SERIAL_ELEMENTS)
    of_images = sums.sum(axis=0)
    totals += of_images
    total = float(of_images.sum())
    largest = float(found[:, LARGEST].max()) if total == total else total  # NaN stays
    return Errors(largest, total, float(found[:, LOW].min()), float(found[:, HIGH].max()), int(outside.sum(dtype=np.int64)))


def _run(neurons: int) -> int:
    """How many neurons of a layer are a row: all rows have as many."""
    found = math.gcd(neurons, RUN)
    return found if found >= LANES else neurons


@jit()
def _count(first, past, times, steps, silent_from, active, sent):
    for image in range(times.shape[0]):
        for neuron in range(first * COLUMNS, min(past * COLUMNS, times.shape[1])):
            active[neuron] += _is_active(times[image, neuron], steps, silent_from)
            sent[neuron] += _is_counted(times[image, neuron])


@jit()
def _count_shared(state, items, chunk, *arguments):
    share(_count, state, items, chunk, arguments)


@jit()
def _compare(first, past, times, steps, silent_from, down, along, reference, as_it_is, lo, width, margin, active, sent, sums, found, outside):
    images, rows, columns = reference.shape
    flat, tensor, across = times.reshape(-1), reference.reshape(-1), -(-columns // COLUMNS)
    counts, total = np.empty((2, ROWS, COLUMNS), np.int32), np.zeros(LANES)
    for item in range(first, past):
        top, left = item // across * ROWS, item % across * COLUMNS
        bottom, right = min(top + ROWS, rows), min(left + COLUMNS, columns)
        whole = left + (right - left) // LANES * LANES
        counts[:] = 0
        for image in range(images):
            total[:] = 0
            for row in range(top, bottom):
                at, there = image * times.shape[1] + row * down + left * along, (image * rows + row) * columns + left
                carried = counts[:, row - top], found[item], total, outside[item]
                where = at, along, there, row * columns + left, right - left
                compare_lanes(flat, steps, silent_from, tensor, where, as_it_is, lo, width, margin, *carried)
                for column in range(whole, right):
                    time, place = times[image, row * down + column * along], row * columns + column
                    counts[0, row - top, column - left] += _is_active(time, steps, silent_from)
                    counts[1, row - top, column - left] += _is_counted(time)
                    theirs = reference[image, row, column]
                    if not as_it_is:
                        theirs = (theirs - lo[place]) / width[place]
                    error = abs(theirs - _activation(time, steps))
                    total[0] += np.float64(error)
                    outside[item, 0] += (theirs > np.float32(1) + margin) | (theirs < -margin)
                    if error > found[item, LARGEST, 0]:
                        found[item, LARGEST, 0] = error
                    if theirs < found[item, LOW, 0]:
                        found[item, LOW, 0] = theirs
                    if theirs > found[item, HIGH, 0]:
                        found[item, HIGH, 0] = theirs
            sums[item, image] = total.sum()
        for row in range(top, bottom):
            for column in range(left, right):
                active[row * down + column * along] += counts[0, row - top, column - left]
                sent[row * down + column * along] += counts[1, row - top, column - left]


@jit()
def _compare_shared(state, items, chunk, *arguments):
    share(_compare, state, items, chunk, arguments)


@intrinsic
def compare_lanes(typing_context, times, steps, silent_from, tensor, where, as_it_is, lo, width, margin, counts, found, total, outside):
    """What `_compare` does for those of a row's neurons that fill vectors.

    where: the place of the first one in `times`, and how far the next is from it; its place in `tensor`, where neurons lie side by side, and in
    `lo` and `width`; how many there are. counts: (2, at least as many) int32, of active neurons and, of tau, of spikes. found: (3, 8) float32; total:
    (8,) float64; outside: (8,) int32: by lane, what was found so far.
    """
    signature = types.void(times, steps, silent_from, tensor, where, as_it_is, lo, width, margin, counts, found, total, outside)
    of_steps = isinstance(times.dtype, types.Integer)

    def codegen(context, b, sig, args):
        time_data, tensor_data, lo_data, width_data, count_data, *carried = (data(context, b, sig, args, k) for k in (0, 3, 6, 7, 9, 10, 11, 12))
        at, along, there, neuron, size = (b.extract_value(args[4], k) for k in range(5))
        steps, silent_from, margin = (splat(b, args[k]) for k in (1, 2, 8))
        one, nothing = (ir.Constant(VECTOR, [value] * LANES) for value in (1.0, 0.0))
        top, bottom = b.fadd(one, margin), b.fneg(margin)
        counts = context.make_array(sig.args[9])(context, b, args[9])
        sent_data = b.gep(count_data, [b.sdiv(b.extract_value(counts.strides, 0), integer(4))])
        places = [vectors_at(b, pointer, integer(0), kind) for pointer, kind in zip(carried, (VECTOR, DOUBLES, COUNTS))]

        def decoded(column):
            raw = ir.Constant(ir.VectorType(time_data.type.pointee, LANES), ir.Undefined)
            for k in range(LANES):
                value = b.load(b.gep(time_data, [b.add(at, b.mul(along, b.add(column, integer(k))))]))
                raw = b.insert_element(raw, value, ir.Constant(I32, k))
            if of_steps:
                times = b.uitofp(raw, VECTOR)
                return b.fdiv(b.fsub(steps, times), steps), b.fcmp_ordered("!=", times, steps)
            missing = b.fcmp_unordered("uno", raw, raw)
            count(sent_data, column, b.not_(missing))
            return b.select(missing, nothing, b.fsub(one, raw)), b.fcmp_ordered("<", raw, silent_from)

        def count(pointer, column, yes):
            place = vectors_at(b, pointer, column, COUNTS)
            store(b, b.add(load(b, place, 0), b.zext(yes, COUNTS)), place, 0)

        def emit(plain):
            def add(column, state):
                largest, low, high, total, outside = state
                ours, active = decoded(column)
                count(count_data, column, active)
                theirs = load(b, vectors_at(b, tensor_data, b.add(there, column)), 0)
                if not plain:
                    start, unit = (load(b, vectors_at(b, pointer, b.add(neuron, column)), 0) for pointer in (lo_data, width_data))
                    theirs = b.fdiv(b.fsub(theirs, start), unit)
                difference = b.fsub(theirs, ours)
                error = b.select(b.fcmp_ordered("<", difference, nothing), b.fneg(difference), difference)
                beyond = b.or_(b.fcmp_ordered(">", theirs, top), b.fcmp_ordered("<", theirs, bottom))
                return [
                    b.select(b.fcmp_ordered(">", error, largest), error, largest),
                    b.select(b.fcmp_ordered("<", theirs, low), theirs, low),
                    b.select(b.fcmp_ordered(">", theirs, high), theirs, high),
                    b.fadd(total, b.fpext(error, DOUBLES)),
                    b.add(outside, b.zext(beyond, COUNTS)),
                ]

            state = [*(load(b, places[0], k) for k in range(3)), *(load(b, place, 0) for place in places[1:])]
            _, state = loop(b, integer(0), size, LANES, state, add)
            for k in range(3):
                store(b, state[k], places[0], k)
            for value, place in zip(state[3:], places[1:]):
                store(b, value, place, 0)

        for_each_size(b, b.zext(args[5], I32), (0, 1), emit)
        return context.get_dummy_value()

    return signature, codegen


def _is_active(time, steps, silent_from):
    """Whether a > 0. time: one, or an array."""
    return time < silent_from if time.dtype.kind == "f" else time != steps


def _activation(time, steps):
    """a, 0 of a missing spike; likewise."""
    a = np.float32(1) - time if time.dtype.kind == "f" else (steps - np.float32(time)) / steps
    return np.where(a == a, a, np.float32(0))


def _is_counted(time):
    """Whether a spike is there that was not counted already: all steps are of spikes."""
    return (time == time) & (time.dtype.kind == "f")


if JIT_OFF:  # intrinsics exist in compiled code only

    def compare_lanes(times, steps, silent_from, tensor, where, as_it_is, lo, width, margin, counts, found, total, outside):
        at, along, there, neuron, size = where
        for column in range(0, size - LANES + 1, LANES):
            time, theirs = times[at + along * (column + np.arange(LANES))], tensor[there + column :][:LANES]
            if not as_it_is:
                theirs = (theirs - lo[neuron + column :][:LANES]) / width[neuron + column :][:LANES]
            counts[0, column : column + LANES] += _is_active(time, steps, silent_from)
            counts[1, column : column + LANES] += _is_counted(time)
            error = np.abs(theirs - _activation(time, steps))
            found[LARGEST] = np.where(error > found[LARGEST], error, found[LARGEST])
            found[LOW], found[HIGH] = np.fmin(theirs, found[LOW]), np.fmax(theirs, found[HIGH])
            total += error
            outside += (theirs > 1 + margin) | (theirs < -margin)


def _tau_is_active(time, steps, silent_from):
    return time < silent_from


def _step_is_active(time, steps, silent_from):
    return np.float32(time) != steps


def _of_tau(time, steps):
    return np.float32(0) if np.isnan(time) else np.float32(1) - time


def _of_step(time, steps):
    return (steps - np.float32(time)) / steps


def _tau_is_counted(time):
    return not np.isnan(time)


def _step_is_counted(time):
    return False


@overload(_is_active, inline="always")
def _is_active_typed(time, steps, silent_from):
    return _tau_is_active if isinstance(time, types.Float) else _step_is_active


@overload(_activation, inline="always")
def _activation_typed(time, steps):
    return _of_tau if isinstance(time, types.Float) else _of_step


@overload(_is_counted, inline="always")
def _is_counted_typed(time):
    return _tau_is_counted if isinstance(time, types.Float) else _step_is_counted
