"""Populations in another order: spikes that are moved, repeated or joined, without neurons of their own."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ..network.per_channel import compact
from ..network.populations import Concat, Reorder
from ..network.records import Shape
from ..network.synapses.chains import Linear, scaled
from .construction import Construction
from .unsupported import AnalogMoved
from .values import Potential, Spikes, flat_index, is_flat_order, without_batch


class Reordering(Construction):
    """Adds the populations that are wiring: Reorder and Concat."""

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

    def whole(self, value: Spikes) -> Spikes:
        """The same tensor from a population of which it shows every neuron once: its own, or one in the tensor's order."""
        size = math.prod(value.shape)
        if value.index.size == size and np.array_equal(np.sort(value.index, axis=None), flat_index((size,))):
            return value
        return replace(self.relaid(value, without_batch(value.index)), index=flat_index(value.index.shape))

    def linear(self, value: Spikes, order: np.ndarray) -> Linear:
        """The values of a spike train in the order of `order`, whose shape they get."""
        spikes = self.relaid(value, order)
        return Linear(spikes.source, scaled((), spikes.scale, spikes.shape), spikes.shape, spikes.offset)

    def potential(self, value: Spikes, name: str) -> Potential:
        """The values of a spike train as the potential of neurons still to come, each fed by one connection."""
        spikes = self.whole(value)
        index, spikes = spikes.index, replace(spikes, index=flat_index(spikes.shape))
        values = self.linear(spikes, spikes.index)
        return Potential(name, (values.connection,), values.offset, values.shape, index, bounds=spikes.bounds)
