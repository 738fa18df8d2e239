"""The spikes that reach the neurons of one output position, in the order in which they arrive: for engines that follow them one by one."""

# Without compilation, a plain function stands in for the intrinsic.
# pyright: reportRedeclaration=false

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import types

from ._jit import JIT_OFF, intrinsic, jit
from ._llvm import I32, I64, LANES, data, integer, permute, splat
from .events import LANE_ORDER

VIRTUAL = -1  # instead of a neuron: a padded tap, which spikes as its window closes
CLOSING = 1.0  # when the window of a layer's inputs closes and its own opens
TOGETHER = 4  # spikes of a step whose weights are summed before they switch a current on: its list is filled up with rows of zeros


class Fields(NamedTuple):
    """Receptive fields of a layer: `simulation.receptive_fields` without the weights. Relays pass on what source neurons send, each with a factor."""

    start: np.ndarray  # (relays + 1,) int64, where the sources of each begin; or empty: relay r passes on neuron r alone, as it is
    source: np.ndarray  # (synapses,) int64, or VIRTUAL
    factor: np.ndarray  # (synapses,) float32
    first: np.ndarray  # (positions + 1,) int64: where the taps of each begin
    relay: np.ndarray  # (taps,) int64, or VIRTUAL: what channel 0 of group 0 reads
    row: np.ndarray  # (taps,) int64: of the weights of its channel 0
    channels: np.ndarray  # (taps,) int64, of one group
    window: np.ndarray  # (taps,) int64: whose clock its spikes follow
    most: int  # spikes that reach one group of a position


class Room(NamedTuple):
    """For the spikes of one position that come before windows close, as they are found."""

    step: np.ndarray  # (spikes + LANES,) int32
    row: np.ndarray  # likewise
    factor: np.ndarray  # (spikes + LANES,) float32, or empty where all are 1
    spiking: np.ndarray  # (steps,) int64


@intrinsic
def _sift_lanes(typing_context, spikes, at, length, offset, row, block, order, steps, rows, early, late_rows, late):
    signature = types.int64(spikes, at, length, offset, row, block, order, steps, rows, early, late_rows, late)

    def codegen(context, b, sig, args):
        source, orders, step_data, row_data, late_data = (data(context, b, sig, args, i) for i in (0, 6, 7, 8, 10))
        wide, narrow = ir.VectorType(I32, LANES), ir.VectorType(ir.IntType(sig.args[0].dtype.bitwidth), LANES)
        read = b.load(b.bitcast(b.gep(source, [args[1]]), narrow.as_pointer()))
        read.align = sig.args[0].dtype.bitwidth // 8
        read = b.zext(read, wide)
        mask = b.zext(b.bitcast(b.icmp_unsigned("<", read, splat(b, b.trunc(args[2], I32))), ir.IntType(LANES)), I64)

        def lanes_first(mask):
            found = b.load(b.bitcast(b.gep(orders, [b.mul(mask, integer(LANES))]), wide.as_pointer()))
            found.align = 4
            return found

        def write(value, array, element):
            b.store(value, b.bitcast(b.gep(array, [element]), wide.as_pointer())).align = 4

        def as_rows(lanes):
            return b.mul(b.add(lanes, splat(b, b.trunc(args[4], I32))), splat(b, b.trunc(args[5], I32)))

        spiking, silent = lanes_first(mask), lanes_first(b.xor(mask, integer(2**LANES - 1)))
        step = b.bitcast(b.add(read, splat(b, b.trunc(args[3], I32))), ir.VectorType(ir.FloatType(), LANES))
        write(b.bitcast(permute(context, b, step, spiking), wide), step_data, args[9])
        write(as_rows(spiking), row_data, args[9])
        write(as_rows(silent), late_data, args[11])
        return b.ctpop(mask)

    return signature, codegen


