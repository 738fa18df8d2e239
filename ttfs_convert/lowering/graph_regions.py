"""What stands before a node of the graph, and what behind it: whether it may be left to ONNX Runtime, in the head or the tail."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from ..onnx_model.macs import Sizes, node_macs
from ..onnx_model.node import Node
from .operators.table import MOVERS, OPERATORS, TAIL_MACS, TAIL_OPERATORS

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")  # what a network is made of: never left to ONNX Runtime without a word
MAX_POOLS = ("GlobalMaxPool", "MaxPool", "ReduceMax")
KEEPS_ORDER = ("Add", "BatchNormalization", "Concat", "Div", "Dropout", "Identity", "Mean", "Mul", "Resize", "Sub", "Sum", "Upsample", *MOVERS)


class Regions:
    """Of one graph. nodes: in topological order. sizes: shapes of the tensors. stand_for: by output, nodes that were replaced by those that
    give it now: they count as what they were.

    feeds_body: tensors from which some operator that needs spikes can be reached. feeds_weights: some convolution or matrix product.
    before_weights: tensors to which none leads. max_pooled: those that a max-pool reads, maybe scaled, shifted or moved.
    """

    def __init__(self, nodes: Sequence[Node], sizes: Sizes, stand_for: Mapping[str, Node] = MappingProxyType({})):
        def was(node: Node) -> Node:
            return stand_for.get(node.outputs[0], node)

        self.feeds_body = _reaching(nodes, lambda node: is_body(node) or is_body(was(node)))
        self.feeds_weights = _reaching(nodes, lambda node: was(node).operator in WEIGHTED)
        self.max_pooled = _reaching(nodes, lambda node: node.operator in MAX_POOLS, KEEPS_ORDER)
        behind_weights: set[str] = set()
        for node in nodes:
            if was(node).operator in WEIGHTED or behind_weights.intersection(node.inputs):
                behind_weights.update(filter(None, node.outputs))
        self.before_weights = {name for node in nodes for name in node.outputs} - behind_weights
        self._before_much = _before_much(nodes, [node_macs(was(node).proto, sizes) for node in nodes])

    def prepares(self, node: Node) -> bool:
        """Whether `node` stands before the first convolution or matrix product, as preprocessing does."""
        return self.before_weights.issuperset(node.outputs) and not self.feeds_weights.isdisjoint(node.outputs)

    def ends(self, node: Node) -> bool:
        """Whether what follows `node` is no network but a small part of one: matrix products and the like of few multiply-accumulates."""
        return node.outputs[0] not in self._before_much


def tail_tensors(nodes: Sequence[Node], regions: Regions) -> set[str]:
    """What ONNX Runtime computes behind a node that classifies, such as a Softmax, where the rest is no network."""
    found: set[str] = set()
    for node in nodes:
        if found.intersection(node.inputs) or (node.operator in TAIL_OPERATORS and regions.ends(node) and not regions.prepares(node)):
            found.update(node.outputs)
    return found


def is_body(node: Node) -> bool:
    """Whether the inputs of `node` have to be spikes."""
    return node.operator in OPERATORS and OPERATORS[node.operator].body


def _reaching(nodes: Sequence[Node], target: Callable[[Node], bool], through: Container[str] | None = None) -> set[str]:
    """Tensors from which some node that is a `target` can be reached, by way of operators in `through`, by default of any."""
    reached: set[str] = set()
    for node in reversed(nodes):
        if target(node) or ((through is None or node.operator in through) and reached.intersection(node.outputs)):
            reached.update(filter(None, node.inputs))
    return reached


class _Reached(NamedTuple):
    """Multiply-accumulates of the nodes that can be reached from a tensor, by their places, and their sum."""

    counts: dict[int, int]
    total: int

    def joined(self, other: _Reached) -> _Reached:
        """What can be reached from either."""
        if self.counts is other.counts or not other.counts:
            return self
        both = {**self.counts, **other.counts}
        return _Reached(both, sum(both.values()))


def _before_much(nodes: Sequence[Node], counts: Sequence[int]) -> set[str]:
    """Tensors from which nodes can be reached that have more than the share TAIL_MACS of all multiply-accumulates. counts: of each node."""
    limit, before, nothing = TAIL_MACS * sum(counts), set(), _Reached({}, 0)
    reached: dict[str, _Reached] = {}  # from the tensors that are not `before`
    for place in reversed(range(len(nodes))):
        node, found = nodes[place], nothing
        for name in node.outputs:
            found = reached.get(name, nothing).joined(found)
        if counts[place]:
            found = found.joined(_Reached({place: counts[place]}, counts[place]))
        if found.total > limit or not before.isdisjoint(node.outputs):
            before.update(filter(None, node.inputs))
            continue
        for name in filter(None, node.inputs):
            joined = reached.get(name, nothing).joined(found)
            if joined.total > limit:
                before.add(name)
            reached[name] = joined
    return before
