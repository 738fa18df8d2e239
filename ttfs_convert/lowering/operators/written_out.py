"""Functions of one tensor that are written out in several operators become one node.

1. 0.5 x (1 + Erf(x / 1.414)), x Sigmoid(x), x HardSigmoid(x), x Tanh(Softplus(x)), Log(1 + Exp(x)), x / (1 + |x|), ... -> one function of x.

The nodes from a tensor x to a tensor y are one function if all of them work element by element, with constants of one number, and nothing else
reads what is between. Factors and shifts in front of a named function are left to the weights. What the nodes compute together is found by its
values, not by its spelling: see `sampled_function.py`. Two operators that bend, or a product, are worth it: otherwise each would take a window of
its own, and a product four populations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ...onnx_model.node import Node
from .activation import COMPARISONS
from .curves import INCREASING, VALLEYS
from .sampled_function import Terms, recognised

NAME = "Function"  # the operator of what becomes of them
PRODUCTS = ("Div", "Mul")
CURVES = (*INCREASING, *VALLEYS, "Pow", "Reciprocal", "ThresholdedRelu")
ELEMENTWISE = {
    *CURVES,
    *PRODUCTS,
    *COMPARISONS,
    *("Abs", "Add", "And", "Cast", "Clip", "HardSigmoid", "Identity", "LeakyRelu", "Max", "Min", "Neg", "Not", "Or", "PRelu", "Relu", "Sign", "Sub"),
    *("Sum", "Where"),
}
LINES = ("Add", "Mul", "Sub", "Div", "Identity", "Neg")  # the first three with a constant on either side
FARTHEST = 24  # nodes between x and y, at most


def with_functions(
    nodes: Sequence[Node], constant: Callable[[str], np.ndarray | None], outputs: Sequence[str], opset: int, spikes: Callable[[Node], bool]
) -> list[Node]:
    """`nodes`, in topological order, with one node for each function of one tensor that is written out. constant: the array of a tensor, None for
    computed ones. outputs: of the graph. spikes: whether a node may have to spike, rather than be left to ONNX Runtime."""
    places = {name: place for place, node in enumerate(nodes) for name in node.outputs}
    readers: dict[str, set[int]] = {}
    for place, node in enumerate(nodes):
        for name in node.inputs:
            readers.setdefault(name, set()).add(place)
    result, absorbed = list(nodes), set()
    for place in reversed(range(len(nodes))):
        node = nodes[place]
        if place in absorbed or not _is_elementwise(node, constant) or not spikes(node):
            continue
        found: tuple[str, frozenset[int], Terms] | None = None
        for base, inside in _cones(place, nodes, places, constant):
            between = [name for inner in inside - {place} for name in nodes[inner].outputs]
            if any(name in outputs or not readers.get(name, set()) <= inside for name in between) or not _worth_it(
                [nodes[each] for each in inside], constant
            ):
                continue
            if found is not None and not all(_is_line(nodes[each], constant) for each in found[1] - inside):
                break
            terms = recognised([nodes[each] for each in sorted(inside)], base, constant, opset)
            if terms is not None and (found is None or not terms.tabulated):
                found = base, inside, terms
            if found is not None and not found[2].tabulated:
                break  # else a named function of what a line makes of x
        if found is not None:
            base, inside, terms = found
            absorbed |= inside
            result[place] = _function(node, base, terms)
    gone = {place for place in absorbed if result[place].operator != NAME}
    return [node for place, node in enumerate(result) if place not in gone]


def _function(node: Node, base: str, terms: Terms) -> Node:
    return replace(node, operator=NAME, inputs=(base,), attributes={"terms": terms, "written": node.operator}, domain="")


def _computed(node: Node, constant: Callable[[str], np.ndarray | None]) -> list[str]:
    return [name for name in dict.fromkeys(node.inputs) if name and constant(name) is None]


def _is_line(node: Node, constant: Callable[[str], np.ndarray | None]) -> bool:
    """Whether it multiplies and shifts one computed tensor, which weights do as well."""
    computed = [name for name in node.inputs if name and constant(name) is None]
    return len(computed) == 1 and (node.operator in LINES[:3] or (node.operator in LINES and computed[0] == node.inputs[0]))


def _is_elementwise(node: Node, constant: Callable[[str], np.ndarray | None]) -> bool:
    if node.operator not in ELEMENTWISE or node.domain not in ("", "ai.onnx") or len(node.outputs) != 1 or "positive" in node.attributes:
        return False
    arrays = [constant(name) for name in node.inputs if name]
    return all(array is None or array.size == 1 for array in arrays) and any(array is None for array in arrays)


def _cones(
    place: int, nodes: Sequence[Node], places: Mapping[str, int], constant: Callable[[str], np.ndarray | None]
) -> list[tuple[str, frozenset[int]]]:
    """Tensors of which the output of the node at `place` is a function, the farthest first, and the nodes in between."""
    inside, frontier, found = {place}, set(_computed(nodes[place], constant)), []
    while frontier and len(inside) < FARTHEST:
        if len(frontier) == 1:
            found.append((next(iter(frontier)), frozenset(inside)))
        latest = max(frontier, key=lambda name: places.get(name, -1))  # nothing else in the frontier is computed from it
        inner = places.get(latest, -1)
        if inner < 0 or not _is_elementwise(nodes[inner], constant):
            break
        frontier.remove(latest)
        inside.add(inner)
        frontier.update(_computed(nodes[inner], constant))
    return found[::-1]


def _worth_it(nodes: Sequence[Node], constant: Callable[[str], np.ndarray | None]) -> bool:
    products = [node for node in nodes if node.operator in PRODUCTS and sum(constant(name) is None for name in node.inputs) > 1]
    curves = [node for node in nodes if node.operator in CURVES]
    bends = [node for node in nodes if node.operator in ("Abs", "Clip", "HardSigmoid", "LeakyRelu", "Max", "Min", "Relu", "Where")]
    quotients = [node for node in nodes if node.operator == "Div" and constant(node.inputs[1]) is None]
    choices = sum(node.operator == "Where" for node in nodes)
    return bool(products or quotients) or len(curves) > 1 or (len(curves) == 1 and bool(bends)) or choices > 1
