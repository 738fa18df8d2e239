"""Functions of one tensor that are written out in several operators become one node.

1. 0.5 x (1 + Erf(x / 1.414)), x Sigmoid(x), x HardSigmoid(x), x Tanh(Softplus(x)), Log(1 + Exp(x)), x / (1 + |x|), ... -> one function of x.

The nodes from a tensor x to a tensor y are one function if all of them work element by element, with constants of one number, and nothing else
reads what is between. Factors and shifts in front of a named function are left to the weights. What the nodes compute together is found by its
values, not by its spelling: see `sampled_function.py`. Two operators that bend, or a product, are worth it: otherwise each would take a window of
its own, and a product four populations.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ...onnx_model.node import Node
from .activation import COMPARISONS
from .curves import INCREASING, VALLEYS
from .sampled_function import Terms, recognised

NAME = "Function"  # the operator of what becomes of them
PRODUCTS = ("Div", "Mul")
CURVES = (*INCREASING, *VALLEYS, "Pow", "Reciprocal", "ThresholdedRelu")
BENDS = ("Abs", "Clip", "HardSigmoid", "LeakyRelu", "Max", "Min", "Relu", "Where")
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
    graph, known = _Elementwise(nodes, constant, outputs), {}

    def terms_of(base: str, inside: frozenset[int]) -> Terms | None:
        part = [nodes[each] for each in sorted(inside)]
        spelling = _spelling(part, base, constant)
        if spelling not in known:
            known[spelling] = recognised(part, base, constant, opset)
        return known[spelling]

    result, absorbed = list(nodes), set()
    for place in reversed(range(len(nodes))):
        node = nodes[place]
        if place in absorbed or not graph.may_end(place) or not spikes(node):
            continue
        found: tuple[str, frozenset[int], Terms] | None = None
        for base, inside in graph.cones(place):
            if found is not None and not all(_is_line(nodes[each], constant) for each in found[1] - inside):
                break
            terms = terms_of(base, inside)
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


class _Elementwise:
    """What the search needs to know of each node, found out once, so that the time it takes grows as the graph does. Arguments as for
    `with_functions`."""

    def __init__(self, nodes: Sequence[Node], constant: Callable[[str], np.ndarray | None], outputs: Sequence[str]):
        self._places = {name: place for place, node in enumerate(nodes) for name in node.outputs}
        self._outputs = frozenset(outputs)
        self._readers: dict[str, set[int]] = {}
        self._read: list[list[str] | None] = []  # by place: the computed inputs; None of a node that does not work element by element
        self._kinds: list[_Kinds] = []
        self._back: list[int] = []  # nodes back to one without which no function is worth it
        arrays = functools.cache(lambda name: None if (array := constant(name)) is None else array.size)
        for place, node in enumerate(nodes):
            for name in node.inputs:
                self._readers.setdefault(name, set()).add(place)
            read = _computed(node, arrays)
            kinds = _Kinds.of(node, arrays) if read else _Kinds()
            behind = [self._back[self._places[name]] for name in read or () if name in self._places and self._places[name] < place]
            self._read.append(read)
            self._kinds.append(kinds)
            self._back.append(
                FARTHEST if read is None else 0 if kinds.products or kinds.curves or kinds.choices else 1 + min(behind, default=FARTHEST)
            )

    def may_end(self, place: int) -> bool:
        """Whether a function that is worth it may end in the node at `place`."""
        return self._back[place] < FARTHEST

    def cones(self, place: int) -> list[tuple[str, frozenset[int]]]:
        """Tensors of which the output of the node at `place` is a function that is worth it, the farthest first, and the nodes in between, which
        nothing else reads."""
        inside, frontier, kinds, found = {place}, set(self._read[place] or ()), self._kinds[place], []
        while frontier and len(inside) < FARTHEST:
            if len(frontier) == 1 and kinds.worth_it:
                found.append((next(iter(frontier)), frozenset(inside)))
            latest = max(frontier, key=lambda name: self._places.get(name, -1))  # nothing else in the frontier is computed from it
            inner = self._places.get(latest, -1)
            read = self._read[inner] if inner >= 0 else None
            if read is None or latest in self._outputs or not self._readers[latest] <= inside:
                break
            frontier.remove(latest)
            inside.add(inner)
            frontier.update(read)
            kinds = _Kinds(*map(sum, zip(kinds, self._kinds[inner])))
        return found[::-1]


class _Kinds(NamedTuple):
    """How many of a part's operators are products of computed tensors, curves, bends, choices."""

    products: int = 0
    curves: int = 0
    bends: int = 0
    choices: int = 0

    @classmethod
    def of(cls, node: Node, sizes: Callable[[str], int | None]) -> _Kinds:
        """Of one node. sizes: of constants; None for computed tensors."""
        computed = [sizes(name) is None for name in node.inputs] if node.operator in PRODUCTS else []
        product = sum(computed) > 1 or (node.operator == "Div" and computed[1])
        return cls(product, node.operator in CURVES, node.operator in BENDS, node.operator == "Where")

    @property
    def worth_it(self) -> bool:
        """Whether one node in their place saves a window."""
        return bool(self.products or self.curves > 1 or (self.curves == 1 and self.bends) or self.choices > 1)


def _spelling(nodes: Sequence[Node], base: str, constant: Callable[[str], np.ndarray | None]) -> tuple:
    """The same for nodes that compute the same in the same way, whatever their tensors are called."""
    numbers, found = {base: 0}, []
    for node in nodes:
        arrays = [constant(name) if name and name not in numbers else None for name in node.inputs]
        inputs = [numbers.get(name) if array is None else (array.dtype.str, array.tobytes()) for name, array in zip(node.inputs, arrays)]
        found.append((node.operator, *inputs, *(attribute.SerializeToString() for attribute in node.proto.attribute)))
        numbers[node.outputs[0]] = len(numbers)
    return tuple(found)


def _function(node: Node, base: str, terms: Terms) -> Node:
    return replace(node, operator=NAME, inputs=(base,), attributes={"terms": terms, "written": node.operator}, domain="")


def _computed(node: Node, sizes: Callable[[str], int | None]) -> list[str] | None:
    """Computed inputs of a node that works element by element, with constants of one number; None of others. sizes: see `_Kinds`."""
    if node.operator not in ELEMENTWISE or node.domain not in ("", "ai.onnx") or len(node.outputs) != 1 or "positive" in node.attributes:
        return None
    found = {name: sizes(name) for name in node.inputs if name}
    computed = [name for name, size in found.items() if size is None]
    return computed if computed and all(size in (None, 1) for size in found.values()) else None


def _is_line(node: Node, constant: Callable[[str], np.ndarray | None]) -> bool:
    """Whether it multiplies and shifts one computed tensor, which weights do as well."""
    computed = [name for name in node.inputs if name and constant(name) is None]
    return len(computed) == 1 and (node.operator in LINES[:3] or (node.operator in LINES and computed[0] == node.inputs[0]))
