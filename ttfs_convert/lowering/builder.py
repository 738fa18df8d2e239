"""Collects the layers of a network while its graph is lowered, and everything in it that violates the paper's constraints."""

from __future__ import annotations

import math

import numpy as np

from ..errors import ModelError
from ..ir import Connection, Layer, MaxPool, Readout, Reorder, Shape, Spiking, Violation
from .values import Constant, Node, Potential, Spikes, Value, channels_first, flat_index
from .weight_sum import weight_sums


class UnsupportedNode(Exception):
    """Raised by an operator's function: why the node has no spiking equivalent here, and what would help."""

    def __init__(self, reason: str, remedy: str):
        super().__init__(reason)
        self.reason, self.remedy = reason, remedy


class Builder:
    """The network under construction: `values` of ONNX tensors by name, `layers` in topological order, `violations` so far."""

    def __init__(self, pooling: str, tolerance: float):
        self.pooling, self.tolerance = pooling, tolerance
        self.values: dict[str, Value] = {}
        self.layers: list[Layer] = []
        self.violations: list[Violation] = []
        self._windows: dict[str, int] = {}
        self._names: set[str] = set()
        self._reorders: dict[tuple[str, bytes], str] = {}
        self._fired: dict[int, tuple[Potential, Spikes]] = {}

    def value(self, name: str) -> Value | None:
        return self.values.get(name) if name else None

    def constant(self, node: Node, position: int, meaning: str, default: np.ndarray | None = None) -> np.ndarray | None:
        """The constant input at `position`; `default` where it is left out. Raises UnsupportedNode if it is computed."""
        if position >= len(node.inputs) or not node.inputs[position]:
            return default
        value = self.values[node.inputs[position]]
        if not isinstance(value, Constant):
            raise UnsupportedNode(f"its {meaning} is computed by the network", f"make the {meaning} a constant")
        return value.array

    def unique(self, name: str) -> str:
        candidate, count = name, 2
        while candidate in self._names:
            candidate, count = f"{name}_{count}", count + 1
        self._names.add(candidate)
        return candidate

    def add(self, layer: Layer) -> Layer:
        self.layers.append(layer)
        self._windows[layer.name] = layer.window
        return layer

    def violate(self, layer: Potential, problem: str, neurons: int, remedy: str, worst: float | None = None) -> None:
        """Record that `neurons` of `layer` break a constraint of the paper; the mode decides what follows."""
        self.violations.append(Violation(layer=layer.name, problem=problem, neurons=neurons, worst=worst, remedy=remedy))

    def window_after(self, connections: tuple[Connection, ...]) -> int:
        return 1 + max(self._windows[connection.source] for connection in connections)

    def ordered(self, source: str, index: np.ndarray) -> str:
        """A population whose neurons are those of `source` at `index`, in its flat order: `source` itself or a Reorder of it."""
        flat = np.ascontiguousarray(index.reshape(-1), np.int64)
        size = next(math.prod(layer.shape) for layer in self.layers if layer.name == source)
        if flat.size == size and np.array_equal(flat, np.arange(size)):
            return source
        key = (source, flat.tobytes())
        if key not in self._reorders:
            name = self.unique(f"{source}/reorder")
            self.add(Reorder(name=name, shape=(flat.size,), window=self._windows[source], tensor=None, source=source, index=flat))
            self._reorders[key] = name
        return self._reorders[key]

    def spikes(self, value: Value, node: Node) -> Spikes:
        """`value` as spikes: as it is, or through neurons; those that no activation of the model stands for are a violation."""
        if isinstance(value, Spikes):
            return value
        if isinstance(value, Potential):
            if not value.pooled_only:
                self.violate(value, f"no activation before {node.name}", math.prod(value.shape), "put ReLU1 (clamp to [0, 1]) behind it")
            return self.fire(value, None if value.max_pools else node.inputs[0])
        raise UnsupportedNode("its data input is a constant", "fold constants before export")

    def fan_in(self, value: Value, node: Node, channels_last: np.ndarray | None = None) -> tuple[str, tuple]:
        """Source and path so far of synapses that read `value` in the flat order `channels_last` (an index array of it)."""
        if isinstance(value, Potential) and value.pooled_only:
            index = value.index if channels_last is None else channels_last
            if np.array_equal(index.reshape(-1), np.arange(index.size)):
                return value.connections[0].source, value.connections[0].path
            channels_last = index  # the averages are read in an order of their own: they need neurons first
        spikes = self.spikes(value, node)
        return self.ordered(spikes.source, spikes.index if channels_last is None else channels_last), ()

    def fire(self, potential: Potential, tensor: str | None) -> Spikes:
        """Neurons for `potential`, the same ones if it has some already. tensor: the ONNX tensor that their decoded spikes equal, behind
        any waiting max-pools."""
        if id(potential) in self._fired:
            return self._fired[id(potential)][1]
        slopes = sum(weight_sums(connection, potential.shape) for connection in potential.connections)
        deviation = np.abs(slopes - 1)
        off = int((~(deviation <= self.tolerance)).sum())
        if off:
            positions = math.prod(potential.shape) // slopes.size
            self.violate(potential, "weight sum is not 1", off * positions,
                         "train with ttfs_convert.shims (soft and hard weight-sum constraint)", float(deviation.max()))
        layer = self.add(Spiking(name=self.unique(potential.name), shape=potential.shape, connections=potential.connections,
                                 window=self.window_after(potential.connections), bias=stored_bias(potential.bias), slope="fan_in",
                                 slopes=slopes.astype(np.float32),
                                 **matched(None if potential.max_pools else tensor, potential.index, potential.shape)))
        name = layer.name
        for position, geometry in enumerate(potential.max_pools, 1):
            last = position == len(potential.max_pools)
            name = self.max_pool(name, f"{potential.name}/max_pool", geometry, tensor if last else None, potential.index)
        spikes = Spikes(name, potential.index)
        self._fired[id(potential)] = (potential, spikes)  # the potential too, so that its id stays its own
        return spikes

    def max_pool(self, source: str, name: str, geometry: dict, tensor: str | None, index: np.ndarray) -> str:
        return self.add(MaxPool(name=self.unique(name), shape=geometry["out_shape"], window=self._windows[source], source=source,
                                **geometry, **matched(tensor, index, geometry["out_shape"]))).name

    def readout(self, value: Value, tensor: str) -> None:
        """The last layer: potentials that stay potentials, in the order of the ONNX tensor `tensor`."""
        if isinstance(value, (Spikes, Potential)) and value.index.shape[0] != 1:
            raise ModelError(f"output {tensor!r}", "other axes are folded into the batch", "one row per image",
                             "keep the batch axis to itself")
        if isinstance(value, Spikes):  # a pool or ReLU1 that ends the network: each output neuron reads one spike train
            source = self.ordered(value.source, value.index)
            value = Potential("readout", (Connection(source=source, path=()),), None, (value.index.size,),
                              flat_index(value.index.shape))
        if not isinstance(value, Potential) or value.max_pools:
            raise ModelError(f"output {tensor!r}", "a constant or a max-pool of pre-activations", "potentials or spikes of a layer",
                             "put the activation before the max-pool, which gives the same values")
        slopes = sum(weight_sums(connection, value.shape) for connection in value.connections)
        self.add(Readout(name=self.unique(value.name), shape=value.shape, connections=value.connections, tensor=tensor,
                         window=self.window_after(value.connections), bias=stored_bias(value.bias), slopes=slopes.astype(np.float32),
                         onnx_shape=value.index.shape[1:], index=np.ascontiguousarray(value.index.reshape(-1))))


def matched(tensor: str | None, index: np.ndarray, shape: Shape) -> dict:
    """Fields that match a population to the ONNX tensor of `index`, where that is in channels-last or channels-first order."""
    order = index.reshape(-1)
    for first, expected in ((False, flat_index(shape)), (True, channels_first(shape))):
        if np.array_equal(order, expected.reshape(-1)):
            return {"tensor": tensor, "channels_first": first}
    return {"tensor": None}


def stored_bias(bias: np.ndarray | None) -> np.ndarray | None:
    """A bias per channel where all positions agree, else of the whole shape."""
    if bias is None:
        return None
    rows = bias.reshape(-1, bias.shape[-1])
    return np.ascontiguousarray(rows[0] if (rows == rows[0]).all() else bias, np.float32)

