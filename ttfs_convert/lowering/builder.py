"""What an operator's function builds the network with, in four files, each of which adds one thing to the one before:

`construction.py`  what the graph's tensors are, and the node's inputs: `data`, `constant`, `constants`; layers and violations so far
`reordering.py`    spikes in another order: `relaid`, `aligned`, `whole`, `concat`; and as a `potential`
`neurons.py`       neurons for a potential: `fire`, `spikes`, `sent`; max-pools and readouts
this one           spikes through synapses, and sums of spike trains: `synapses`, `summed`, `sum_of`, `broadcast`
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from operator import add

import numpy as np

from ..network.records import Shape
from ..network.synapses.chains import Linear
from ..network.synapses.connection import Synapses
from ..onnx_model.node import Node
from .neurons import Neurons
from .sums_of_trains import spike_trains
from .values import Potential, Spikes, channels_first, flat_index, is_flat_order


class Builder(Neurons):
    """The network under construction, with all that an operator's function needs; see `Construction` for its attributes."""

    def synapses(
        self, value: Spikes | Potential, node: Node, steps: Synapses | tuple[Synapses, ...], index: np.ndarray, position: int = 0
    ) -> Potential:
        """`value`, the input of `node` at `position` read in the flat order `index`, through the synapses `steps`; spike-coded first where no
        neuron has done so. The result shows its population as an ONNX tensor (1, channels, *positions): give it the index that it has."""
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
        own = self.data(node, position).index  # the tensor's; `value` may show it turned round
        again = self.fire(replace(ordered, index=place[own]), node.inputs[position])  # neurons give the values one range per channel
        return self._behind([self.linear(again, flat_index(index.shape)).through(steps)], node)

    def _parts(self, value: Spikes | Potential, index: np.ndarray) -> list[Linear]:
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

    def sum_of(self, trains: Sequence[Spikes], like: Sequence[Spikes | Potential], name: str) -> Potential:
        """The sum of `trains`, which are of one shape and show the same places. like: the sums whose elements they hold."""
        result = self.summed(trains, name)
        bounds = (
            np.maximum(result.bounds[0], min(float(value.bounds[0].min()) for value in like)),
            np.minimum(result.bounds[1], max(float(value.bounds[1].max()) for value in like)),
        )
        return replace(result, bounds=bounds, pooled_only=True, comonotone=all(isinstance(value, Spikes) or value.comonotone for value in like))

    def broadcast(self, value: Spikes | Potential, shape: Shape, node: Node, position: int = 0) -> Spikes | Potential:
        """`value`, the input of `node` at `position`, as a tensor of `shape`, to which it broadcasts; repeated elements are repeated spike
        trains, for which pre-activations get neurons."""
        if value.index.size == math.prod(shape):
            return replace(value, index=np.broadcast_to(value.index, shape))
        trains = [replace(train, index=np.broadcast_to(train.index, shape)) for train in spike_trains(value) or [self.spikes(value, node, position)]]
        return self.sum_of(trains, [value], node.name) if len(trains) > 1 else trains[0]
