"""Products and quotients of two computed tensors, as squares of their sums.

1. Mul(a, a)                        -> Pow(a, 2)
2. Mul(a, b)                        -> (c a/2 + b/(2 c))^2 - (c a/2 - b/(2 c))^2, c^2 = max |b| / max |a| on data
3. Div(Exp(z), s), s a sum of it    -> Exp(z - Log(s))
4. Div(a, Sqrt(v)), a computed      -> a times Pow(v, -0.5), by 2
5. Div(a, b)                        -> a times Reciprocal(b), by 2; where b is negative on data, -a and -b
6. Reciprocal(Sqrt(v))              -> Pow(v, -0.5)

With this c both summands are as large as each other, and the squares no larger than the product gets: on a grid of spike times the error is
a share of the squares' range. Quarter squares are how tables multiplied before logarithms (Voisin, 1817); analogue computers' multipliers too.
"""

from __future__ import annotations

import math

from ..unsupported import UnsupportedNode
from .rewriting import Rewriting


def rewrite_mul(rewriting: Rewriting) -> str | None:
    """a b. None where one of them is constant, which is a factor."""
    first, second = rewriting.node.inputs
    if rewriting.is_constant(first) or rewriting.is_constant(second):
        return None
    return product(rewriting, first, second)


def rewrite_div(rewriting: Rewriting) -> str | None:
    """a / b. None where b is constant."""
    first, second = rewriting.node.inputs
    return None if rewriting.is_constant(second) else quotient(rewriting, first, second)


def rewrite_reciprocal(rewriting: Rewriting) -> str | None:
    """1 / Sqrt(v), as one function of v. None for other values."""
    (value,) = rewriting.node.inputs
    return inverse(rewriting, value) if rewriting.made_by(value, "Sqrt") else None


def quotient(rewriting: Rewriting, first: str, second: str) -> str:
    """first / second, the second one computed."""
    exponential, whole = rewriting.made_by(first, "Exp"), rewriting.made_by(second, "ReduceSum")
    if exponential is not None and whole is not None and whole.inputs[0] == first:
        return rewriting.add("share", "Exp", rewriting.add("exponent", "Sub", exponential.inputs[0], rewriting.add("logarithm", "Log", second)))
    if rewriting.made_by(second, "Sqrt"):
        return times(rewriting, first, inverse(rewriting, second))
    low, high = rewriting.graph.ends(second) or (0.0, 0.0)
    if low < 0 < high:
        raise UnsupportedNode(f"it divides by values from {low:.3g} to {high:.3g}", "divide by values of one sign")
    if low < 0:
        return times(rewriting, first, inverse(rewriting, rewriting.add("mirrored", "Mul", second, -1.0)), -1.0)
    return times(rewriting, first, inverse(rewriting, second))


def inverse(rewriting: Rewriting, value: str) -> str:
    """1 / value, of a root as one function of what is under it."""
    root = rewriting.made_by(value, "Sqrt")
    if root is None:
        return rewriting.add("inverse", "Reciprocal", value)
    rewriting.absorbed.append(root)
    return rewriting.add("inverse", "Pow", root.inputs[0], -0.5)


def times(rewriting: Rewriting, first: str, second: str, sign: float = 1.0) -> str:
    """sign * first * second, of which the first may be constant."""
    if rewriting.is_constant(first):
        return rewriting.add("product", "Mul", second if sign > 0 else rewriting.add("negated", "Mul", second, sign), first)
    return product(rewriting, first, second, sign)


def product(rewriting: Rewriting, first: str, second: str, sign: float = 1.0) -> str:
    """sign * first * second, both computed."""
    if first == second:
        return rewriting.add("square", "Pow", first, 2.0)
    scale = math.sqrt(rewriting.graph.ratio(first, second))
    return rewriting.add(
        "product",
        "Sub",
        *squares(rewriting, _scaled(rewriting, "first", first, math.copysign(scale, sign)), _scaled(rewriting, "second", second, 1 / scale)),
    )


def squares(rewriting: Rewriting, first: str, second: str) -> tuple[str, str]:
    """(first + second)^2 and (first - second)^2."""
    total, difference = (rewriting.add(called, operator, first, second) for called, operator in (("sum", "Add"), ("difference", "Sub")))
    return rewriting.add("squared_sum", "Pow", total, 2.0), rewriting.add("squared_difference", "Pow", difference, 2.0)


def _scaled(rewriting: Rewriting, called: str, value: str, scale: float) -> str:
    return rewriting.add(called, "Mul", value, scale / 2)
