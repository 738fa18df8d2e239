"""What one inference makes hardware do: operations, spikes, and bytes moved.

Bytes are those of float32 without any reuse: every synaptic operation reads a weight (4 bytes) and reads and writes a potential (8), every update
of a neuron reads and writes one (8). A spike is the number of its neuron in the layer, in whole bytes. A multiply-accumulate of the ANN reads a
weight (4) and an activation (4), and reads and writes a partial sum (8). Reuse makes all of these smaller, on either side.

Padded taps and reference neurons, which slopes `fan_in` and `reference` need, are synaptic operations, but their spikes come from nowhere: every
layer can make them itself, at its window's opening or end. Analog inputs cost one multiply-accumulate per connection.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..network.network import Network
from ..network.populations import Input, Layer, Spiking, has_neurons, sources
from ..network.synapses.fan_out import existing_connections
from .operation_counts import Operations, event_of_layer, total

FLOAT = 4  # bytes
NOTHING = Operations(0.0, 0)


@dataclass(frozen=True)
class HardwareWork:
    """Per inference. neuronops and state_bytes are None in continuous time, which has no steps."""

    macs: float
    synops: float
    neuronops: float | None
    spikes: float
    spike_bytes: float

    @property
    def weight_bytes(self) -> float:
        """Of weights read."""
        return FLOAT * (self.macs + self.synops)

    @property
    def state_bytes(self) -> float | None:
        """Of potentials, or of activations and partial sums, read and written."""
        return None if self.neuronops is None else 3 * FLOAT * self.macs + 2 * FLOAT * (self.synops + self.neuronops)


def of_ann(macs: int) -> HardwareWork:
    """The original's. macs: its multiply-accumulates."""
    return HardwareWork(float(macs), 0.0, 0.0, 0.0, 0.0)


def of_spikes(network: Network, operations: Operations, sent: Mapping[str, np.ndarray] | None = None) -> HardwareWork:
    """The network's. operations: of one of the counts. sent: by population, how many spikes each neuron sends per inference, on average; None:
    one."""
    parts = of_layers(network, {}, sent).values()
    macs = sum(part.macs for part in parts)
    spikes, moved = sum(part.spikes for part in parts), sum(part.spike_bytes for part in parts)
    return HardwareWork(macs, operations.synops - macs, operations.neuronops, spikes, moved)


def of_layers(network: Network, operations: Mapping[str, Operations], sent: Mapping[str, np.ndarray] | None = None) -> dict[str, HardwareWork]:
    """As `of_spikes`, by population: operations and updates of its own neurons, and the spikes that it sends. operations: by name, of nothing where
    they are missing."""
    analog, found = _analog_connections(network), {}
    for layer in network.layers:
        own, macs = operations.get(layer.name, NOTHING), float(analog.get(layer.name, 0))
        spikes = _sent(layer, sent) if sends(layer) else 0.0
        found[layer.name] = HardwareWork(macs, own.synops - macs, own.neuronops, spikes, spikes * address_bytes(layer))
    return found


def event_work(network: Network, active: Mapping[str, np.ndarray]) -> HardwareWork:
    """Count `event` of a run with the dynamic threshold. active: as for `operation_counts.event_of_layer`."""
    event = total([event_of_layer(network, layer, active) for layer in network.layers])
    return of_spikes(network, event, active if network.slope == "gated" else None)


def sends(layer: Layer) -> bool:
    """Whether spikes start here: at neurons that fire and at encoders, not at wiring and analog inputs."""
    return (isinstance(layer, Input) and layer.coding == "spikes") or isinstance(layer, Spiking)


def address_bytes(layer: Layer) -> int:
    """Whole bytes that number the neurons of `layer`."""
    return max(1, -(-(math.prod(layer.shape) - 1).bit_length() // 8))


def _analog_connections(network: Network) -> dict[str, int]:
    """By layer, connections whose source is an analog input, or wiring behind one."""
    shapes = {layer.name: layer.shape for layer in network.layers}
    analog = {layer.name for layer in network.inputs if layer.coding == "direct"}
    found = {}
    for layer in network.layers:
        if has_neurons(layer):
            found[layer.name] = sum(existing_connections(each, shapes[each.source]) for each in layer.connections if each.source in analog)
        elif sources(layer) and analog.issuperset(sources(layer)):
            analog.add(layer.name)
    return found


def _sent(layer: Layer, sent: Mapping[str, np.ndarray] | None) -> float:
    return float(math.prod(layer.shape)) if sent is None else float(sent[layer.name].sum())
