"""The network under construction: what the graph's tensors are, the layers so far, and what of the paper they break."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TypeVar, overload

import numpy as np
import onnx

from ..network.choices import Slope
from ..network.populations import Input, Layer
from ..network.provenance import Violation
from ..network.synapses.connection import Connection
from ..onnx_model.node import Node
from ..onnx_model.unique_names import unique_name
from .ranges.of_layers import Ranges
from .unsupported import UnsupportedNode
from .values import Constant, Potential, Spikes, Value

Default = TypeVar("Default")
REQUIRED = object()  # stands for the default of an input that has to be there


class Construction:
    """`values` of ONNX tensors by name, `layers` in topological order, `violations` so far.

    pooling: `synaptic` or `spiking`. slope: of the layers, `fan_in`, `reference` or `gated`. tolerance: on |weight sum - 1|, which only
    slope `fan_in` is held to. ranges: what the layers' spikes stand for. opset: the model's version of ONNX's operators. readers: operators
    of the nodes that read each tensor. max_pooled: tensors that a max-pool reads, maybe scaled or moved. derived: what gives the tensors that
    stand for rewritten nodes, which the graph does not have; None if there are none. measured: by layer of neurons, what is to be measured
    if its range is not known.
    """

    def __init__(self, pooling: str, slope: Slope, tolerance: float, ranges: Ranges):
        self.pooling, self.tolerance, self.ranges = pooling, tolerance, ranges
        self.slope: Slope = slope
        self.opset = 0
        self.readers: dict[str, list[str]] = {}
        self.max_pooled: set[str] = set()
        self.derived: onnx.ModelProto | None = None
        self.values: dict[str, Value] = {}
        self.layers: list[Layer] = []
        self.violations: list[Violation] = []
        self._populations: dict[str, Layer] = {}
        self._names: set[str] = set()
        self._reorders: dict[tuple[str, bytes], str] = {}
        self.measured: dict[str, str] = {}

    def forget_values(self) -> None:
        """Free what only lowering needs: the values' weights, without ranges, take as much memory as the layers'."""
        self.values.clear()

    def keep(self, layers: list[Layer]) -> None:
        """Leave out all other layers, and the ranges that only these need: an attempt that ended in the head or the tail has left them."""
        needed = {self.measured.get(layer.name) for layer in layers}
        self.layers[:] = layers
        self.ranges.unbounded = {key: asked for key, asked in self.ranges.unbounded.items() if key in needed}
        entered = {layer.onnx_name for layer in layers if isinstance(layer, Input)}
        self.ranges.unseen = {key: asked for key, asked in self.ranges.unseen.items() if key in entered}

    def inputs(self, node: Node) -> list[Value | None]:
        """What each of the node's inputs is; None where one is left out."""
        return [self.values[name] if name else None for name in node.inputs]

    def computed(self, node: Node) -> list[int]:
        """Positions of the node's inputs that the network computes."""
        return [position for position, value in enumerate(self.inputs(node)) if isinstance(value, (Spikes, Potential))]

    def data(self, node: Node, position: int = 0) -> Spikes | Potential:
        """The computed input at `position`. Raises UnsupportedNode if it is a constant, or left out."""
        value = self.inputs(node)[position]
        if not isinstance(value, (Spikes, Potential)):
            raise UnsupportedNode("its data input is a constant", "fold constants before export")
        return value

    @overload
    def constant(self, node: Node, position: int, meaning: str) -> np.ndarray: ...

    @overload
    def constant(self, node: Node, position: int, meaning: str, default: Default) -> np.ndarray | Default: ...

    def constant(self, node: Node, position: int, meaning: str, default: object = REQUIRED) -> object:
        """The constant input at `position`; `default` where it is left out. Raises UnsupportedNode if it is computed, or left out without a
        default."""
        if position >= len(node.inputs) or not node.inputs[position]:
            if default is REQUIRED:
                raise UnsupportedNode(f"it has no {meaning}", f"give it {meaning}")
            return default
        value = self.values[node.inputs[position]]
        if not isinstance(value, Constant):
            raise UnsupportedNode(f"its {meaning} is computed by the network", f"make the {meaning} a constant")
        return value.array

    def constants(self, node: Node, computed: int = 0) -> dict[str, np.ndarray]:
        """The node's inputs but the one at `computed`, by name. Raises UnsupportedNode where one of these is computed too."""
        others = {name: value for position, (name, value) in enumerate(zip(node.inputs, self.inputs(node))) if name and position != computed}
        found = {name: value.array for name, value in others.items() if isinstance(value, Constant)}
        if len(found) < len(others):
            raise UnsupportedNode("its parameters are computed by the network", "make them constants")
        return found

    def unique(self, name: str) -> str:
        """`name`, or `name` and a number where a population is called that already."""
        return unique_name(name, self._names)

    def add(self, layer: Layer) -> Layer:
        """Append `layer`, whose sources have been appended before, and return it."""
        self.layers.append(layer)
        self._populations[layer.name] = layer
        return layer

    def only_read_by(self, tensor: str, operators: tuple[str, ...]) -> bool:
        """Whether one node reads `tensor`, and is one of `operators`."""
        return len(self.readers.get(tensor, ())) == 1 and self.readers[tensor][0] in operators

    def violate(self, layer: Potential, problem: str, remedy: str, neurons: int | None = None, worst: float | None = None) -> None:
        """Record that `neurons` of `layer`, by default all, break a constraint of the paper; the mode decides what follows."""
        if self.slope == "fan_in":
            self.violations.append(
                Violation(layer=layer.name, problem=problem, neurons=neurons or math.prod(layer.shape), worst=worst, remedy=remedy)
            )

    def window_of(self, names: Iterable[str]) -> int:
        """Index of the last window of these populations; 0 if there are none."""
        return max((self._populations[name].window for name in names), default=0)

    def window_after(self, connections: tuple[Connection, ...]) -> int:
        """Index of the window that follows those in which the sources of `connections` spike."""
        return 1 + max(self._populations[connection.source].window for connection in connections)
