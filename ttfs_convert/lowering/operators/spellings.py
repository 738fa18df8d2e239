"""Activations of two slopes that are written out in several operators become one node: LeakyRelu with slopes for either sign.

Every tensor that is followed here is a function of one `base` tensor x, proportional to it on either side of 0:

1. x > 0, its like, Cast and Not of it, Sign(x)             -> a gain: one number where x > 0, another one where x < 0
2. constants times, plus or minus gains; products of gains  -> a gain
3. x; a line times a constant or a gain; sums of lines; Relu, Abs, LeakyRelu, PRelu, Max and Min of lines; Where(gain, line, line) -> a line

So x * (x > 0), Where(x >= 0, x, 0.1 x), Max(x, 0.1 x), relu(x) - 0.1 relu(-x), (x + |x|) / 2. A line is replaced where nothing else reads
the bent ones that it is made of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...onnx_model.node import Node
from .activation import COMPARISONS

SUMS = {"Add": np.add, "Sub": np.subtract}
EXTREMES = {"Max": (np.maximum, np.minimum), "Min": (np.minimum, np.maximum)}  # of factors where x > 0, where x < 0
WRITTEN_OUT = ("Add", "Max", "Min", "Mul", "Sub", "Where")
ONE, ZERO = np.ones(()), np.zeros(())
LONGEST = 64  # nodes that one activation is made of, at most: a chain of many more is no spelling


@dataclass(frozen=True)
class _Slopes:
    """positive x where x > 0 and negative x elsewhere, x the tensor `base`; of a gain these factors themselves, of a constant gain no base.

    made_by: indices of the nodes that compute it from x. bends: of those, the ones whose results are lines that bend at 0. switched:
    whether some of them bend or jump there.
    """

    base: str | None
    positive: np.ndarray
    negative: np.ndarray
    gain: bool = False
    made_by: frozenset[int] = frozenset()
    bends: frozenset[int] = frozenset()
    switched: bool = False


def with_two_slopes(
    nodes: Sequence[Node], constant: Callable[[str], np.ndarray | None], shape: Callable[[str], tuple[int, ...] | None], outputs: Sequence[str]
) -> list[Node]:
    """`nodes`, in topological order, with one node for each activation of two slopes that is written out. constant: the array of a tensor,
    None for computed ones. shape: of a tensor, None where unknown. outputs: of the graph."""
    found = _found(nodes, constant, shape)
    readers: dict[str, set[int]] = {}
    for place, node in enumerate(nodes):
        for name in node.inputs:
            readers.setdefault(name, set()).add(place)
    result, absorbed = list(nodes), set()
    for place in reversed(range(len(nodes))):
        slopes = found.get(nodes[place].outputs[0])
        if (
            slopes is None
            or slopes.gain
            or place in absorbed
            or nodes[place].operator not in (WRITTEN_OUT if slopes.switched else EXTREMES)
            or (slopes.switched and len(slopes.made_by) == 1)
            or any(
                not readers.get(name, set()) <= slopes.made_by or name in outputs for inner in slopes.bends - {place} for name in nodes[inner].outputs
            )
        ):
            continue
        absorbed |= slopes.made_by
        result[place] = replace(
            nodes[place],
            operator="LeakyRelu",
            inputs=(slopes.base,),
            attributes={"positive": slopes.positive, "alpha": slopes.negative, "written": nodes[place].operator},
        )
    return _without_unread(result, absorbed, outputs)


def _without_unread(nodes: Sequence[Node], candidates: set[int], outputs: Sequence[str]) -> list[Node]:
    """`nodes` without those of the places `candidates` whose results nothing reads any more."""
    read, kept = set(outputs), []
    for place in reversed(range(len(nodes))):
        if place not in candidates or read.intersection(nodes[place].outputs):
            kept.append(nodes[place])
            read.update(nodes[place].inputs)
    return kept[::-1]


def _found(nodes: Sequence[Node], constant: Callable[[str], np.ndarray | None], shape: Callable[[str], tuple[int, ...] | None]) -> dict[str, _Slopes]:
    """Tensors that are gains, or lines other than their own base."""
    found: dict[str, _Slopes] = {}

    def operand(name: str) -> _Slopes | None:
        if name in found:
            return found[name]
        array = constant(name)
        if array is None:
            return _Slopes(name, ONE, ONE)
        return _Slopes(None, array.astype(np.float64), array.astype(np.float64), gain=True) if array.dtype.kind in "fiub" else None

    for place, node in enumerate(nodes):
        rule = RULES.get(node.operator)
        if rule is None or len(node.outputs) != 1 or node.domain not in ("", "ai.onnx"):
            continue
        given = [each for each in map(operand, node.inputs) if each is not None]
        bases = {each.base for each in given if each.base is not None}
        if len(given) < len(node.inputs) or len(bases) != 1:
            continue
        made = rule(node, *given)
        if made is None or not _fits(made, shape(*bases)):
            continue
        made_by = frozenset({place}).union(*(each.made_by for each in given))
        if len(made_by) > LONGEST:
            continue
        bends = bool((made.positive != made.negative).any())
        found[node.outputs[0]] = replace(
            made,
            base=bases.pop(),
            made_by=made_by,
            switched=bends or any(each.switched for each in given),
            bends=frozenset({place} if bends and not made.gain else ()).union(*(each.bends for each in given)),
        )
    return found


def _fits(slopes: _Slopes, shape: tuple[int, ...] | None) -> bool:
    """Whether the factors leave a tensor of `shape` its shape."""
    try:
        return shape is not None and np.broadcast_shapes(slopes.positive.shape, slopes.negative.shape, shape) == shape
    except ValueError:
        return False


def _comparison(node: Node, first: _Slopes, second: _Slopes) -> _Slopes | None:
    line, other = (second, first) if first.gain else (first, second)
    if line.gain or other.base is not None or other.positive.any():  # other than with 0
        return None
    larger = node.operator.startswith("Greater") != first.gain
    if (line.positive > 0).all() and (line.negative > 0).all():
        return _gain(1.0 if larger else 0.0, 0.0 if larger else 1.0)
    if (line.positive < 0).all() and (line.negative < 0).all():
        return _gain(0.0 if larger else 1.0, 1.0 if larger else 0.0)
    return None


def _gain(positive: float | np.ndarray, negative: float | np.ndarray) -> _Slopes:
    return _Slopes(None, np.asarray(positive), np.asarray(negative), gain=True)


def _sign(node: Node, given: _Slopes) -> _Slopes:
    return _gain(np.sign(given.positive), np.sign(given.negative) * (1 if given.gain else -1))


def _not(node: Node, given: _Slopes) -> _Slopes:
    return _gain(1 - given.positive, 1 - given.negative)


def _cast(node: Node, given: _Slopes) -> _Slopes | None:
    exact = all(np.isin(factor, (0, 1)).all() for factor in (given.positive, given.negative))  # in every type
    return given if given.gain and exact else None


def _product(node: Node, first: _Slopes, second: _Slopes) -> _Slopes | None:
    if not first.gain and not second.gain:
        return None
    return _Slopes(None, first.positive * second.positive, first.negative * second.negative, gain=first.gain and second.gain)


def _quotient(node: Node, first: _Slopes, second: _Slopes) -> _Slopes | None:
    if not second.gain or not second.positive.all() or not second.negative.all():
        return None
    return replace(first, positive=first.positive / second.positive, negative=first.negative / second.negative)


def _sum(node: Node, first: _Slopes, second: _Slopes) -> _Slopes | None:
    both = _alike(first, second)
    if both is None:
        return None
    fold = SUMS[node.operator]
    return replace(both[0], positive=fold(both[0].positive, both[1].positive), negative=fold(both[0].negative, both[1].negative))


def _extreme(node: Node, *given: _Slopes) -> _Slopes | None:
    lines = [line for line in map(_as_line, given) if line is not None]
    if len(lines) < len(given):
        return None
    above, below = EXTREMES[node.operator]
    result = lines[0]
    for line in lines[1:]:
        result = replace(result, positive=above(result.positive, line.positive), negative=below(result.negative, line.negative))
    return result


def _where(node: Node, condition: _Slopes, *branches: _Slopes) -> _Slopes | None:
    both = _alike(*branches)
    if both is None or not condition.gain:
        return None
    return replace(
        both[0],
        positive=np.where(condition.positive != 0, both[0].positive, both[1].positive),
        negative=np.where(condition.negative != 0, both[0].negative, both[1].negative),
    )


def _bent(node: Node, given: _Slopes, positive: np.ndarray, negative: np.ndarray) -> _Slopes | None:
    """positive v where v > 0, negative v elsewhere, of a line v."""
    if given.gain:
        return None
    return replace(
        given,
        positive=given.positive * np.where(given.positive > 0, positive, negative),
        negative=given.negative * np.where(given.negative < 0, positive, negative),
    )


def _prelu(node: Node, given: _Slopes, slope: _Slopes) -> _Slopes | None:
    return _bent(node, given, np.ones(()), slope.positive) if slope.base is None else None


def _alike(first: _Slopes, second: _Slopes) -> tuple[_Slopes, _Slopes] | None:
    """Both as gains or both as lines, as which 0 may pass."""
    if first.gain == second.gain:
        return first, second
    one, other = _as_line(first), _as_line(second)
    return None if one is None or other is None else (one, other)


def _as_line(given: _Slopes) -> _Slopes | None:
    if not given.gain:
        return given
    return replace(given, gain=False) if not given.positive.any() and not given.negative.any() else None


RULES: Mapping[str, Callable[..., _Slopes | None]] = {
    **dict.fromkeys(COMPARISONS, _comparison),
    **dict.fromkeys(SUMS, _sum),
    **dict.fromkeys(EXTREMES, _extreme),
    "Abs": lambda node, given: _bent(node, given, np.ones(()), np.full((), -1.0)),
    "Cast": _cast,
    "Div": _quotient,
    "LeakyRelu": lambda node, given: _bent(node, given, np.ones(()), np.full((), node.attributes.get("alpha", 0.01), np.float64)),
    "Mul": _product,
    "Neg": lambda node, given: replace(given, positive=-given.positive, negative=-given.negative),
    "Not": _not,
    "PRelu": _prelu,
    "Relu": lambda node, given: _bent(node, given, ONE, ZERO),
    "Sign": _sign,
    "Where": _where,
}
