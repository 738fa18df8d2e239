"""Matrix products of two computed tensors: sums over the inner axis of quarter squares.

1. MatMul(A, B), A (..., m, k), B (..., k, n)   -> sum over k of the products A[..., m, k, 1] B[..., 1, k, n], as `products.py` has them
2. Gemm(A, B, C)                                -> alpha times the same, A and B turned as it says, plus beta C
3. Einsum of two factors                        -> the same: both with all labels, those that are summed in front of the result's last one

The inner axis stands before the last, whose neurons are channels: what sums it is an average pool over positions, without weights of its
own. m k n products take two populations of squares, each with one half for either sign of what it squares.
"""

from __future__ import annotations

import math
import re

from ..unsupported import UnsupportedNode
from .products import squares
from .rewriting import Rewriting

LABELS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
EQUATION = re.compile(r"([a-zA-Z]+),([a-zA-Z]+)->([a-zA-Z]*)")


def rewrite_matmul(rewriting: Rewriting) -> str | None:
    """A B. None where one of them is constant."""
    first, second = rewriting.node.inputs
    if rewriting.is_constant(first) or rewriting.is_constant(second):
        return None
    ranks = [len(rewriting.graph.shape(name) or ()) for name in (first, second)]
    if min(ranks) < 2:
        raise UnsupportedNode("a product of computed vectors", "multiply tensors of two axes or more")
    outer = LABELS[: max(ranks) - 2]
    of_first, of_second = (outer[len(outer) - (rank - 2) :] + inner for rank, inner in zip(ranks, ("yz", "zx")))
    return contracted(rewriting, (first, of_first), (second, of_second), f"{outer}yx")


def rewrite_gemm(rewriting: Rewriting) -> str | None:
    """alpha A B + beta C, A and B transposed where it says so. None where A or B is constant."""
    first, second, *shift = rewriting.node.inputs
    if rewriting.is_constant(first) or rewriting.is_constant(second):
        return None
    given = rewriting.node.attributes
    labels = "zy" if given.get("transA") else "yz", "xz" if given.get("transB") else "zx"
    result = contracted(rewriting, (first, labels[0]), (second, labels[1]), "yx", given.get("alpha", 1.0))
    if not shift or not shift[0] or not given.get("beta", 1.0):
        return result
    beta = given.get("beta", 1.0)
    return rewriting.add("shifted", "Add", result, shift[0] if beta == 1 else rewriting.add("shift", "Mul", shift[0], float(beta)))


def rewrite_einsum(rewriting: Rewriting) -> str | None:
    """Of two computed factors. None for others; raises UnsupportedNode for labels that repeat in one factor, or stand for several axes."""
    computed = [name for name in rewriting.node.inputs if not rewriting.is_constant(name)]
    if len(computed) < 2:
        return None
    equation = rewriting.node.attributes["equation"].replace(" ", "")
    if "->" not in equation:
        letters = equation.replace(",", "")
        equation += "->" + "".join(sorted(label for label in set(letters) if letters.count(label) == 1))
    found = EQUATION.fullmatch(equation)
    if found is None or any(len(set(labels)) < len(labels) for labels in found.groups()):
        raise UnsupportedNode(f"a product {equation!r} of computed tensors", "two factors, each axis with a letter of its own")
    first, second = rewriting.node.inputs
    return contracted(rewriting, (first, found[1]), (second, found[2]), found[3])


def contracted(rewriting: Rewriting, first: tuple[str, str], second: tuple[str, str], out: str, factor: float = 1.0) -> str:
    """The sum, over all labels that `out` does not have, of factor * first * second. first, second: a tensor and a label for each of its
    axes. out: labels of the result."""
    summed = "".join(dict.fromkeys(label for label in first[1] + second[1] if label not in out))
    order = out[:-1] + summed + out[-1:]
    scale, size = math.sqrt(rewriting.graph.ratio(first[0], second[0])), math.sqrt(abs(factor))
    placed = [
        _placed(rewriting, called, rewriting.add(called, "Mul", tensor, by * size / 2), labels, order)
        for called, (tensor, labels), by in (("first", first, math.copysign(scale, factor)), ("second", second, 1 / scale))
    ]
    sums, axes = squares(rewriting, *placed), [order.index(label) for label in summed]
    if axes:
        both = zip(("summed_squares_of_sums", "summed_squares_of_differences"), sums)
        sums = tuple(rewriting.reduced(called, "ReduceSum", tensor, axes, keepdims=False) for called, tensor in both)
    return rewriting.add("product", "Sub", *sums)


def _placed(rewriting: Rewriting, called: str, tensor: str, labels: str, order: str) -> str:
    """`tensor` with the axes of `order`, of size 1 where it has none of that label."""
    wanted = [label for label in order if label in labels]
    if wanted != list(labels):
        tensor = rewriting.add(f"{called}_turned", "Transpose", tensor, perm=[labels.index(label) for label in wanted])
    return rewriting.unsqueezed(f"{called}_placed", tensor, [place for place, label in enumerate(order) if label not in labels])