@jit(inline="always")
def list_by_step(n, g, p, fields, weighted, spikes, windows, closing, block, nothing, room, i, begin, row, factor, to):
    """List what reaches position `p`, group `g` of image `n` from row[to] on: what comes as windows close, then the rest sorted by step.

    weighted: whether relays have factors. spikes: (n, source neurons) unsigned integers; from the N of its window on a neuron is silent. windows:
    (windows + 1,) int64: where the steps of each begin, counted one window behind another. closing: whether silent and virtual neurons spike as
    their window closes. block: what the number of a row is multiplied by. nothing: the row that fills up. room: see `Room`. i: which of `begin`,
    (lists, steps + 1) int64, is written: the spikes of step s are begin[i, s] <= j < begin[i, s + 1], those of closing windows to <= j <
    begin[i, 0], all of them multiples of TOGETHER from `to`. row: int32. factor: float32, of each, if weighted.
    """
    early, late = 0, to
    steps, rows, count, unused = room.step, room.row, room.spiking, np.int32(nothing * block)
    for t in range(fields.first[p], fields.first[p + 1]):
        at, channels, first = fields.relay[t], fields.channels[t], fields.row[t]
        offset = windows[fields.window[t]]
        length = windows[fields.window[t] + 1] - offset
        if at == VIRTUAL:
            for c in range(channels if closing else 0):
                row[late] = (first + c) * block
                if weighted:
                    factor[late] = 1
                late += 1
        elif not weighted:
            at += g * channels
            whole = channels // LANES * LANES
            for c in range(0, whole, LANES):
                found = _sift_lanes(spikes, n * spikes.shape[1] + at + c, length, offset, first + c, block, LANE_ORDER, steps, rows, early, row, late)
                early += found
                late += LANES - found
            for c in range(whole, channels):
                k = np.int64(spikes[n, np.uint64(at + c)])
                steps[early] = offset + k
                rows[early] = row[late] = (first + c) * block
                early += k < length
                late += k >= length
        else:
            at += g * channels
            for c in range(channels):
                for s in range(fields.start[at + c], fields.start[at + c + 1]):
                    k = length if fields.source[s] == VIRTUAL else np.int64(spikes[n, fields.source[s]])
                    steps[early] = offset + k
                    rows[early] = row[late] = (first + c) * block
                    room.factor[early] = factor[late] = fields.factor[s]
                    early += k < length
                    late += k >= length
    if not closing:
        late = to
    while (late - to) % TOGETHER > 0:
        row[late] = unused
        if weighted:
            factor[late] = 1
        late += 1
    for s in range(count.size):
        count[s] = 0
    for e in range(early):
        count[np.uint64(steps[e])] += 1
    least = TOGETHER if early > count.size else 0  # where most steps have spikes it is quicker not to ask which have none
    past = late
    for s in range(count.size):
        here, count[s], begin[i, s] = count[s], past, past
        past += max((here + (TOGETHER - 1)) // TOGETHER * TOGETHER, least)
    begin[i, count.size] = past
    for j in range(np.uint64(late), np.uint64(past)):
        row[j] = unused
        if weighted:
            factor[j] = 1
    for e in range(np.uint64(early)):
        s = np.uint64(steps[e])
        at = np.uint64(count[s])
        count[s] += 1
        row[at] = rows[e]
        if weighted:
            factor[at] = room.factor[e]


if JIT_OFF:  # intrinsics exist in compiled code only

    def _sift_lanes(spikes, at, length, offset, row, block, order, steps, rows, early, late_rows, late):
        spikes = spikes.reshape(-1)
        spiking = spikes[at : at + LANES] < length
        lanes = np.arange(LANES)
        rows[early : early + spiking.sum()] = (row + lanes[spiking]) * block
        steps[early : early + spiking.sum()] = offset + spikes[at : at + LANES][spiking]
        late_rows[late : late + (~spiking).sum()] = (row + lanes[~spiking]) * block
        return spiking.sum()
