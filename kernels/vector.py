"""The vector primitives: add weighted inputs to potentials that stay in registers, from events or from every input.

Plain loops reload and store the potentials for every input, at a fraction of the speed; so both are emitted as LLVM vectors of eight
floats, in `multiply` of sixteen where the processor has AVX-512. One variant for each block of 1 to 8 vectors (8 to 64 outputs); `vectors`
chooses among them at run time. In longer blocks, for `accumulate_long`, potentials stay in memory.
"""

# Without compilation, plain functions stand in for the intrinsics.
# pyright: reportRedeclaration=false

from collections.abc import Callable

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types

from ._jit import JIT_OFF, intrinsic, jit
from ._llvm import I64, LANES, VECTOR, WIDE, add_product, data, for_each_size, integer, load, loop, splat, store, vectors_at

MAX_VECTORS = 8  # a block of potentials fills half of the sixteen registers; the others carry weights
ALIGNMENT = 64  # bytes: a vector that straddles two cache lines costs two loads
PIXELS = {1: 8, 2: 6, 3: 4, 4: 3}  # at a time, per vectors of one pass of `multiply`: their potentials fill twelve registers
PASSES = {1: (1,), 2: (2,), 3: (3,), 4: (4,), 5: (3, 2), 6: (3, 3), 7: (4, 3), 8: (4, 4)}  # vectors of each, per vectors of a block
if WIDE:  # 32 registers that hold two vectors each: an even number of vectors takes half as many
    PIXELS = {1: 8, 2: 8, 3: 4, 4: 8, 6: 8, 8: 6}
    PASSES = {**PASSES, 6: (6,), 8: (8,)}
SLIDING = 3  # taps of a kernel that `accumulate_row` slides along a row
MAX_SLIDING = 4  # vectors of a block for which it does: twelve registers of potentials
TOGETHER = 4  # events of `accumulate_long`
CHANNEL_VECTORS = 4  # at a time where channels do not mix
SPARE_PIXELS = max(PIXELS.values())


