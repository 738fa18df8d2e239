"""What ONNX Runtime computes in the middle of the network, as the walk comes to it: readouts before it, encoders behind it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import onnx

from ..errors import ModelError
from ..network.populations import Analog, AnalogNode
from ..onnx_model.macs import Sizes, node_macs
from ..onnx_model.node import Node
from .analog_nodes import Grouped, bounds
from .builder import Builder
from .encoders import enter_analog
from .unsupported import UnsupportedNode
from .values import Between, Compared, Potential, Spikes, Tail, Value, is_raw

NOT_CUT = np.zeros(0, np.uint8)  # stands for a part's model until it is known what is encoded


class Middle:
    """Of one walk. grouped: the analog nodes and their parts. infos: types and shapes of the tensors. sizes: the shapes."""

    def __init__(self, builder: Builder, grouped: Grouped, infos: Mapping[str, onnx.TypeProto.Tensor], sizes: Sizes):
        self._builder, self._grouped, self._infos, self._sizes = builder, grouped, infos, sizes
        self._node: dict[str, Node] = {}  # by tensor
        self._roots: dict[str, tuple[str, ...]] = {}  # tensors whose potentials a tensor is computed from
        self._ends: dict[str, tuple[float, float]] = {}
        self._readouts: dict[str, str] = {}
        self._populations: dict[object, Analog] = {}
        self._entered: dict[str, Spikes] = {}

    def holds(self, node: Node) -> bool:
        """Whether the node is one of a part."""
        return node.outputs[0] in self._grouped.part

    def roots(self, given: Mapping[str, Value]) -> dict[str, None]:
        """The tensors whose potentials have to be read for ONNX Runtime to compute with the tensors `given`."""
        found: dict[str, None] = {}
        for name, value in given.items():
            name = value.tensor if isinstance(value, Compared) else name
            if name in self._roots:
                found.update(dict.fromkeys(self._roots[name]))
            elif isinstance(value, Tail):
                found.update(dict.fromkeys(value.roots))
            elif isinstance(value, Compared) or (isinstance(value, (Spikes, Potential)) and not is_raw(value)):
                found[name] = None
        return found

    def compute(self, node: Node, given: Mapping[str, Value]) -> None:
        """Leave `node` to ONNX Runtime: its outputs are computed from potentials, which get readouts."""
        roots = tuple(self.roots(given))
        for root in roots:
            self._read_out(root)
        read = given.get(node.inputs[0]) if node.inputs else None
        ends = self._ends_of(node.inputs[0], read) if node.inputs else (-np.inf, np.inf)
        for position, name in enumerate(node.outputs):
            if name:
                self._node[name], self._roots[name], self._ends[name] = node, roots, bounds(node, position, ends)
                self._builder.values[name] = Between(name)

    def _ends_of(self, name: str, value: Value | None) -> tuple[float, float]:
        if name in self._ends:
            return self._ends[name]
        return (float(value.bounds[0].min()), float(value.bounds[1].max())) if isinstance(value, (Spikes, Potential)) else (-np.inf, np.inf)

    def _read_out(self, root: str) -> None:
        if root not in self._readouts:
            try:
                self._readouts[root] = self._builder.readout(self._builder.values[root], root, inner=True)
            except UnsupportedNode as error:
                raise ModelError(f"tensor {root!r}", error.reason, remedy=error.remedy) from None

    def entered(self, name: str, nodes: list[Node]) -> Spikes:
        """What encodes the tensor `name` of a part. nodes: of the graph. Raises UnsupportedNode for what no spikes can stand for."""
        if name not in self._entered:
            part = self._population(self._node[name])
            self._entered[name] = enter_analog(name, self._infos.get(name), nodes, self._builder, part, self._ends[name])
        return self._entered[name]

    def _population(self, node: Node) -> Analog:
        key = self._grouped.part.get(node.outputs[0], node.outputs[0])
        if key not in self._populations:
            nodes = self._grouped.part_of(node)
            roots = dict.fromkeys(root for each in nodes for name in each.outputs for root in self._roots.get(name, ()))
            readouts = tuple(self._readouts[root] for root in roots)
            self._populations[key] = found = Analog(
                name=self._builder.unique(nodes[0].name),
                window=self._builder.window_of(readouts),
                readouts=readouts,
                nodes=tuple(AnalogNode(name=each.name, operator=each.operator) for each in nodes),
                macs=sum(node_macs(each.proto, self._sizes) for each in nodes),
                model=NOT_CUT,
            )
            self._builder.add(found)
        return self._populations[key]

    def read_outside(self, roots: Iterable[str]) -> list[str]:
        """Those of `roots` that have no readout yet; the others' are no longer for analog parts alone."""
        names = {self._readouts[root] for root in roots if root in self._readouts}
        layers = self._builder.layers
        layers[:] = [layer.changed(inner=False) if layer.name in names else layer for layer in layers]
        return [root for root in roots if root not in self._readouts]
