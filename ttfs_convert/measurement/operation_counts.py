"""The four counts of operations per inference: `paper`, `synaptic`, `event`, `event_if_gated`.

SynOPs are synaptic operations, NeuronOPs neuron updates, P_proxy their sum (LC-TTFS, Eq. 22). What each count takes in:

- paper: SynOPs = weight parameters; NeuronOPs = neurons of weight layers x N summed over the weight layers. Shares weights across
  positions.
- synaptic: every existing connection once; NeuronOPs = all neurons x all steps of the run.
- event: what the slope case transmits. gated: spikes with a > 0, times their fan-out. fan_in, reference: every neuron and every padded
  tap; reference also one spike per layer into every neuron. NeuronOPs = neurons x N of their own window.
- event_if_gated: only spikes with a > 0, times their fan-out; NeuronOPs as for `event`.

Neurons are those that integrate: spiking layers and the readout (which integrates for one window), not the input's encoders. Analog
input, which is no spike, counts once per connection.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..network.network import Network
from ..network.populations import Layer, Spiking, has_neurons, neurons, sources, trained_steps
from ..network.synapses.connection import Connection
from ..network.synapses.fan_out import existing_connections, fan_out, virtual_connections


@dataclass(frozen=True)
class Operations:
    """Operations per inference; updates are None in continuous time, which has no steps."""

    synops: float
    neuronops: float | None

    @property
    def p_proxy(self) -> float | None:
        """P_proxy = SynOPs + NeuronOPs (LC-TTFS, Eq. 22); None in continuous time."""
        return None if self.neuronops is None else self.synops + self.neuronops


def layer_macs(layer: Layer, twins: Container[str] = ()) -> int:
    """Multiply-accumulates of a layer's convolutions and matrix products, padded taps included, per inference; those of a transposed
    convolution by its inputs, each of which meets the whole kernel. twins: sources that are left out."""
    paths = [connection.path for connection in layer.connections if connection.source not in twins] if has_neurons(layer) else []
    return sum(step.macs(before) for path in paths for before, step in zip((None, *path), path))


def spiking_macs(layers: Sequence[Layer]) -> int:
    """Of the original's multiply-accumulates those that `layers` do. Where two populations carry the halves of one tensor, what feeds
    them and what reads them counts once."""
    twins = _twins(layers)
    return sum(layer_macs(layer, twins) for layer in layers if layer.name not in twins)


def _twins(layers: Sequence[Layer]) -> set[str]:
    """Names of the populations that carry second halves, wiring behind them included."""
    first = {(sources(layer), layer.shape) for layer in layers if isinstance(layer, Spiking) and layer.part in ("positive", "function")}
    twins: set[str] = set()
    for layer in layers:
        half = isinstance(layer, Spiking) and layer.part in ("negative", "negated", "mirrored", "further") and (sources(layer), layer.shape) in first
        if half or (not has_neurons(layer) and sources(layer) and twins.issuperset(sources(layer))):
            twins.add(layer.name)
    return twins


def spiking_mac_share(network: Network) -> float:
    """Share of the original's multiply-accumulates that the spiking layers do."""
    return min(1.0, spiking_macs(network.layers) / network.ann_macs) if network.ann_macs else 1.0


def paper(network: Network) -> Operations:
    """The paper's count: weights once, whatever positions share them; neurons of weight layers times the steps of all of these."""
    layers = [layer for layer in network.layers if trained_steps(layer)]
    synops = sum(step.weights.size for layer in layers for step in trained_steps(layer))
    counts = network.steps_per_layer()
    updates = None if network.steps is None else sum(map(neurons, layers)) * sum(counts[layer.name] or 0 for layer in layers)
    return Operations(synops, updates)


def layer_connections(layers: Sequence[Layer], layer: Layer) -> tuple[int, int]:
    """Existing connections into `layer`, one of `layers`, and connections of its padded taps."""
    shapes = {source.name: source.shape for source in layers}
    connections = layer.connections if has_neurons(layer) else ()
    return (
        sum(existing_connections(connection, shapes[connection.source]) for connection in connections),
        sum(virtual_connections(connection) for connection in connections),
    )


