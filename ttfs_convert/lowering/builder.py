"""Collects the layers of a network while its graph is lowered, and everything in it that violates the paper's constraints."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from operator import add

import numpy as np

from ..errors import ModelError
from ..network.per_channel import compact
from ..network.populations import Coded, Concat, Layer, MaxPool, Part, Readout, Reorder, Spiking
from ..network.provenance import Violation
from ..network.records import Shape
from ..network.synapses.chains import Linear, scaled
from ..network.synapses.connection import Connection, Synapses
from ..network.synapses.weight_sums import weight_sums
from ..onnx_model.node import Node
from .ranges.of_layers import UNIT, Ranges, measured
from .sums import spike_trains, sum_of
from .values import Constant, Potential, Spikes, Value, channels_first, flat_index, is_flat_order, same_index, without_batch

NO_MATCH = {"tensor": None}


class UnsupportedNode(Exception):
    """Raised by an operator's function: why the node has no spiking equivalent here, and what would help."""

    def __init__(self, reason: str, remedy: str):
        super().__init__(reason)
        self.reason, self.remedy = reason, remedy


class AnalogMoved(UnsupportedNode):
    """Analog currents would have to be wired in another order, for which only spikes have populations."""

    def __init__(self):
        super().__init__("it rearranges analog input", "give the inputs bounds, with --input-range")


