"""A layer with other weights and charges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..network.per_channel import compact
from ..network.populations import Readout, Spiking
from ..network.synapses.connection import Connection
from ..network.synapses.weight_sums import weight_sums
from .integer_rows import IntegerRows
from .regression_rows import fitted_steps


@dataclass(frozen=True)
class Change:
    """Of a layer: charges (m,) float64, and weights, per fitted connection (weights per neuron, m) float32, if they change at all. integers: what
    the weights then are, all connections one after the other, if they are rounded."""

    charge: np.ndarray
    weights: tuple[np.ndarray, ...] = ()
    integers: IntegerRows | None = None


def with_change(layer: Spiking | Readout, change: Change) -> Spiking | Readout:
    """`layer` with `change`."""
    connections, steps = list(layer.connections), fitted_steps(layer)
    rounded = None if change.integers is None else np.split(change.integers.weights, np.cumsum([step.fan_in for _, step in steps])[:-1])
    for index, ((number, step), weights) in enumerate(zip(steps, change.weights)):
        *path, _ = connections[number].path
        fitted = step.weights.reshape(weights.shape) + weights if rounded is None else rounded[index]
        connections[number] = connections[number].changed(path=(*path, step.changed(weights=fitted.reshape(step.weights.shape))))
    bias = layer.bias
    if change.charge.any():
        whole = np.zeros(layer.shape) + (0 if bias is None else bias)
        bias = compact((whole.reshape(-1, change.charge.size) + change.charge).reshape(layer.shape)).astype(np.float32)
    return with_connections(layer, connections).changed(bias=bias)


def with_connections(layer: Spiking | Readout, connections: list[Connection]) -> Spiking | Readout:
    """`layer` with others, of the same shapes."""
    sums = compact(np.asarray(sum(np.broadcast_to(weight_sums(each, layer.shape), layer.shape) for each in connections)))
    return layer.changed(connections=tuple(connections), weight_sums=sums.astype(np.float32))
