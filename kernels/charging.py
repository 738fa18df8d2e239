"""Eight neurons or more through many time steps while their currents and potentials stay in registers: V += I dt, and the threshold."""

# Without compilation, plain functions stand in for the intrinsics.
# pyright: reportRedeclaration=false

import numpy as np
from llvmlite import ir
from numba.core import types

from ._jit import JIT_OFF, intrinsic
from ._lanes import DOUBLES
from ._llvm import I64, LANES, add_product, data, for_each_size, integer, load, loop, splat, store, vectors_at
from .incoming_spikes import TOGETHER

MOST_VECTORS = 4  # of neurons: their currents and potentials fill half of AVX-512's registers, or all of AVX2's


def _doubles_at(b, pointer, element):
    return b.bitcast(b.gep(pointer, [element]), DOUBLES.as_pointer())


def _adding(b, size, weights, row, factor):
    """Body of a `loop` over the lists: TOGETHER more spikes switch on currents. factor: None where all are 1."""

    def add(event, currents):
        events = [b.add(event, integer(k)) for k in range(TOGETHER)]
        lines = [vectors_at(b, weights, b.zext(b.load(b.gep(row, [each])), I64)) for each in events]
        factors = None if factor is None else [splat(b, b.load(b.gep(factor, [each]))) for each in events]
        new = []
        for k, current in enumerate(currents):
            parts = [load(b, line, k) for line in lines]
            if factors is not None:
                parts = [b.fmul(part, each) for part, each in zip(parts, factors)]
            while len(parts) > 1:
                parts = [b.fadd(left, right) for left, right in zip(parts[::2], parts[1::2])]
            new.append(b.fadd(current, b.fpext(parts[0], DOUBLES)))
        return new

    return add


def _charging(weighted: bool):
    @intrinsic
    def charge(typing_context, vectors, current, potential, weights, tile, row, factor, begin, at, steps, dt):
        """`steps` steps of `dt`: I += the weights of the spikes begin[at + s] <= j < begin[at + s + 1], V += I dt.

        vectors: of LANES neurons, 1 to MOST_VECTORS. current, potential: I, V, float64. weights: float32; those of spike j start at tile + row[j];
        row: int32. factor: float32, of each spike. begin: int64; all of them multiples of TOGETHER apart. Arrays are contiguous; nothing is checked.
        """
        signature = types.void(vectors, current, potential, weights, tile, row, factor, begin, at, steps, dt)

        def codegen(context, b, sig, args):
            current_data, potential_data, weight_data, row_data, factor_data, begin_data = (
                data(context, b, sig, args, i) for i in (1, 2, 3, 5, 6, 7)
            )
            begins, dt = b.gep(begin_data, [args[8]]), splat(b, args[10])

            def emit(size):
                currents, potentials = (_doubles_at(b, each, integer(0)) for each in (current_data, potential_data))
                add = _adding(b, size, b.gep(weight_data, [args[4]]), row_data, factor_data if weighted else None)

                def step(s, state):
                    first, past = (b.load(b.gep(begins, [b.add(s, integer(k))])) for k in range(2))
                    _, flowing = loop(b, first, past, TOGETHER, state[:size], add)
                    return flowing + [add_product(b, charge, each, dt) for each, charge in zip(flowing, state[size:])]

                state = [load(b, each, k) for each in (currents, potentials) for k in range(size)]
                _, state = loop(b, integer(0), args[9], 1, state, step)
                for k in range(size):
                    store(b, state[k], currents, k)
                    store(b, state[size + k], potentials, k)

            for_each_size(b, args[0], range(1, MOST_VECTORS + 1), emit)
            return context.get_dummy_value()

        return signature, codegen

    @intrinsic
    def switch_on(typing_context, vectors, current, weights, tile, row, factor, first, past):
        """I += the weights of the spikes first <= j < past, as for `charge`, all at one time."""
        signature = types.void(vectors, current, weights, tile, row, factor, first, past)

        def codegen(context, b, sig, args):
            current_data, weight_data, row_data, factor_data = (data(context, b, sig, args, i) for i in (1, 2, 4, 5))

            def emit(size):
                currents = _doubles_at(b, current_data, integer(0))
                add = _adding(b, size, b.gep(weight_data, [args[3]]), row_data, factor_data if weighted else None)
                _, flowing = loop(b, args[6], args[7], TOGETHER, [load(b, currents, k) for k in range(size)], add)
                for k, each in enumerate(flowing):
                    store(b, each, currents, k)

            for_each_size(b, args[0], range(1, MOST_VECTORS + 1), emit)
            return context.get_dummy_value()

        return signature, codegen

    @intrinsic
    def charge_between(typing_context, vectors, current, potential, weights, tile, time, row, factor, first, past):
        """From time 0 to 1, V += I dt between the spikes first <= j < past, each of which comes at time[j], ascending float64, and adds to I as for
        `charge`."""
        signature = types.void(vectors, current, potential, weights, tile, time, row, factor, first, past)

        def codegen(context, b, sig, args):
            arrays = (data(context, b, sig, args, i) for i in (1, 2, 3, 5, 6, 7))
            current_data, potential_data, weight_data, time_data, row_data, factor_data = arrays
            lines, end = b.gep(weight_data, [args[4]]), ir.Constant(ir.DoubleType(), 1.0)

            def emit(size):
                currents, potentials = (_doubles_at(b, each, integer(0)) for each in (current_data, potential_data))

                def wait(until, state):
                    dt = splat(b, b.fsub(until, state[0]))
                    return [add_product(b, charge, each, dt) for each, charge in zip(state[1 : 1 + size], state[1 + size :])]

                def arrive(event, state):
                    now = b.load(b.gep(time_data, [event]))
                    charges = wait(now, state)
                    line = vectors_at(b, lines, b.zext(b.load(b.gep(row_data, [event])), I64))
                    parts = [b.fpext(load(b, line, k), DOUBLES) for k in range(size)]
                    if weighted:
                        share = splat(b, b.fpext(b.load(b.gep(factor_data, [event])), ir.DoubleType()))
                        parts = [b.fmul(part, share) for part in parts]
                    return [now, *(b.fadd(each, part) for each, part in zip(state[1 : 1 + size], parts)), *charges]

                state = [ir.Constant(ir.DoubleType(), 0.0), *(load(b, each, k) for each in (currents, potentials) for k in range(size))]
                _, state = loop(b, args[8], args[9], 1, state, arrive)
                for k, charge in enumerate(wait(end, state)):
                    store(b, state[1 + k], currents, k)
                    store(b, charge, potentials, k)

            for_each_size(b, args[0], range(1, MOST_VECTORS + 1), emit)
            return context.get_dummy_value()

        return signature, codegen

    return charge, switch_on, charge_between


