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
        layers_behind = _linear_layers_behind(nodes)
        for node in nodes:
            factors = set(given[node.outputs[0]])
            if node.operator == "Mul" and len(factors) == 2 and layers_behind[node.outputs[0]] == {"ConvTranspose"}:
                behind = _behind(nodes, node)
                decoder.update(name for other in (node, *behind) for name in other.outputs)
                if len(linear & factors) == 1:
                    encoder |= _leading_to(nodes, linear & factors)
        return cls(frozenset(encoder), frozenset(decoder))

    def outside(self, nodes: Iterable[Node]) -> list[Node]:
        """Those of `nodes` that may spike."""
        return [node for node in nodes if not (self.encoder | self.decoder).intersection(node.outputs)]


def _linear_layers_behind(nodes: Sequence[Node]) -> dict[str, frozenset[str]]:
    """Which of WEIGHTED stand behind each node, by its first output; none where not all that stands there is linear."""
    no, found, layers = frozenset(("",)), {}, {}  # "" is no operator: not all is linear
    for node in reversed(nodes):
        behind = frozenset().union(*(found.get(name, ()) for name in node.outputs))
        layers[node.outputs[0]] = frozenset() if no <= behind else behind
        own = (frozenset((node.operator,)) & frozenset(WEIGHTED)) if node.operator in LINEAR else no
        for name in dict.fromkeys(node.inputs):
            found[name] = found.get(name, frozenset()) | behind | own
    return layers


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
