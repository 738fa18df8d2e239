"""The vector primitive: add weighted events to a block of potentials that stays in registers.

Plain loops reload and store the potentials for every event, at a fraction of the speed; so `accumulate` is emitted as LLVM vectors of
eight floats. One variant for each block of 1 to 8 vectors (8 to 64 outputs); `block_vectors` chooses among them.
"""

import numpy as np
from llvmlite import ir
from numba.core import cgutils, config, types
from numba.extending import intrinsic

from ._jit import jit

LANES = 8  # float32 per vector register
MAX_VECTORS = 8  # a block of potentials fills half of the sixteen registers; the others carry weights


def block_vectors(outputs: int) -> int:
    """Vectors per block, 1 to 8, so that `outputs` split into the fewest blocks with the least padding."""
    vectors = -(-outputs // LANES)
    blocks = -(-vectors // MAX_VECTORS)
    return -(-vectors // blocks)


def blocked(weights: np.ndarray, groups: int) -> np.ndarray:
    """Weights (taps, channels / groups, outputs) as (groups, blocks, taps, channels / groups, block), outputs padded with zeros."""
    taps, channels, outputs = weights.shape
    per_group = outputs // groups
    block = LANES * block_vectors(per_group)
    blocks = -(-per_group // block)
    padded = np.zeros((taps, channels, groups, blocks * block), np.float32)
    padded[..., :per_group] = weights.reshape(taps, channels, groups, per_group)
    return np.ascontiguousarray(padded.reshape(taps, channels, groups, blocks, block).transpose(2, 3, 0, 1, 4))


def _emit(vectors):
    @intrinsic
    def accumulate_block(typing_context, potential, weights, channel, activation, count):
        signature = types.void(potential, weights, channel, activation, count)

        def codegen(context, b, sig, args):
            potential_data, weight_data, channel_data, activation_data = (
                context.make_array(sig.args[i])(context, b, args[i]) for i in range(4))
            vector = ir.VectorType(ir.FloatType(), LANES)
            i32, i64 = ir.IntType(32), ir.IntType(64)
            one_lane = ir.Constant(vector, ir.Undefined)
            spread = ir.Constant(ir.VectorType(i32, LANES), [0] * LANES)
            row_length = b.udiv(cgutils.unpack_tuple(b, weight_data.strides)[0], ir.Constant(i64, 4))

            def load(pointer, k):
                value = b.load(b.gep(pointer, [ir.Constant(i64, k)]))
                value.align = 4
                return value

            out = b.bitcast(potential_data.data, vector.as_pointer())
            start = [load(out, k) for k in range(vectors)]
            before, loop, done = b.block, b.append_basic_block("events"), b.append_basic_block("done")
            b.cbranch(b.icmp_signed(">", args[4], ir.Constant(i64, 0)), loop, done)

            b.position_at_end(loop)
            event = b.phi(i64)
            event.add_incoming(ir.Constant(i64, 0), before)
            sums = [b.phi(vector) for _ in range(vectors)]
            for k in range(vectors):
                sums[k].add_incoming(start[k], before)
            scalar = b.load(b.gep(activation_data.data, [event]))
            a = b.shuffle_vector(b.insert_element(one_lane, scalar, ir.Constant(i32, 0)), one_lane, spread)
            c = b.sext(b.load(b.gep(channel_data.data, [event])), i64)
            row = b.bitcast(b.gep(weight_data.data, [b.mul(c, row_length)]), vector.as_pointer())
            added = [b.fadd(sums[k], b.fmul(a, load(row, k), flags=("contract",)), flags=("contract",)) for k in range(vectors)]
            following = b.add(event, ir.Constant(i64, 1))
            event.add_incoming(following, loop)
            for k in range(vectors):
                sums[k].add_incoming(added[k], loop)
            b.cbranch(b.icmp_signed("<", following, args[4]), loop, done)

            b.position_at_end(done)
            finals = [b.phi(vector) for _ in range(vectors)]
            for k in range(vectors):
                finals[k].add_incoming(start[k], before)
                finals[k].add_incoming(added[k], loop)
            for k in range(vectors):
                b.store(finals[k], b.gep(out, [ir.Constant(i64, k)])).align = 4
            return context.get_dummy_value()

        return signature, codegen

    return accumulate_block


_1, _2, _3, _4, _5, _6, _7, _8 = (_emit(vectors) for vectors in range(1, MAX_VECTORS + 1))


@jit()
def accumulate(vectors, potential, weights, channel, activation, count):
    """potential[o] += sum over events j < count of activation[j] weights[channel[j], o], for o < 8 vectors.

    vectors: 1 to 8. potential: (8 vectors,) float32. weights: (channels, 8 vectors) float32. channel: int32, and activation:
    float32, both of at least `count` elements. All contiguous in their last axis; nothing is checked. Events are added in order.
    """
    if vectors == 1:
        _1(potential, weights, channel, activation, count)
    elif vectors == 2:
        _2(potential, weights, channel, activation, count)
    elif vectors == 3:
        _3(potential, weights, channel, activation, count)
    elif vectors == 4:
        _4(potential, weights, channel, activation, count)
    elif vectors == 5:
        _5(potential, weights, channel, activation, count)
    elif vectors == 6:
        _6(potential, weights, channel, activation, count)
    elif vectors == 7:
        _7(potential, weights, channel, activation, count)
    else:
        _8(potential, weights, channel, activation, count)


if config.DISABLE_JIT:  # intrinsics exist in compiled code only

    def accumulate(vectors, potential, weights, channel, activation, count):
        for j in range(count):
            potential[:LANES * vectors] += activation[j] * weights[channel[j], :LANES * vectors]
