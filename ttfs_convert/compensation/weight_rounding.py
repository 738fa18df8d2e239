"""A layer's weights as integers of few bits times one scale per neuron: see `integer_rows`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import UsageError
from ..network.network import Network
from ..network.populations import Readout, Spiking, trained_steps
from ..network.synapses.kind import WeightedKind
from ..network.weight_grid import LayerGrid, WeightGrid
from ..simulation.integrator import Integrator
from .channel_groups import ChannelGroups
from .integer_rows import Held, IntegerRows, fitted_to_rows, nearest
from .layer_change import Change, with_change, with_connections
from .regression_rows import fitted_steps, unchanged_sums
from .ridge import Ridge

Scales = dict[tuple[int, int], np.ndarray]  # by number of a connection and of a step on its path
SUM_KEPT = 1e-5  # how far float32 may take a weight sum


def with_nearest_weights(network: Network, bits: int) -> Network:
    """`network` with all trained weights rounded to the nearest; slope `fan_in` keeps its weight sums. Raises UsageError where integers cannot."""
    layers, grids = list(network.layers), []
    for index, layer in enumerate(layers):
        if isinstance(layer, (Spiking, Readout)) and trained_steps(layer):
            rounded, scales = unfitted_rounded(layer, bits)
            if steps := fitted_steps(layer):
                groups = ChannelGroups([step for _, step in steps])
                change = Rounding(layer, groups, unchanged_sums(layer, Integrator()), bits).nearest()
                rounded = with_change(rounded, change)
                scales |= scales_of(layer, change)
            layers[index] = checked(layer, rounded)
            grids.append(layer_grid(layer, scales))
    return network.changed(layers=tuple(layers), weight_grid=WeightGrid(bits=bits, layers=tuple(grids)))


def unfitted_rounded(layer: Spiking | Readout, bits: int) -> tuple[Spiking | Readout, Scales]:
    """`layer` with those trained weights rounded that no fit reaches, such as in the middle of a path."""
    connections, scales, fitted = list(layer.connections), {}, {number for number, _ in fitted_steps(layer)}
    for number, connection in enumerate(connections):
        path = list(connection.path)
        for place, step in enumerate(path):
            if isinstance(step, WeightedKind) and step.trained and not (number in fitted and place == len(path) - 1):
                found = nearest(step.weights.reshape(-1, step.weights.shape[-1]), bits)
                path[place] = step.changed(weights=found.weights.reshape(step.weights.shape))
                scales[number, place] = found.scales
        connections[number] = connection.changed(path=tuple(path))
    return (with_connections(layer, connections) if scales else layer), scales


def scales_of(layer: Spiking | Readout, change: Change) -> Scales:
    """Of the connections of `layer` that `change` has rounded."""
    if change.integers is None:
        return {}
    return {(number, len(layer.connections[number].path) - 1): change.integers.scales for number, _ in fitted_steps(layer)}


def layer_grid(layer: Spiking | Readout, scales: Scales) -> LayerGrid:
    """scales: of all its trained weights."""
    return LayerGrid(layer=layer.name, scales=tuple(scales[place] for place in sorted(scales)))


def checked(layer: Spiking | Readout, rounded: Spiking | Readout) -> Spiking | Readout:
    """`rounded`, which with slope `fan_in` has the weight sums of `layer`, or closer ones to 1. Raises UsageError."""
    if isinstance(layer, Spiking) and layer.slope == "fan_in":
        before, after = (np.broadcast_to(np.abs(each.weight_sums.astype(np.float64) - 1), layer.shape) for each in (layer, rounded))
        worst = float((after - before).max())
        if worst > SUM_KEPT:
            raise UsageError(
                "weight bits",
                f"weight sums of layer {layer.name}, which rounding takes off by {worst:.1e}",
                "convolutions and dense layers, whose sums it can keep",
                "add --mode exact, which needs no weight sums, or leave --weight-bits out",
            )
    return rounded


class Rounding:
    """Of a layer's fitted weights. groups: their blocks. unchanged: as for `layer_fit.fit`."""

    def __init__(self, layer: Spiking | Readout, groups: ChannelGroups, unchanged: Sequence[np.ndarray] | None, bits: int):
        self._groups, self._bits = groups, bits
        self._weights = np.concatenate([step.weights.reshape(step.fan_in, -1) for _, step in fitted_steps(layer)])
        self._held = [
            None if unchanged is None else Held.of(groups.columns(unchanged, block), own) for block, own in enumerate(self._by_block(self._weights))
        ]

    def _by_block(self, weights: np.ndarray) -> list[np.ndarray]:
        return [weights[:, self._groups.outputs(block, weights.shape[1])] for block in range(self._groups.count)]

    def nearest(self) -> Change:
        """Of the weights as they are, without a charge."""
        return self._change([nearest(own, self._bits, held) for own, held in zip(self._by_block(self._weights), self._held)])

    def about(self, change: Change, ridges: Sequence[Ridge], strength: float) -> Change:
        """Of the weights after `change`, so that what they make of the rows stays, up to a charge. ridges: of these rows, by block."""
        weights = self._weights + np.concatenate(change.weights) if change.weights else self._weights
        return self._change(
            [fitted_to_rows(own, ridge, strength, self._bits, held) for own, ridge, held in zip(self._by_block(weights), ridges, self._held)]
        )

    def _change(self, blocks: list[IntegerRows]) -> Change:
        rounded = IntegerRows(np.concatenate([each.q for each in blocks], 1), np.concatenate([each.scales for each in blocks]))
        return Change(np.zeros(self._weights.shape[1]), self._groups.by_connection(rounded.weights - self._weights), rounded)