charge, switch_on, charge_between = _charging(False)
charge_by_factors, switch_on_by_factors, charge_between_by_factors = _charging(True)


@intrinsic
def charge_in_place(typing_context, vectors, current, potential, increments, steps, dt):
    """`charge` where step s switches on increments[s, :], (steps, LANES vectors) float64."""
    signature = types.void(vectors, current, potential, increments, steps, dt)

    def codegen(context, b, sig, args):
        currents, potentials, source = (_doubles_at(b, data(context, b, sig, args, i), integer(0)) for i in (1, 2, 3))
        dt = splat(b, args[5])

        def emit(size):
            def step(s, state):
                line = b.gep(source, [b.mul(s, integer(size))])
                flowing = [b.fadd(each, load(b, line, k)) for k, each in enumerate(state[:size])]
                return flowing + [add_product(b, charge, each, dt) for each, charge in zip(flowing, state[size:])]

            state = [load(b, each, k) for each in (currents, potentials) for k in range(size)]
            _, state = loop(b, integer(0), args[4], 1, state, step)
            for k in range(size):
                store(b, state[k], currents, k)
                store(b, state[size + k], potentials, k)

        for_each_size(b, args[0], range(1, MOST_VECTORS + 1), emit)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def climb(typing_context, vectors, potential, rise, threshold, at, stride, steps, fired):
    """fired: the first of `steps` steps s with V >= threshold[at + s stride], or `steps`; V += rise after each. threshold: float64, fired: int64,
    the rest as for `charge`."""
    signature = types.void(vectors, potential, rise, threshold, at, stride, steps, fired)

    def codegen(context, b, sig, args):
        potential_data, rise_data, threshold_data, fired_data = (data(context, b, sig, args, i) for i in (1, 2, 3, 7))
        counts = ir.VectorType(I64, LANES)

        def emit(size):
            begin, rises = (_doubles_at(b, each, integer(0)) for each in (potential_data, rise_data))
            rise = [load(b, rises, k) for k in range(size)]

            def step(s, state):
                thresholds = _doubles_at(b, threshold_data, b.add(args[4], b.mul(s, args[5])))
                new = []
                for k in range(size):
                    charge, waiting, count = state[3 * k : 3 * k + 3]
                    below = b.fcmp_ordered("<", charge, load(b, thresholds, k))
                    waiting = b.select(below, waiting, ir.Constant(counts, [0] * LANES))
                    new += [b.fadd(charge, rise[k]), waiting, b.add(count, waiting)]
                return new

            state = [each for k in range(size) for each in (load(b, begin, k), ir.Constant(counts, [1] * LANES), ir.Constant(counts, [0] * LANES))]
            _, state = loop(b, integer(0), args[6], 1, state, step)
            out = b.bitcast(fired_data, counts.as_pointer())
            for k in range(size):
                store(b, state[3 * k + 2], out, k)

        for_each_size(b, args[0], range(1, MOST_VECTORS + 1), emit)
        return context.get_dummy_value()

    return signature, codegen


if JIT_OFF:  # intrinsics exist in compiled code only

    def charge_by_factors(vectors, current, potential, weights, tile, row, factor, begin, at, steps, dt):
        begins = begin.reshape(-1)[at:]
        for s in range(steps):
            switch_on_by_factors(vectors, current, weights, tile, row, factor, begins[s], begins[s + 1])
            potential += current * dt

    def switch_on_by_factors(vectors, current, weights, tile, row, factor, first, past):
        for j in range(first, past):
            current += weights[tile + row[j] : tile + row[j] + current.size] * (factor[j] if factor.size else np.float32(1))

    def charge_between_by_factors(vectors, current, potential, weights, tile, time, row, factor, first, past):
        now = 0.0
        for j in range(first, past):
            potential += current * (time[j] - now)
            current += weights[tile + row[j] : tile + row[j] + current.size] * np.float64(factor[j] if factor.size else 1)
            now = time[j]
        potential += current * (1 - now)

    def charge_in_place(vectors, current, potential, increments, steps, dt):
        for s in range(steps):
            current += increments.reshape(-1)[s * current.size : (s + 1) * current.size]
            potential += current * dt

    def climb(vectors, potential, rise, threshold, at, stride, steps, fired):
        charge, waiting = potential.copy(), np.ones(potential.size, bool)
        fired[:] = 0
        for s in range(steps):
            begin = at + s * stride
            waiting &= charge < threshold.reshape(-1)[begin : begin + charge.size]
            fired += waiting
            charge += rise

    charge, switch_on, charge_between = charge_by_factors, switch_on_by_factors, charge_between_by_factors
