"""Networks that mask their own encoding: what spikes is the mask's network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ..onnx_model.node import Node
from .graph_regions import KEEPS_ORDER, WEIGHTED

LINEAR = (*WEIGHTED, *KEEPS_ORDER)


@dataclass(frozen=True)
class MaskProduct:
    """y = decoder(mask(w) w), w = encoder(x), as in Conv-TasNet (arXiv:1809.07454): what spikes is the mask's network. Tensors that ONNX Runtime
    computes. encoder: linear in the inputs, up to w; none where w is an activation. decoder: the product and all behind it, linear, a
    transposed convolution the only layers there."""

    encoder: frozenset[str] = frozenset()
    decoder: frozenset[str] = frozenset()

    @classmethod
    def of(cls, nodes: Sequence[Node], inputs: Iterable[str], is_constant: Callable[[str], bool]) -> MaskProduct:
        """That of a graph; empty where it has none. nodes: in topological order. inputs: the graph's. is_constant: of a tensor."""
        given = {node.outputs[0]: [name for name in node.inputs if name and not is_constant(name)] for node in nodes}
        linear = set(inputs)
        for node in nodes:
            if node.operator in LINEAR and len(given[node.outputs[0]]) == 1 and linear.issuperset(given[node.outputs[0]]):
                linear.update(node.outputs)
        encoder: set[str] = set()
        decoder: set[str] = set()
        for node in nodes:
            factors = set(given[node.outputs[0]])
            behind = _behind(nodes, node)
            layers = {other.operator for other in behind if other.operator in WEIGHTED}
            if node.operator == "Mul" and len(factors) == 2 and layers == {"ConvTranspose"} and all(other.operator in LINEAR for other in behind):
                decoder.update(name for other in (node, *behind) for name in other.outputs)
                if len(linear & factors) == 1:
                    encoder |= _leading_to(nodes, linear & factors)
        return cls(frozenset(encoder), frozenset(decoder))

    def outside(self, nodes: Iterable[Node]) -> list[Node]:
        """Those of `nodes` that may spike."""
        return [node for node in nodes if not (self.encoder | self.decoder).intersection(node.outputs)]


def _behind(nodes: Sequence[Node], first: Node) -> list[Node]:
    reached, found = set(first.outputs), []
    for node in nodes:
        if reached.intersection(node.inputs):
            reached.update(node.outputs)
            found.append(node)
    return found


def _leading_to(nodes: Sequence[Node], tensors: Iterable[str]) -> set[str]:
    needed, found = set(tensors), set()
    for node in reversed(nodes):
        if needed.intersection(node.outputs):
            needed.update(node.inputs)
            found.update(node.outputs)
    return found
