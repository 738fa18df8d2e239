"""Building blocks of the intrinsics: LLVM vectors of eight floats, loads and stores at any address, loops that carry vectors."""

from llvmlite import binding, ir
from numba.core import config

LANES = 8  # float32 per vector
FEATURES = config.CPU_FEATURES or binding.get_host_cpu_features().flatten()  # pyright: ignore[reportAttributeAccessIssue] - from the environment
WIDE = "+avx512f" in FEATURES  # registers hold two vectors
VECTOR, I32, I64 = ir.VectorType(ir.FloatType(), LANES), ir.IntType(32), ir.IntType(64)
ANY = ir.Constant(VECTOR, ir.Undefined)


def integer(value):
    """A 64-bit constant."""
    return ir.Constant(I64, value)


def data(context, b, signature, args, i):
    """Pointer to the elements of the array that is argument `i` of an intrinsic."""
    return context.make_array(signature.args[i])(context, b, args[i]).data


def vectors_at(b, pointer, element, kind=VECTOR):
    """`pointer`, moved on by `element` elements, as one to vectors of type `kind`."""
    return b.bitcast(b.gep(pointer, [element]), kind.as_pointer())


def load(b, pointer, k):
    """The `k`-th vector at `pointer`, which need not be aligned to vectors."""
    value = b.load(b.gep(pointer, [integer(k)]))
    value.align = 4
    return value


def store(b, value, pointer, k):
    """Write `value` as the `k`-th vector at `pointer`, which need not be aligned to vectors."""
    b.store(value, b.gep(pointer, [integer(k)])).align = 4


def add_product(b, total, factor, vector):
    """total + factor vector, as one fused instruction where the processor has it."""
    return b.fadd(total, b.fmul(factor, vector, flags=("contract",)), flags=("contract",))


def loop(b, first, past, step, state, body):
    """`state` after `body(index, state)` for index = first, first + step, ... while index + step <= past, and the index reached."""
    before, inside, done = b.block, b.append_basic_block("inside"), b.append_basic_block("done")
    b.cbranch(b.icmp_signed("<=", b.add(first, integer(step)), past), inside, done)
    b.position_at_end(inside)
    index, now = b.phi(I64), [b.phi(value.type) for value in state]
    new = body(index, now)
    following, last = b.add(index, integer(step)), b.block
    b.cbranch(b.icmp_signed("<=", b.add(following, integer(step)), past), inside, done)
    b.position_at_end(done)
    reached, after = b.phi(I64), [b.phi(value.type) for value in state]
    for phi, start, end in zip([index, *now], [first, *state], [following, *new]):
        phi.add_incoming(start, before)
        phi.add_incoming(end, last)
    for phi, start, end in zip([reached, *after], [first, *state], [following, *new]):
        phi.add_incoming(start, before)
        phi.add_incoming(end, last)
    return reached, after


def for_each_size(b, size, sizes, emit):
    """A switch with one case for each of `sizes`."""
    end = b.append_basic_block("end")
    switch = b.switch(size, end)
    for case in sizes:
        block = b.append_basic_block(f"size{case}")
        switch.add_case(ir.Constant(size.type, case), block)
        b.position_at_end(block)
        emit(case)
        b.branch(end)
    b.position_at_end(end)


def splat(b, scalar, lanes=LANES):
    """A vector of so many times `scalar`, of any type."""
    vector = ir.VectorType(scalar.type, lanes)
    one = b.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.Constant(I32, 0))
    return b.shuffle_vector(one, ir.Constant(vector, ir.Undefined), ir.Constant(ir.VectorType(I32, lanes), [0] * lanes))


def call(b, name, result, *arguments):
    """An LLVM intrinsic function by name."""
    return b.call(b.module.declare_intrinsic(name, (), ir.FunctionType(result, [argument.type for argument in arguments])), arguments)


def permute(context, b, values, lanes):
    """values[lanes[k]] for each of eight lanes; one instruction where the processor has it."""
    if "+avx2" in getattr(context.codegen(), "_tm_features", ""):
        return call(b, "llvm.x86.avx2.permps", VECTOR, values, lanes)
    result = ANY
    for k in range(LANES):
        lane = ir.Constant(I32, k)
        result = b.insert_element(result, b.extract_element(values, b.extract_element(lanes, lane)), lane)
    return result
