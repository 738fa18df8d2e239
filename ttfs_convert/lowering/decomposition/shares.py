"""Softmax and its like in the middle of a network: shares of a sum, without a product.

z = x - max(x), over the axes that they work along

1. LogSoftmax(x)          -> z - Log(sum of Exp(z))
2. Softmax(x)             -> Exp of that
3. ReduceLogSumExp(x)     -> max(x) + Log(sum of Exp(z))
4. ReduceLogSum(x)        -> Log(sum of x)
5. ReduceL2(x)            -> Sqrt(sum of x^2)
6. ReduceSumSquare(x)     -> sum of x^2

7. Softmax(x + mask)      -> the same of x where the mask allows, of -max |x| on data elsewhere; there neither summed nor given

Until opset 12, Softmax works along all axes from `axis` on, since then along that one. What is read as z is right for any z that differs
from it by a number per sum: an error of the maximum cancels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..unsupported import UnsupportedNode
from .rewriting import Rewriting

FORBIDDEN = -1e4  # added to a score, or less: its share is 0


def rewrite_softmax(rewriting: Rewriting) -> str:
    """Exp(x) / sum of Exp(x)."""
    (value,) = rewriting.node.inputs
    return shares(rewriting, *_unmasked(rewriting, value, _axes(rewriting, value)))


def shares(rewriting: Rewriting, value: str, axes: Sequence[int], mask: np.ndarray | None) -> str:
    """Softmax of `value` + `mask` over `axes`. mask: constant, None for nothing; what it forbids gets 0."""
    if mask is None:
        z, _, logarithm = _log_of_sum(rewriting, value, axes, True)
        return rewriting.add("share", "Exp", rewriting.add("exponent", "Sub", z, logarithm))
    allowed = (mask > FORBIDDEN).astype(np.float64)
    least = -rewriting.graph.magnitude(value) + min(0.0, float(mask[mask > FORBIDDEN].min()))
    masked = rewriting.add("masked", "Add", rewriting.add("allowed", "Mul", value, allowed), np.where(allowed > 0, mask, least))
    z = rewriting.add("lowered", "Sub", masked, rewriting.reduced("maximum", "ReduceMax", masked, axes))
    summed = rewriting.add("summands", "Mul", rewriting.add("exponential", "Exp", z), allowed)
    logarithm = rewriting.add("logarithm", "Log", rewriting.reduced("sum", "ReduceSum", summed, axes))
    return rewriting.add("shares", "Mul", rewriting.add("share", "Exp", rewriting.add("exponent", "Sub", z, logarithm)), allowed)


def _unmasked(rewriting: Rewriting, value: str, axes: Sequence[int]) -> tuple[str, Sequence[int], np.ndarray | None]:
    """What a mask is added to, the axes, and the mask, where a constant one forbids something, but not all that is summed."""
    node = rewriting.made_by(value, "Add")
    if node is None:
        return value, axes, None
    for scores, added in (node.inputs, node.inputs[::-1]):
        array, shape = rewriting.graph.constant(added), rewriting.graph.shape(value)
        if array is None or shape is None or rewriting.graph.shape(scores) != shape:
            continue
        allowed = np.broadcast_to(array > FORBIDDEN, shape)
        if not allowed.all() and allowed.any(tuple(axes)).all():
            rewriting.absorbed.append(node)
            return scores, axes, array.astype(np.float64)
    return value, axes, None


def rewrite_log_softmax(rewriting: Rewriting) -> str:
    """Its logarithm."""
    (value,) = rewriting.node.inputs
    z, _, logarithm = _log_of_sum(rewriting, value, _axes(rewriting, value), True)
    return rewriting.add("exponent", "Sub", z, logarithm)


def rewrite_reduce_log_sum_exp(rewriting: Rewriting) -> str:
    """Log(sum of Exp(x))."""
    value, axes, keepdims = _reduction(rewriting)
    _, largest, logarithm = _log_of_sum(rewriting, value, axes, keepdims)
    if not keepdims:
        largest = rewriting.reduced("largest", "ReduceMax", value, axes, False)
    return rewriting.add("whole", "Add", largest, logarithm)


def rewrite_reduce_log_sum(rewriting: Rewriting) -> str:
    """Log(sum of x)."""
    value, axes, keepdims = _reduction(rewriting)
    return rewriting.add("logarithm", "Log", rewriting.reduced("summed", "ReduceSum", value, axes, keepdims))


def rewrite_reduce_l2(rewriting: Rewriting) -> str:
    """The root of the sum of squares."""
    return rewriting.add("root", "Sqrt", rewrite_reduce_sum_square(rewriting))


def rewrite_reduce_sum_square(rewriting: Rewriting) -> str:
    """The sum of squares."""
    value, axes, keepdims = _reduction(rewriting)
    return rewriting.reduced("summed", "ReduceSum", rewriting.add("squares", "Pow", value, 2.0), axes, keepdims)


def _log_of_sum(rewriting: Rewriting, value: str, axes: Sequence[int], keepdims: bool) -> tuple[str, str, str]:
    """z, the maximum taken away, and the logarithm of the sum of Exp(z)."""
    largest = rewriting.reduced("maximum", "ReduceMax", value, axes)
    z = rewriting.add("lowered", "Sub", value, largest)
    sums = rewriting.reduced("sum", "ReduceSum", rewriting.add("exponential", "Exp", z), axes, keepdims)
    return z, largest, rewriting.add("logarithm", "Log", sums)


def _axes(rewriting: Rewriting, value: str) -> Sequence[int]:
    """Raises UnsupportedNode where they have the batch among them."""
    rank = len(rewriting.graph.shape(value) or ())
    if not rank:
        raise UnsupportedNode("the shape of its input is not known", "export with fixed sizes")
    flattens = rewriting.graph.opset < 13
    axis = rewriting.node.attributes.get("axis", 1 if flattens else -1) % rank
    if axis == 0:
        raise UnsupportedNode("it works across the samples of a batch", "work along other axes than the first")
    return range(axis, rank) if flattens else (axis,)


def _reduction(rewriting: Rewriting) -> tuple[str, Sequence[int], bool]:
    """The tensor, the axes, and whether they stay. Raises UnsupportedNode for axes that are computed, or along the batch."""
    value, *given = rewriting.node.inputs
    axes = rewriting.node.attributes.get("axes")
    if given and given[0]:
        array = rewriting.graph.constant(given[0])
        if array is None:
            raise UnsupportedNode("its axes are computed by the network", "make them constants")
        axes = array.tolist()
    rank = len(rewriting.graph.shape(value) or ())
    chosen = sorted({axis % rank for axis in axes}) if axes and rank else []
    if not chosen or 0 in chosen:
        raise UnsupportedNode("it works across the samples of a batch", "work along other axes than the first")
    return value, chosen, bool(rewriting.node.attributes.get("keepdims", 1))