class Builder:
    """The network under construction: `values` of ONNX tensors by name, `layers` in topological order, `violations` so far.

    pooling: `synaptic` or `spiking`. slope: of the layers, `fan_in`, `reference` or `gated`. tolerance: on |weight sum - 1|, which only
    slope `fan_in` is held to. ranges: what the layers' spikes stand for. opset: the model's version of ONNX's operators. readers: operators
    of the nodes that read each tensor. max_pooled: tensors that a max-pool reads, maybe scaled or moved.
    """

    def __init__(self, pooling: str, slope: str, tolerance: float, ranges: Ranges):
        self.pooling, self.slope, self.tolerance, self.ranges = pooling, slope, tolerance, ranges
        self.opset = 0
        self.readers: dict[str, list[str]] = {}
        self.max_pooled: set[str] = set()
        self.values: dict[str, Value] = {}
        self.layers: list[Layer] = []
        self.violations: list[Violation] = []
        self._populations: dict[str, Layer] = {}
        self._names: set[str] = set()
        self._reorders: dict[tuple[str, bytes], str] = {}
        self._fired: dict[tuple[int, float, float], tuple[Potential, Spikes]] = {}
        self._measured: dict[str, str] = {}  # by layer, whose range it needs if it has none

    def forget_values(self) -> None:
        """Free what only lowering needs: their weights, without ranges, take as much memory as the layers'."""
        self.values.clear()
        self._fired.clear()

    def keep(self, layers: list[Layer]) -> None:
        """Leave out all other layers, and the ranges that only these need: an attempt that ended in the head or the tail has left them."""
        needed = {self._measured.get(layer.name) for layer in layers}
        self.layers[:] = layers
        self.ranges.unbounded = {key: asked for key, asked in self.ranges.unbounded.items() if key in needed}

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

    def window_after(self, connections: tuple[Connection, ...]) -> int:
        return 1 + max(self._populations[connection.source].window for connection in connections)

    def ordered(self, source: str, index: np.ndarray) -> str:
        """A population whose neurons are those of `source` at `index`, in its flat order: `source` itself or a Reorder of it."""
        if is_flat_order(index, math.prod(self._populations[source].shape)):
            return source
        flat = np.ascontiguousarray(index.reshape(-1), np.int64)
        key = (source, flat.tobytes())
        if key not in self._reorders:
            name = self.unique(f"{source}/reorder")
            self.add(Reorder(name=name, shape=(flat.size,), window=self._populations[source].window, tensor=None, source=source, index=flat))
            self._reorders[key] = name
        return self._reorders[key]

    def concat(self, name: str, parts: list[str], shape: Shape) -> str:
        """A population of `shape` that has the channels of all `parts` side by side."""
        window = max(self._populations[part].window for part in parts)
        return self.add(Concat(name=self.unique(name), shape=shape, window=window, tensor=None, joined=tuple(parts))).name

    def relaid(self, value: Spikes, order: np.ndarray) -> Spikes:
        """The same values from a population whose flat order is that of `order`, and whose shape it takes."""
        if order.shape == value.shape and is_flat_order(order, order.size):
            return replace(value, index=flat_index(order.shape))
        source = self.ordered(value.source, order)
        if source != value.source and value.direct:
            raise AnalogMoved
        scale, offset = (compact(np.broadcast_to(part, value.shape).reshape(-1)[order]) for part in (value.scale, value.offset))
        return Spikes(source, flat_index(order.shape), order.shape, scale, offset, value.direct, value.raw)

    def aligned(self, value: Spikes, other: Spikes | Potential) -> Spikes:
        """`value` from a population in the order of `other`'s, so that equal places in the two tensors are equal places there."""
        order = np.empty(other.index.size, np.int64)
        order[other.index.reshape(-1)] = value.index.reshape(-1)
        return self.relaid(value, order.reshape(other.shape))

    def linear(self, value: Spikes, order: np.ndarray) -> Linear:
        """The values of a spike train in the order of `order`, whose shape they get."""
        spikes = self.relaid(value, order)
        return Linear(spikes.source, scaled((), spikes.scale, spikes.shape), spikes.shape, spikes.offset)

    def whole(self, value: Spikes) -> Spikes:
        """The same tensor from a population of which it shows every neuron once: its own, or one in the tensor's order."""
        size = math.prod(value.shape)
        if value.index.size == size and np.array_equal(np.sort(value.index, axis=None), flat_index((size,))):
            return value
        return replace(self.relaid(value, without_batch(value.index)), index=flat_index(value.index.shape))

    def broadcast(self, value: Spikes | Potential, shape: Shape, node: Node, position: int = 0) -> Spikes | Potential:
        """`value`, the input of `node` at `position`, as a tensor of `shape`, to which it broadcasts; repeated elements are repeated spike
        trains, for which pre-activations get neurons."""
        if value.index.size == math.prod(shape):
            return replace(value, index=np.broadcast_to(value.index, shape))
        trains = [replace(train, index=np.broadcast_to(train.index, shape)) for train in spike_trains(value) or [self.spikes(value, node, position)]]
        return sum_of(trains, [value], node.name, self) if len(trains) > 1 else trains[0]

    def potential(self, value: Spikes, name: str) -> Potential:
        """The values of a spike train as the potential of neurons still to come, each fed by one connection."""
        spikes = self.whole(value)
        index, spikes = spikes.index, replace(spikes, index=flat_index(spikes.shape))
        values = self.linear(spikes, spikes.index)
        return Potential(name, (values.connection,), values.offset, values.shape, index, bounds=spikes.bounds)

    def summed(self, trains: Sequence[Spikes], name: str) -> Potential:
        """The sum of spike trains of one shape that show the same places, as `potential`."""
        parts = [self.potential(train, name) for train in trains]
        bounds = sum(part.bounds[0] for part in parts), sum(part.bounds[1] for part in parts)
        return replace(
            parts[0],
            connections=tuple(connection for part in parts for connection in part.connections),
            bias=sum(part.bias for part in parts),
            bounds=bounds,
        )

    def synapses(self, value: Value, node: Node, steps: Synapses | tuple[Synapses, ...], index: np.ndarray, position: int = 0) -> Potential:
        """`value`, the input of `node` at `position` read in the flat order `index`, through the synapses `steps`; spike-coded first where no
        neuron has done so."""
        steps = steps if isinstance(steps, tuple) else (steps,)
        parts = self._parts(value, index)
        if not parts:
            value = self.spikes(value, node, position)
            parts = self._parts(value, index)
        with contextlib.suppress(ValueError):  # factors that differ by position
            return self._behind([part.through(steps) for part in parts], node)
        trains = spike_trains(value)
        if trains is None:
            return self.synapses(self.spikes(value, node, position), node, steps, index, position)
        ordered = self.summed([self.relaid(train, index) for train in trains], node.name)
        place = np.empty(math.prod(trains[0].shape), np.int64)
        place[index.reshape(-1)] = np.arange(index.size, dtype=np.int64)
        own = self.values[node.inputs[position]].index  # the tensor's; `value` may show it turned round
        again = self.fire(replace(ordered, index=place[own]), node.inputs[position])  # neurons give the values one range per channel
        return self._behind([self.linear(again, flat_index(index.shape)).through(steps)], node)

    def _parts(self, value: Value, index: np.ndarray) -> list[Linear]:
        """Values that sum up to `value` read in the flat order `index`, the first with the bias; none where neurons have to come first."""
        if isinstance(value, Potential) and value.pooled_only and is_flat_order(index, index.size):
            return [Linear(each.source, each.path, value.shape, np.zeros(1) if k else value.bias) for k, each in enumerate(value.connections)]
        return [self.linear(train, index) for train in spike_trains(value) or ()]

    def _behind(self, parts: list[Linear], node: Node) -> Potential:
        """The sum of `parts`, of one shape."""
        shape = parts[0].shape
        return Potential(
            node.name, tuple(part.connection for part in parts), reduce(add, (part.offset for part in parts)), shape, channels_first(shape)
        )

    def spikes(self, value: Value, node: Node, position: int = 0) -> Spikes:
        """The input `value` at `position` of `node` as spikes: as it is, or through neurons; those that no activation of the model stands
        for are a violation."""
        if isinstance(value, Spikes):
            return value
        if isinstance(value, Potential):
            if not value.pooled_only and value.low == -math.inf and value.high == math.inf:
                self.violate(value, f"no activation before {node.name}", "put ReLU1 (clamp to [0, 1]) behind it")
            return self.fire(value, node.inputs[position], value.low, value.high)
        raise UnsupportedNode("its data input is a constant", "fold constants before export")

    def sent(self, value: Value, node: Node, position: int = 0) -> Spikes:
        """As `spikes`, but analog input is encoded too: for wiring, which needs spikes."""
        spikes = self.spikes(value, node, position)
        if not spikes.direct:
            return spikes
        analog = self.potential(spikes, f"{spikes.source}/encoder")
        self.violate(analog, f"analog input before {node.name}", "give the inputs bounds, with --input-range")
        return self.fire(analog, node.inputs[position])

    def fire(self, potential: Potential, tensor: str, low: float = -math.inf, high: float = math.inf, part: Part = "whole") -> Spikes:
        """Neurons for `potential` clamped to [low, high], the same ones if it has some already.

        tensor: the ONNX tensor that their decoded spikes equal, or a part of whose values they carry, behind any waiting max-pools.
        """
        key = (id(potential), low, high)
        if key not in self._fired:
            fired = self._fire(potential, tensor, low, high, part)
            self._fired[key] = (potential, fired)  # the potential too, so that its id stays its own
        return self._fired[key][1]

    def _fire(self, potential: Potential, tensor: str, low: float, high: float, part: Part) -> Spikes:
        lo, hi = self.ranges.of(potential, tensor, low, high, part)
        scale = hi.astype(np.float64) - lo
        connections = tuple(Connection(source=each.source, path=scaled(each.path, 1 / scale, potential.shape)) for each in potential.connections)
        analog = any(getattr(self._populations[each.source], "coding", None) == "direct" for each in connections)
        sums = compact(np.asarray(sum(weight_sums(each, potential.shape) for each in connections)))
        if self.slope == "fan_in" and part in ("whole", "positive"):  # the other half has the same weights
            self._check(potential, sums, analog, *((low, high) if part == "whole" else UNIT))
        layer = self.add(
            Spiking(
                name=self.unique(potential.name),
                shape=potential.shape,
                connections=connections,
                lo=lo,
                hi=hi,
                window=self.window_after(connections),
                bias=_stored((potential.bias - lo) / scale, potential.shape),
                slope="gated" if analog else self.slope,
                weight_sums=sums.astype(np.float32),
                low=low if math.isfinite(low) else None,
                high=high if math.isfinite(high) else None,
                part=part,
                **(NO_MATCH if potential.max_pools else _matched(potential.index, potential.shape, tensor)),
            )
        )
        name = layer.name
        self._measured[name] = measured(tensor, part)
        for geometry in potential.max_pools:
            match = _matched(potential.index, geometry["out_shape"], tensor) if geometry is potential.max_pools[-1] else NO_MATCH
            name = self.add(
                MaxPool(
                    name=self.unique(f"{potential.name}/max_pool"),
                    shape=geometry["out_shape"],
                    window=layer.window,
                    source=name,
                    lo=lo,
                    hi=hi,
                    part=part,
                    **geometry,
                    **match,
                )
            ).name
        return Spikes(name, potential.index, self._populations[name].shape, scale, lo.astype(np.float64))

    def _check(self, potential: Potential, sums: np.ndarray, analog: bool, low: float, high: float) -> None:
        """Hold the neurons to be against the paper: ReLU1 and weight sums of 1."""
        if (math.isfinite(low) or math.isfinite(high)) and (low, high) != UNIT:
            name = "ReLU" if (low, high) == (0, math.inf) else f"clamp to [{low:g}, {high:g}]"
            self.violate(potential, f"activation is {name}, not ReLU1", "train with ReLU1 (clamp to [0, 1])")
        deviation = np.abs(sums - 1)
        off = int((~(deviation <= self.tolerance)).sum())
        if analog:
            self.violate(potential, "analog input: no spikes, slope gated", "give the inputs bounds, with --input-range")
        elif off:
            self.violate(
                potential,
                "weight sum is not 1",
                "train with ttfs_convert.training (soft and hard weight-sum constraint)",
                off * (math.prod(potential.shape) // sums.size),
                float(deviation.max()),
            )

    def max_pool(self, value: Spikes, node: Node, geometry: dict, index: np.ndarray) -> Spikes:
        """The earliest spike per window. value: in the order of the pool's inputs, with one factor per channel, none of them negative.
        index: of the result."""
        lo, hi = value.offset.astype(np.float32), (value.offset + value.scale).astype(np.float32)
        layer = self.add(
            MaxPool(
                name=self.unique(node.name),
                shape=geometry["out_shape"],
                source=value.source,
                lo=lo,
                hi=hi,
                window=self._populations[value.source].window,
                **geometry,
                **_matched(index, geometry["out_shape"], node.outputs[0]),
            )
        )
        return Spikes(layer.name, index, layer.shape, value.scale, value.offset)

    def max_pool_of_parts(self, value: Potential, node: Node, geometry: dict, index: np.ndarray) -> Potential:
        """The maxima of spike trains that are increasing functions of one value, none of them with a negative factor, each with one
        factor per channel: the earliest spikes of each. index: of the result."""
        connections = []
        for each in value.connections:
            source = self._populations[each.source]
            factors = each.path[0].weights if each.path else np.ones(geometry["out_shape"][-1], np.float32)
            ends = (
                {"lo": source.lo, "hi": source.hi, "part": source.part}
                if isinstance(source, Coded)
                else {"lo": np.zeros_like(factors), "hi": factors}
            )
            layer = self.add(
                MaxPool(
                    name=self.unique(node.name), shape=geometry["out_shape"], source=source.name, window=source.window, **ends, **geometry, **NO_MATCH
                )
            )
            connections.append(Connection(source=layer.name, path=scaled((), factors, layer.shape)))
        return replace(value, name=node.name, connections=tuple(connections), shape=geometry["out_shape"], index=index)

    def readout(self, value: Value, tensor: str) -> None:
        """The last layer: potentials that stay potentials, in the order of the ONNX tensor `tensor`."""
        if isinstance(value, Potential) and (math.isfinite(value.low) or math.isfinite(value.high)):
            value = self.fire(value, tensor, value.low, value.high)
        if isinstance(value, Potential) and value.max_pools:
            self.violate(value, "a max-pool of pre-activations is the output", "put ReLU1 (clamp to [0, 1]) before the pool")
            value = self.fire(value, tensor)
        if isinstance(value, Spikes):  # a pool or an activation that ends the network: each output neuron reads one spike train
            value = replace(self.potential(value, "readout"), name="readout")
        if not isinstance(value, Potential):
            raise ModelError(f"output {tensor!r}", "a constant", "potentials or spikes of a layer", "export without this output")
        sums = compact(np.asarray(sum(weight_sums(connection, value.shape) for connection in value.connections)))
        batched = value.index.shape[:1] == (1,)
        self.add(
            Readout(
                name=self.unique(value.name),
                shape=value.shape,
                connections=value.connections,
                tensor=tensor,
                window=self.window_after(value.connections),
                bias=_stored(value.bias, value.shape),
                weight_sums=sums.astype(np.float32),
                onnx_shape=value.index.shape[1:] if batched else value.index.shape,
                batched=batched,
                index=np.ascontiguousarray(value.index.reshape(-1)),
            )
        )


def _matched(index: np.ndarray, shape: Shape, tensor: str) -> dict:
    """Fields that match a population of `shape` to the ONNX tensor of `index`, which shows every neuron once."""
    if is_flat_order(index, math.prod(shape)):
        return {"tensor": tensor}
    expected = channels_first(shape)
    if same_index(index, expected) or np.array_equal(index.reshape(-1), expected.reshape(-1)):
        return {"tensor": tensor, "channels_first": True}
    order = np.ascontiguousarray(index.reshape(-1), np.int64)
    return {"tensor": tensor, "tensor_index": order} if np.array_equal(np.sort(order), flat_index(order.shape)) else NO_MATCH


def _stored(bias: np.ndarray, shape: Shape) -> np.ndarray | None:
    """A bias per channel where all positions agree, else whole; None if there is none."""
    if not bias.any():
        return None
    return np.ascontiguousarray(compact(np.broadcast_to(bias, bias.shape if bias.ndim == 1 else shape)), np.float32)
