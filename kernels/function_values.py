"""Values of the functions that thresholds are shaped after, in float64. The definitions in `network/activations/` are the twins."""

# Without compilation, plain functions stand in for the intrinsics; formulas are of vectors and of arrays alike.
# pyright: reportRedeclaration=false, reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba.core import types

from ._jit import JIT_OFF, intrinsic, jit
from ._lanes import DOUBLES, Lanes, arctangent, erfc, exp, log, maximum, minimum, root, size, where
from ._llvm import LANES, data, for_each_size, integer, loop, splat

FARTHEST = 2.0**100  # of a potential: what no float32 network reaches


def logistic(x, a, b, c, d, e):
    """(a + b x) / (1 + exp(-(c x + d x^3))) + e"""
    return (a + b * x) / (1.0 + exp(-(c + d * (x * x)) * x)) + e


def normal(x, a, b, c, d, e):
    """(a + b x) erfc(-c x) + e"""
    return (a + b * x) * erfc(-c * x) + e


def exponential(x, a, b, c, d, e):
    """a max(x, 0) + b exp(c min(x, d)) + e"""
    return a * maximum(x, 0.0) + b * exp(c * minimum(x, d)) + e


def softplus(x, *_):
    """log(1 + exp(x))"""
    return maximum(x, 0.0) + log(1.0 + exp(-size(x)))


def mish(x, *_):
    """x tanh(log(1 + exp(x)))"""
    grown = exp(minimum(x, 40.0))
    return x * (1.0 - 2.0 / (grown * (grown + 2.0) + 2.0))


def gated_line(x, a, b, *_):
    """x min(max(x + a, 0), b) / b"""
    return x * minimum(maximum(x + a, 0.0), b) / b


def dead_zone(x, a, b, c, *_):
    """x - b for x > a, x + b for x < -c, else 0"""
    return where(x, a, x - b, where(-x, c, x + b, x * 0.0))


def square(x, *_):
    """x^2"""
    return x * x


def square_root(x, *_):
    """x^(1/2)"""
    return root(x)


def reciprocal(x, *_):
    """1 / x"""
    return 1.0 / x


def reciprocal_root(x, *_):
    """x^(-1/2)"""
    return 1.0 / root(x)


def power(x, a, *_):
    """sign(x) |x|^a"""
    of_size = exp(a * log(size(x)))
    return where(x, 0.0, of_size, -of_size)


def logarithm(x, *_):
    """log(x)"""
    return log(x)


def inverse_tangent(x, *_):
    """atan(x)"""
    return arctangent(x)


def softsign(x, *_):
    """x / (1 + |x|)"""
    return x / (1.0 + size(x))


FORMULAS = (
    logistic,
    normal,
    exponential,
    softplus,
    mish,
    gated_line,
    dead_zone,
    square,
    square_root,
    reciprocal,
    reciprocal_root,
    power,
    logarithm,
    inverse_tangent,
    softsign,
)
PIECES = len(FORMULAS)  # the code of cubics, piece by piece
PARAMETERS = 5
NO_PIECES = np.empty((0, 5))


class Function(NamedTuple):
    """f(V) = factor (g(clip(sign V, first, last)) - offset).

    code: of g, its place in FORMULAS, or PIECES. numbers: (3 + PARAMETERS,) float64: sign, first, last, g's parameters. factor, offset: what the
    value is behind g. pieces: (m, 5) float64: ((p_1 t + p_2) t + p_3) t + p_4 with t = x - p_0 from x = p_0 to the next one's, and before the
    first p_0 as well.
    """

    code: int
    numbers: np.ndarray
    factor: float
    offset: float
    pieces: np.ndarray

    def turned(self) -> Function:
        """f(-V)."""
        return self._replace(numbers=np.array([-self.numbers[0], *self.numbers[1:]]))


def function(
    formula: Callable | None,
    *parameters: float,
    sign: float = 1.0,
    first: float = -FARTHEST,
    last: float = FARTHEST,
    factor: float = 1.0,
    offset: float = 0.0,
    pieces: np.ndarray = NO_PIECES,
) -> Function:
    """A `Function`; formula: one of FORMULAS, None for `pieces`; parameters that are left out are 0."""
    code = PIECES if formula is None else FORMULAS.index(formula)
    numbers = np.array([sign, first, last, *parameters, *[0.0] * (PARAMETERS - len(parameters))])
    return Function(code, numbers, factor, offset, np.ascontiguousarray(pieces, np.float64))


@intrinsic
def _by_formula(typing_context, code, numbers, x):
    """x[i] = g(x[i]) of a formula, for all of x, (m,) float64, m a multiple of LANES. numbers: of a `Function`."""

    def codegen(context, b, sig, args):
        values, given = data(context, b, sig, args, 2), data(context, b, sig, args, 1)
        parameters = [Lanes(b, splat(b, b.load(b.gep(given, [integer(3 + k)])))) for k in range(PARAMETERS)]
        length = context.make_array(sig.args[2])(context, b, args[2]).nitems

        def emit(formula: int) -> None:
            def one(index, _):
                pointer = b.bitcast(b.gep(values, [index]), DOUBLES.as_pointer())
                found = FORMULAS[formula](Lanes(b, b.load(pointer, align=8)), *parameters)
                b.store(found.value, pointer, align=8)
                return []

            loop(b, integer(0), length, LANES, [], one)

        for_each_size(b, args[0], range(len(FORMULAS)), emit)
        return context.get_dummy_value()

    return types.void(types.int64, numbers, x), codegen


if JIT_OFF:  # intrinsics exist in compiled code only

    def _by_formula(code, numbers, x):
        with np.errstate(all="ignore"):
            x[:] = FORMULAS[code](x, *numbers[3:])


@jit()
def evaluate(code, numbers, pieces, x):
    """x[i] = g(clip(sign x[i], first, last)) of a `Function`. x: (m,) float64, m a multiple of LANES."""
    sign, first, last = numbers[0], numbers[1], numbers[2]
    for i in range(x.size):
        x[i] = min(max(sign * x[i], first), last)
    if code < PIECES:
        _by_formula(code, numbers, x)
    else:
        for i in range(x.size):
            k, left = 0, pieces.shape[0]
            while left > 1:
                k += left // 2 if pieces[k + left // 2, 0] <= x[i] else 0
                left -= left // 2
            t = x[i] - pieces[k, 0]
            x[i] = ((pieces[k, 1] * t + pieces[k, 2]) * t + pieces[k, 3]) * t + pieces[k, 4]