def synaptic(network: Network) -> Operations:
    """Every existing connection once; all neurons at every step until the output can be read."""
    latency = network.latency_steps
    return Operations(
        sum(layer_connections(network.layers, layer)[0] for layer in network.layers),
        None if latency is None else sum(map(neurons, network.layers)) * latency,
    )


def layer_updates(network: Network, layer: Layer, fixed: bool = False) -> int | None:
    """Updates of a layer's neurons: in its own window; with a fixed threshold at every step of the run."""
    latency = network.latency_steps
    if network.steps is None or latency is None:
        return None
    return neurons(layer) * (latency if fixed else network.steps_per_layer()[layer.name] or network.steps)


def reference_spikes(network: Network, layer: Layer) -> int:
    """Connections of the layer's reference neuron, if its slope case has one."""
    return neurons(layer) if isinstance(layer, Spiking) and layer.slope == "reference" else 0


def event_of_layer(network: Network, layer: Layer, active: Mapping[str, np.ndarray], sent: Mapping[str, np.ndarray] | None = None) -> Operations:
    """`event` for the connections into one layer. active: as for `gated_of_layer`. sent: with a fixed threshold, per population the share
    of images in which each neuron spikes at all; None: each does, by its window's end."""
    updates = layer_updates(network, layer, fixed=sent is not None)
    if (layer.slope if isinstance(layer, Spiking) else network.slope) == "gated":
        return Operations(_transmitted_to(layer, active), updates)
    existing, virtual = layer_connections(network.layers, layer)
    return Operations((existing if sent is None else _transmitted_to(layer, sent)) + virtual + reference_spikes(network, layer), updates)


def event_spread(network: Network, active: Mapping[str, np.ndarray], sent: Mapping[str, np.ndarray] | None = None) -> float | None:
    """The most that the standard deviation of one image's `event` SynOPs can be: the sum over neurons of sqrt(p (1 - p)) times their fan-out, p
    being the share of images in which they transmit. None where all neurons of all layers always do. active, sent: as for `event_of_layer`."""
    found = None
    for layer in network.layers:
        is_gated = (layer.slope if isinstance(layer, Spiking) else network.slope) == "gated"
        spikes = active if is_gated else sent
        if spikes is not None:
            found = (found or 0.0) + _transmitted_to(layer, {name: np.sqrt(shares * (1 - shares)) for name, shares in spikes.items()})
    return found


def gated_of_layer(network: Network, layer: Layer, active: Mapping[str, np.ndarray]) -> Operations:
    """`event_if_gated` for the connections into one layer. active: per population, the share of images in which each neuron has a > 0."""
    return Operations(_transmitted_to(layer, active), layer_updates(network, layer))


def _transmitted_to(layer: Layer, spikes: Mapping[str, np.ndarray]) -> float:
    return sum(_transmitted(connection, spikes[connection.source]) for connection in (layer.connections if has_neurons(layer) else ()))


def _transmitted(connection: Connection, active: np.ndarray) -> float:
    return fan_out(connection.path, active.shape).weighted(active)


def spikes_per_neuron(network: Network, active: Mapping[str, np.ndarray], sent: Mapping[str, np.ndarray] | None = None) -> float:
    """Spikes that an inference sends, per spiking neuron; the input and windowed pools are left out. active, sent: as for `event_of_layer`.

    With slope gated a silent neuron sends none.
    """
    layers = [layer for layer in network.layers if isinstance(layer, Spiking) and trained_steps(layer)]
    spikes = active if network.slope == "gated" else sent
    total = sum(neurons(layer) if spikes is None else float(spikes[layer.name].sum()) for layer in layers)
    return total / max(1, sum(map(neurons, layers)))


def total(operations: list[Operations]) -> Operations:
    """The sum; updates are None where one of them is."""
    updates = [each.neuronops for each in operations if each.neuronops is not None]
    return Operations(sum(each.synops for each in operations), sum(updates) if len(updates) == len(operations) else None)
