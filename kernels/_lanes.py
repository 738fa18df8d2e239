"""Arithmetic on eight float64 at once, written as formulas: of LLVM vectors while code is made, of NumPy arrays where nothing is compiled.

A formula is a Python function of `Lanes` or of arrays, with + - * /, the functions here, and numbers.
"""

# Formulas are of vectors and of arrays alike.
# pyright: reportAttributeAccessIssue=false

import math

import numpy as np
from llvmlite import ir
from numpy.polynomial import chebyshev

from ._llvm import LANES, call

DOUBLES, BITS = ir.VectorType(ir.DoubleType(), LANES), ir.VectorType(ir.IntType(64), LANES)
_EITHER = "llvm.{}.v" + str(LANES) + "f64"


class Lanes:
    """Eight float64 that code under way computes. b: its builder. value: of type DOUBLES."""

    def __init__(self, b, value):
        self.b, self.value = b, value

    def of(self, other):
        """The value of `other`, or eight times that number."""
        return other.value if isinstance(other, Lanes) else ir.Constant(DOUBLES, [float(other)] * LANES)

    def _made(self, value):
        return Lanes(self.b, value)

    def __add__(self, other):
        return self._made(self.b.fadd(self.value, self.of(other), flags=("contract",)))

    def __mul__(self, other):
        return self._made(self.b.fmul(self.value, self.of(other), flags=("contract",)))

    def __sub__(self, other):
        return self._made(self.b.fsub(self.value, self.of(other), flags=("contract",)))

    def __rsub__(self, other):
        return self._made(self.b.fsub(self.of(other), self.value, flags=("contract",)))

    def __truediv__(self, other):
        return self._made(self.b.fdiv(self.value, self.of(other)))

    def __rtruediv__(self, other):
        return self._made(self.b.fdiv(self.of(other), self.value))

    def __neg__(self):
        return self._made(self.b.fneg(self.value))

    __radd__, __rmul__ = __add__, __mul__


def where(x, over, above, otherwise):
    """`above` where x > over, else `otherwise`."""
    if isinstance(x, np.ndarray):
        return np.where(x > over, above, otherwise)
    return Lanes(x.b, x.b.select(x.b.fcmp_ordered(">", x.value, x.of(over)), x.of(above), x.of(otherwise)))


def maximum(x, other):
    """The larger one."""
    return np.maximum(x, other) if isinstance(x, np.ndarray) else where(x, other, x, Lanes(x.b, x.of(other)))


def minimum(x, other):
    """The smaller one."""
    return -maximum(-x, -other)


def size(x):
    """|x|."""
    return np.abs(x) if isinstance(x, np.ndarray) else Lanes(x.b, call(x.b, _EITHER.format("fabs"), DOUBLES, x.value))


def root(x):
    """The square root."""
    return np.sqrt(x) if isinstance(x, np.ndarray) else Lanes(x.b, call(x.b, _EITHER.format("sqrt"), DOUBLES, x.value))


def polynomial(x, coefficients):
    """The sum of coefficients[k] x^k, by Estrin's scheme: few operations wait for each other."""
    terms = list(coefficients)
    while len(terms) > 1:
        left = terms[-1:] if len(terms) % 2 else []
        terms = [low + high * x for low, high in zip(terms[::2], terms[1::2])] + left
        x = x * x
    return terms[0]


def interpolated(smooth, degree):
    """Coefficients of a polynomial through points of a function on -1 to 1, which is off by little more than the best one."""
    return chebyshev.cheb2poly(chebyshev.chebinterpolate(np.vectorize(smooth), degree)).tolist()


_SHIFT = 1.5 * 2.0**52  # what is added to it is rounded to an integer, which is then in its last bits
_LOG_2 = 0.6931471803691238, 1.9082149292705877e-10  # together; the last 21 bits of the first one are 0
_EXPONENTS = -708.0, 709.0  # of e, between which float64 has its powers
_FACTORIALS = [1 / math.factorial(k) for k in range(14)]


