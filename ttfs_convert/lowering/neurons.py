"""Potentials become populations: neurons that fire, max-pools of their spikes, and readouts, which do not fire."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TypedDict

import numpy as np

from ..errors import ModelError
from ..network.activations.threshold_shape import Activation
from ..network.choices import Pooling, Slope
from ..network.per_channel import compact
from ..network.populations import Coded, MaxPool, Part, Readout, Spiking
from ..network.records import Shape
from ..network.synapses.chains import scaled
from ..network.synapses.connection import Connection
from ..network.synapses.weight_sums import weight_sums
from ..onnx_model.node import Node
from .ranges.of_layers import UNIT, Ranges, measured
from .reordering import Reordering
from .sums_of_trains import factors_of
from .unsupported import UnsupportedNode
from .values import Geometry, Potential, Spikes, Value, channels_first, flat_index, is_flat_order, same_index


class _Tensor(TypedDict):
    tensor: str | None


class Match(_Tensor, total=False):
    """Fields that match a population to a tensor of the original model."""

    channels_first: bool
    tensor_index: np.ndarray


NO_MATCH: Match = {"tensor": None}


class Neurons(Reordering):
    """Adds the populations that are no wiring: Spiking, MaxPool and Readout."""

    def __init__(self, pooling: Pooling, slope: Slope, tolerance: float, ranges: Ranges):
        super().__init__(pooling, slope, tolerance, ranges)
        self._fired: dict[tuple, tuple[Potential, Spikes]] = {}

    def forget_values(self) -> None:
        """As for `Construction`."""
        super().forget_values()
        self._fired.clear()

    def spikes(self, value: Value | None, node: Node, position: int = 0) -> Spikes:
        """The input `value` at `position` of `node` as spikes: as it is, or through neurons; those that no activation of the model stands
        for are a violation."""
        if isinstance(value, Spikes):
            return value
        if isinstance(value, Potential):
            if not value.pooled_only and value.low == -math.inf and value.high == math.inf:
                self.violate(value, f"no activation before {node.name}", "put ReLU1 (clamp to [0, 1]) behind it")
            return self.fire(value, node.inputs[position], value.low, value.high)
        raise UnsupportedNode("its data input is a constant", "fold constants before export")

    def sent(self, value: Value | None, node: Node, position: int = 0) -> Spikes:
        """As `spikes`, but analog input is encoded too: for wiring, which needs spikes."""
        spikes = self.spikes(value, node, position)
        if not spikes.direct:
            return spikes
        analog = self.potential(spikes, f"{spikes.source}/encoder")
        self.violate(analog, f"analog input before {node.name}", "give the inputs bounds, with --input-range")
        return self.fire(analog, node.inputs[position])

    def fire(
        self,
        potential: Potential,
        tensor: str,
        low: float = -math.inf,
        high: float = math.inf,
        part: Part = "whole",
        activation: Activation | None = None,
    ) -> Spikes:
        """Neurons for `potential` clamped to [low, high], or for its `activation`: the same ones if it has some already, however it is turned
        round by now.

        tensor: the ONNX tensor that their decoded spikes equal, or a part of whose values they carry, behind any waiting max-pools. It is what
        `potential.index` shows: set the index first, for by it calibration finds each neuron's values in the tensor.
        """
        what = (potential.connections, potential.bias, potential.bounds, potential.max_pools)
        key = (*map(id, what), potential.name, potential.shape, low, high, activation)
        if key not in self._fired:
            spikes = self._fire(potential, tensor, low, high, part, activation)
            self._fired[key] = potential, spikes  # the potential too, so that these ids stay its own
        return replace(self._fired[key][1], index=potential.index)

    def _fire(self, potential: Potential, tensor: str, low: float, high: float, part: Part, activation: Activation | None) -> Spikes:
        if activation is None:
            lo, hi = self.ranges.of(potential, tensor, low, high, part)
        else:
            lo, hi = self.ranges.of_function(potential, tensor, activation, part)
        scale = hi.astype(np.float64) - lo
        unit, zero = (scale, lo) if activation is None else (np.ones_like(scale), np.zeros_like(scale))  # of potentials
        connections = tuple(Connection(source=each.source, path=scaled(each.path, 1 / unit, potential.shape)) for each in potential.connections)
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
                bias=_stored((potential.bias - zero) / unit, potential.shape),
                slope="gated" if analog else self.slope,
                weight_sums=sums.astype(np.float32),
                low=low if math.isfinite(low) else None,
                high=high if math.isfinite(high) else None,
                part=part,
                activation=activation,
                **(NO_MATCH if potential.max_pools else _matched(potential.index, potential.shape, tensor)),
            )
        )
        name = layer.name
        self.measured[name] = measured(tensor, part, activation)
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

    def max_pool(self, value: Spikes, node: Node, geometry: Geometry, index: np.ndarray) -> Spikes:
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

    def max_pool_of_parts(self, value: Potential, node: Node, geometry: Geometry, index: np.ndarray) -> Potential:
        """The maxima of spike trains that are increasing functions of one value, none of them with a negative factor, each with one
        factor per channel: the earliest spikes of each. index: of the result."""
        connections = []
        for each in value.connections:
            source = self._populations[each.source]
            factors = factors_of(each.path, geometry["out_shape"][-1])
            if factors is None:
                raise UnsupportedNode("it reads synapses that are more than factors", "pool behind the activation")
            lo, hi = (source.lo, source.hi) if isinstance(source, Coded) else (np.zeros_like(factors), factors)
            layer = self.add(
                MaxPool(
                    name=self.unique(node.name),
                    shape=geometry["out_shape"],
                    source=source.name,
                    window=source.window,
                    lo=lo,
                    hi=hi,
                    part=source.part if isinstance(source, Coded) else "whole",
                    **geometry,
                    **NO_MATCH,
                )
            )
            connections.append(Connection(source=layer.name, path=scaled((), factors, layer.shape)))
        return replace(value, name=node.name, connections=tuple(connections), shape=geometry["out_shape"], index=index)

    def readout(self, value: Value, tensor: str, inner: bool = False) -> str:
        """The last layer: potentials that stay potentials, in the order of the ONNX tensor `tensor`. inner: whether an analog part reads it. Returns
        its name."""
        if isinstance(value, Potential) and (math.isfinite(value.low) or math.isfinite(value.high)):
            value = self.fire(value, tensor, value.low, value.high)
        if isinstance(value, Potential) and value.max_pools:
            self.violate(value, "a max-pool of pre-activations is the output", "put ReLU1 (clamp to [0, 1]) before the pool")
            value = self.fire(value, tensor)
        if isinstance(value, Spikes):  # a pool or an activation that ends the network: each output neuron reads one spike train
            name = f"{tensor}/readout" if inner else "readout"
            value = replace(self.potential(value, name), name=name)
        if not isinstance(value, Potential):
            raise ModelError(f"output {tensor!r}", "a constant", "potentials or spikes of a layer", "export without this output")
        sums = compact(np.asarray(sum(weight_sums(connection, value.shape) for connection in value.connections)))
        batched = value.index.shape[:1] == (1,)
        return self.add(
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
                inner=inner,
            )
        ).name


def _matched(index: np.ndarray, shape: Shape, tensor: str) -> Match:
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