def aligned(count: int) -> np.ndarray:
    """(count,) float32 zeros that start a cache line."""
    room = np.zeros(count + ALIGNMENT // 4, np.float32)
    start = -room.ctypes.data % ALIGNMENT // 4
    return room[start : start + count]


@intrinsic
def accumulate(typing_context, vectors, potential, at, weights, tile, row, value, first, past):
    """potential[at + o] += sum over events first <= j < past of value[j] weights[tile + row[j] block + o], for o < block = 8 vectors.

    vectors: 1 to 8. potential, weights, value: float32; row: int32; all one-dimensional and contiguous. The others are integers; `tile`
    may lie before the array, as long as no event's row does. Nothing is checked. Events are added in
    order, each in one rounding.
    """
    signature = types.void(vectors, potential, at, weights, tile, row, value, first, past)

    def codegen(context, b, sig, args):
        potential_data, weight_data, row_data, value_data = (data(context, b, sig, args, i) for i in (1, 3, 5, 6))
        out, tile_data = vectors_at(b, potential_data, args[2]), b.gep(weight_data, [args[4]])

        def emit(size):
            def add(event, sums):
                line = vectors_at(b, tile_data, b.mul(b.sext(b.load(b.gep(row_data, [event])), I64), integer(LANES * size)))
                factor = splat(b, b.load(b.gep(value_data, [event])))
                return [add_product(b, total, factor, load(b, line, k)) for k, total in enumerate(sums)]

            sums = [load(b, out, k) for k in range(size)]
            _, sums = loop(b, args[7], args[8], 1, sums, add)
            for k, total in enumerate(sums):
                store(b, total, out, k)

        for_each_size(b, args[0], PASSES, emit)
        return context.get_dummy_value()

    return signature, codegen


def _accumulating(count: int) -> Callable[..., None]:
    """potential[at + o] += sum over so many events k of value[first + k] weights[tile + row[first + k] block + o], for o < block."""

    @intrinsic
    def accumulate_events(typing_context, potential, at, weights, tile, block, row, value, first):
        signature = types.void(potential, at, weights, tile, block, row, value, first)

        def codegen(context, b, sig, args):
            potential_data, weight_data, row_data, value_data = (data(context, b, sig, args, i) for i in (0, 2, 5, 6))
            events = [b.add(args[7], integer(k)) for k in range(count)]
            rows = [b.sext(b.load(b.gep(row_data, [event])), I64) for event in events]
            lines = [b.gep(weight_data, [b.add(args[3], b.mul(row, args[4]))]) for row in rows]
            factors = [splat(b, b.load(b.gep(value_data, [event]))) for event in events]
            out = b.gep(potential_data, [args[1]])

            def add(lane, _):
                total = load(b, vectors_at(b, out, lane), 0)
                for factor, line in zip(factors, lines):
                    total = add_product(b, total, factor, load(b, vectors_at(b, line, lane), 0))
                store(b, total, vectors_at(b, out, lane), 0)
                return []

            loop(b, integer(0), args[4], LANES, [], add)
            return context.get_dummy_value()

        return signature, codegen

    return accumulate_events


_accumulate_one, _accumulate_together = _accumulating(1), _accumulating(TOGETHER)


@jit(inline="always")
def accumulate_long(block, potential, at, weights, tile, row, value, first, past):
    """As `accumulate`, for any number of outputs, whose potentials stay in memory: TOGETHER events are added in one visit."""
    event = first
    while event + TOGETHER <= past:
        _accumulate_together(potential, at, weights, tile, block, row, value, event)
        event += TOGETHER
    while event < past:
        _accumulate_one(potential, at, weights, tile, block, row, value, event)
        event += 1


@intrinsic
def accumulate_row(typing_context, vectors, potential, at, weights, tile, tap, row, value, begin, first, pixels):
    """What `accumulate` does for SLIDING taps and a row of outputs, each of which lies one place behind the one before:
    potential[at + p block + o] += sum over k < SLIDING, events j of place p + k of value[j] weights[tile + k tap + row[j] block - p tap + o].

    The events of place q are begin[first + q] <= j < begin[first + q + 1]; p < pixels. vectors: 1 to MAX_SLIDING. Each event is read once for
    the SLIDING outputs that see it, whose potentials are in registers. Every output adds its events in the order of `accumulate`.
    """
    signature = types.void(vectors, potential, at, weights, tile, tap, row, value, begin, first, pixels)

    def codegen(context, b, sig, args):
        potential_data, weight_data, row_data, value_data, begin_data = (data(context, b, sig, args, i) for i in (1, 3, 6, 7, 8))
        tap, pixels, begins = args[5], args[10], b.gep(begin_data, [args[9]])

        def emit(size):
            block, nowhere = integer(LANES * size), cgutils.alloca_once(b, ir.FloatType(), LANES * size)

            def potentials(pixel):
                return b.gep(potential_data, [b.add(args[2], b.mul(pixel, block))])

            def slide(place, state):
                last = b.sub(pixels, integer(1))
                entering = b.select(b.icmp_signed("<", place, pixels), place, last)
                new = vectors_at(b, potentials(entering), integer(0))
                lines = b.gep(weight_data, [b.sub(args[4], b.mul(place, tap))])

                def add(event, sums):
                    line = b.gep(lines, [b.mul(b.sext(b.load(b.gep(row_data, [event])), I64), block)])
                    factor = splat(b, b.load(b.gep(value_data, [event])))
                    taps = [vectors_at(b, line, b.mul(tap, integer(k))) for k in range(SLIDING)]
                    return [add_product(b, total, factor, load(b, taps[k // size], k % size)) for k, total in enumerate(sums)]

                start, end = (b.load(b.gep(begins, [b.add(place, integer(k))])) for k in range(2))
                _, sums = loop(b, start, end, 1, [load(b, new, k) for k in range(size)] + state, add)
                left = b.sub(place, integer(SLIDING - 1))
                leaving = b.select(b.icmp_signed(">=", left, integer(0)), potentials(left), nowhere)
                for k in range(size):
                    store(b, sums[(SLIDING - 1) * size + k], vectors_at(b, leaving, integer(0)), k)
                return sums[: (SLIDING - 1) * size]

            loop(b, integer(0), b.add(pixels, integer(SLIDING - 1)), 1, [ir.Constant(VECTOR, [0.0] * LANES)] * ((SLIDING - 1) * size), slide)

        for_each_size(b, args[0], range(1, MAX_SLIDING + 1), emit)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def multiply(typing_context, vectors, potential, at, block, weights, tile, inputs, offset, starts, pixel, count, rows, down):
    """potential[at + p block + o] += sum over r < rows, i < count of inputs[offset + starts[pixel + p] + r down + i] w[(r count + i) block + o].

    For o < 8 vectors, vectors 1 to 4, and p < PIXELS[vectors]; w is weights[tile:]. block: floats from one row of weights, or one pixel's
    potentials, to the next. potential, weights, inputs: float32; starts: int64; all one-dimensional and contiguous. Nothing is checked. A
    pixel's inputs are added in order, each in one rounding: a silent one, 0, changes no bit.
    """
    signature = types.void(vectors, potential, at, block, weights, tile, inputs, offset, starts, pixel, count, rows, down)

    def codegen(context, b, sig, args):
        potential_data, weight_data, input_data, start_data = (data(context, b, sig, args, i) for i in (1, 4, 6, 8))
        block, tile_data, source_data = args[3], b.gep(weight_data, [args[5]]), b.gep(input_data, [args[7]])

        def emit(vectors):
            pixels, wide = range(PIXELS[vectors]), WIDE and vectors % 2 == 0
            size, lanes = (vectors // 2, 2 * LANES) if wide else (vectors, LANES)
            kind = ir.VectorType(ir.FloatType(), lanes)
            outs = [vectors_at(b, potential_data, b.add(args[2], b.mul(block, integer(p))), kind) for p in pixels]
            sources = [b.gep(source_data, [b.load(b.gep(start_data, [b.add(args[9], integer(p))]))]) for p in pixels]

            def add_row(r, sums):
                tile_row, input_row = b.gep(tile_data, [b.mul(b.mul(r, args[10]), block)]), b.mul(r, args[12])
                sources_row = [b.gep(source, [input_row]) for source in sources]

                def add(index, sums):
                    line = vectors_at(b, tile_row, b.mul(index, block), kind)
                    if size < len(sources):  # hold the fewer of the two in registers, else some potentials would have to leave theirs
                        row = [load(b, line, k) for k in range(size)]
                        factors = (splat(b, b.load(b.gep(source, [index])), lanes) for source in sources_row)
                        return [add_product(b, sums[p * size + k], factor, row[k]) for p, factor in enumerate(factors) for k in range(size)]
                    factors, new = [splat(b, b.load(b.gep(source, [index])), lanes) for source in sources_row], {}
                    for k in range(size):
                        weight = load(b, line, k)
                        new.update({(p, k): add_product(b, sums[p * size + k], factors[p], weight) for p in pixels})
                    return [new[p, k] for p in pixels for k in range(size)]

                return loop(b, integer(0), args[10], 1, sums, add)[1]

            _, sums = loop(b, integer(0), args[11], 1, [load(b, out, k) for out in outs for k in range(size)], add_row)
            for p in pixels:
                for k in range(size):
                    store(b, sums[p * size + k], outs[p], k)

        for_each_size(b, args[0], PIXELS, emit)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _multiply_channels(typing_context, vectors, potential, at, weights, lane, inputs, offset, block, height, width, down):
    signature = types.void(vectors, potential, at, weights, lane, inputs, offset, block, height, width, down)

    def codegen(context, b, sig, args):
        potential_data, weight_data, input_data = (data(context, b, sig, args, i) for i in (1, 3, 5))
        lane, block, width = args[4], args[7], args[9]
        out = vectors_at(b, potential_data, b.add(args[2], lane))

        def emit(size):
            def add_row(ky, sums):
                line = b.add(args[6], b.mul(b.mul(ky, args[10]), block))

                def add(kx, sums):
                    weight = vectors_at(b, weight_data, b.add(lane, b.mul(b.add(b.mul(ky, width), kx), block)))
                    source = vectors_at(b, input_data, b.add(b.add(line, lane), b.mul(kx, block)))
                    return [add_product(b, total, load(b, source, k), load(b, weight, k)) for k, total in enumerate(sums)]

                return loop(b, integer(0), width, 1, sums, add)[1]

            for k, total in enumerate(loop(b, integer(0), args[8], 1, [load(b, out, k) for k in range(size)], add_row)[1]):
                store(b, total, out, k)

        for_each_size(b, args[0], (1, CHANNEL_VECTORS), emit)
        return context.get_dummy_value()

    return signature, codegen


@jit(inline="always")
def multiply_channels(potential, at, weights, inputs, offset, block, height, width, down):
    """potential[at + o] += sum over ky < height, kx < width of inputs[offset + (ky down + kx) block + o] weights[(ky width + kx) block + o].

    For o < block, a multiple of eight. All arrays float32, one-dimensional and contiguous. Nothing is checked.
    """
    whole = block // (LANES * CHANNEL_VECTORS) * (LANES * CHANNEL_VECTORS)
    for lane in range(0, whole, LANES * CHANNEL_VECTORS):
        _multiply_channels(CHANNEL_VECTORS, potential, at, weights, lane, inputs, offset, block, height, width, down)
    for lane in range(whole, block, LANES):
        _multiply_channels(1, potential, at, weights, lane, inputs, offset, block, height, width, down)


@intrinsic
def prefetch(typing_context, weights, at):
    """Ask for the cache line of `weights[at]`, which may lie beyond the array, in the second-level cache."""
    signature = types.void(weights, at)

    def codegen(context, b, sig, args):
        pointer = b.bitcast(b.gep(data(context, b, sig, args, 0), [args[1]]), ir.IntType(8).as_pointer())
        read, second_level, of_data = (ir.Constant(ir.IntType(32), value) for value in (0, 2, 1))
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, *[ir.IntType(32)] * 3])
        b.call(b.module.declare_intrinsic("llvm.prefetch", [pointer.type], kind), [pointer, read, second_level, of_data])
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _add_lanes(typing_context, left, left_at, right, right_at, out, to):
    signature = types.void(left, left_at, right, right_at, out, to)

    def codegen(context, b, sig, args):
        first, second, result = (vectors_at(b, data(context, b, sig, args, i), args[i + 1]) for i in (0, 2, 4))
        store(b, b.fadd(load(b, first, 0), load(b, second, 0)), result, 0)
        return context.get_dummy_value()

    return signature, codegen


@jit(inline="always")
def add(left, left_at, right, right_at, count, out, to):
    """out[to + k] = left[left_at + k] + right[right_at + k] for k < count; one-dimensional float32."""
    whole = count // LANES * LANES
    for k in range(0, whole, LANES):
        _add_lanes(left, left_at + k, right, right_at + k, out, to + k)
    for k in range(whole, count):
        out[to + k] = left[left_at + k] + right[right_at + k]


if JIT_OFF:  # intrinsics exist in compiled code only

    def prefetch(weights, at):
        pass

    def _add_lanes(left, left_at, right, right_at, out, to):
        out[to : to + LANES] = left[left_at : left_at + LANES] + right[right_at : right_at + LANES]

    def _multiply_channels(vectors, potential, at, weights, lane, inputs, offset, block, height, width, down):
        lanes = LANES * vectors
        for ky, kx in np.ndindex(height, width):
            source, tap = offset + (ky * down + kx) * block + lane, (ky * width + kx) * block + lane
            potential[at + lane : at + lane + lanes] += inputs[source : source + lanes] * weights[tap : tap + lanes]

    def accumulate(vectors, potential, at, weights, tile, row, value, first, past):
        block = LANES * vectors
        for j in range(first, past):
            line = tile + row[j] * block
            potential[at : at + block] += value[j] * weights[line : line + block]

    def _accumulate_one(potential, at, weights, tile, block, row, value, event):
        line = tile + row[event] * block
        potential[at : at + block] += value[event] * weights[line : line + block]

    def _accumulate_together(potential, at, weights, tile, block, row, value, first):
        for event in range(first, first + TOGETHER):
            _accumulate_one(potential, at, weights, tile, block, row, value, event)

    def accumulate_row(vectors, potential, at, weights, tile, tap, row, value, begin, first, pixels):
        block = LANES * vectors
        for p in range(pixels):
            accumulate(vectors, potential, at + p * block, weights, tile - p * tap, row, value, begin[first + p], begin[first + p + SLIDING])

    def multiply(vectors, potential, at, block, weights, tile, inputs, offset, starts, pixel, count, rows, down):
        for p in range(PIXELS[vectors]):
            out, source = at + p * block, offset + starts[pixel + p]
            for r, i in np.ndindex(rows, count):
                line = tile + (r * count + i) * block
                potential[out : out + LANES * vectors] += inputs[source + r * down + i] * weights[line : line + LANES * vectors]