def exp(x):
    """e^x to the last bit or two, by the series of what powers of 2 leave; no more than e^709."""
    if isinstance(x, np.ndarray):
        return np.exp(np.clip(x, *_EXPONENTS))
    inside = minimum(maximum(x, _EXPONENTS[0]), _EXPONENTS[1])
    shifted = inside * (1 / math.log(2)) + _SHIFT
    whole = shifted - _SHIFT
    series, b = polynomial(inside - whole * _LOG_2[0] - whole * _LOG_2[1], _FACTORIALS), x.b
    exponent = b.shl(b.bitcast(shifted.value, BITS), ir.Constant(BITS, [52] * LANES))
    return Lanes(b, b.bitcast(b.add(b.bitcast(series.value, BITS), exponent), DOUBLES))


_ATANH = [2 / (2 * k + 1) for k in range(11)]
_ROOT_HALF = np.float64(math.sqrt(0.5)).view(np.int64).item()  # as bits
_MANTISSA, _WHOLE = (1 << 52) - 1, np.float64(2.0**52).view(np.int64).item()
_LEAST = 2.0**-1022


def log(x):
    """The natural logarithm of x >= 0, off by less than 3e-16 of itself or 1: 2 atanh((m - 1) / (m + 1)) of what powers of 2 leave; -inf of 0, as of
    all that is below 2^-1022."""
    if isinstance(x, np.ndarray):
        with np.errstate(divide="ignore"):
            return np.log(x)
    b = x.b

    def constant(bits):
        return ir.Constant(BITS, [bits] * LANES)

    above = b.sub(b.bitcast(x.value, BITS), constant(_ROOT_HALF))
    part = Lanes(b, b.bitcast(b.add(b.and_(above, constant(_MANTISSA)), constant(_ROOT_HALF)), DOUBLES))
    biased = b.add(b.ashr(above, constant(52)), constant(1 << 20))  # not negative, so that its bits are those of a float64 from 2^52 on
    power = Lanes(b, b.bitcast(b.or_(biased, constant(_WHOLE)), DOUBLES)) - (2.0**52 + 2.0**20)
    s = (part - 1.0) / (part + 1.0)
    value = s * polynomial(s * s, _ATANH) + power * _LOG_2[1] + power * _LOG_2[0]
    return where(x, _LEAST, value, Lanes(b, x.of(-math.inf)))


_ERFC_END = 6.5  # erfc is below 4e-20 from there on


def _scaled_erfc(u):
    """(1 + 2 z) exp(z^2) erfc(z), which is smooth in u = 38/13 z / (z + 3) - 1: z goes from 0 to _ERFC_END."""
    z = 39 * (1 + u) / (38 - 13 * (1 + u))
    return (1 + 2 * z) * math.exp(z * z) * math.erfc(z)


_SCALED_ERFC = interpolated(_scaled_erfc, 16)


def erfc(x):
    """2 / sqrt(pi) times the integral of exp(-t^2) from x on, off by less than 2e-14."""
    z = size(x)
    inside = minimum(z, _ERFC_END)
    beyond = exp(-z * z) * polynomial((38 / 13) * inside / (inside + 3.0) - 1.0, _SCALED_ERFC) / (1.0 + 2.0 * inside)
    return where(x, 0.0, beyond, 2.0 - beyond)


_ARCTANGENT = interpolated(lambda u: math.atan(math.sqrt((1 + u) / 2)) / math.sqrt((1 + u) / 2), 20)  # atan(z) / z for z^2 = (1 + u) / 2


def arctangent(x):
    """atan(x), off by less than 1e-14."""
    z = size(x)
    inside = where(z, 1.0, 1.0 / maximum(z, 1.0), z)
    value = inside * polynomial(2.0 * (inside * inside) - 1.0, _ARCTANGENT)
    turned = where(z, 1.0, math.pi / 2 - value, value)
    return where(x, 0.0, turned, -turned)
