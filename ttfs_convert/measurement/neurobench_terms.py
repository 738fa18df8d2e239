"""The terms of NeuroBench (Yik et al., Nature Communications 16, 2025) for a converted network.

What is defined alike is equal to what `neurobench` computes for the original, in continuous time, where a neuron has a > 0 if its activation is not 0
(`tests/measurement/test_neurobench_terms.py`). Where ours differ:

- Effective operations: of a spiking network all are accumulates, for a spike is binary; `neurobench` decides by the values of a whole batch, so
  that one sample that is not binary makes MACs of all. Ours are of every kind of synapse; `neurobench` leaves out transposed convolutions,
  identities of residual sums and average pools: of a pool that is part of the next layer's synapses it counts the layer's, from pooled values, we
  the synapses through it, from neurons. Weights behind or in front of such pools count as not zero.
- Padded taps are in neither. With slopes `fan_in` and `reference` silent neurons and padded taps spike too, and silence saves nothing: count `event`.
- Activation sparsity is of the layers of neurons, whatever their activation; `neurobench` looks for modules that it knows, ReLU and the like, and
  does not know Hardtanh, which is ReLU1.
- Footprint: weights and biases of the network after folding, 4 bytes each, weights of few bits as `weight_memory` counts them; `neurobench`
  counts the original's parameters and buffers, BatchNorm's too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..files.mapped import let_go
from ..network.network import Network
from ..network.populations import Spiking, has_neurons, trained_steps
from ..network.synapses.connection import Connection
from ..network.synapses.dense import Dense
from ..network.synapses.fan_out import existing_connections, fan_out
from ..network.synapses.kind import WeightedKind
from .hardware_work import FLOAT
from .weight_memory import weight_bytes


@dataclass(frozen=True)
class NeuroBenchTerms:
    """Per inference, named as `neurobench` names them."""

    effective_acs: float  # spikes of neurons with a > 0 times their weights that are not 0
    effective_macs: float  # the same from analog inputs
    dense: float  # existing connections
    activation_sparsity: float  # share of neurons with a = 0
    connection_sparsity: float  # share of weights that are 0
    footprint: int  # bytes


def neurobench_terms(network: Network, active: Mapping[str, np.ndarray]) -> NeuroBenchTerms:
    """active: per population, the share of images in which each neuron has a > 0, or an analog input another value than 0."""
    shapes = {layer.name: layer.shape for layer in network.layers}
    analog = {layer.name for layer in network.inputs if layer.coding == "direct"}
    layers = [layer for layer in network.layers if has_neurons(layer)]
    found, dense = {True: 0.0, False: 0.0}, 0.0
    for connection in (connection for layer in layers for connection in layer.connections):
        found[connection.source in analog] += _effective(connection, active[connection.source])
        dense += existing_connections(connection, shapes[connection.source])
    weights = [step.weights for layer in layers for step in trained_steps(layer)]
    biases = sum(layer.bias.size for layer in layers if layer.bias is not None)
    firing = [layer for layer in layers if isinstance(layer, Spiking)]
    neurons = sum(math.prod(layer.shape) for layer in firing)
    return NeuroBenchTerms(
        effective_acs=found[False],
        effective_macs=found[True],
        dense=dense,
        activation_sparsity=1 - sum(float(active[layer.name].sum()) for layer in firing) / max(1, neurons),
        connection_sparsity=sum(map(_zeros, weights)) / max(1, sum(each.size for each in weights)),
        footprint=weight_bytes(network) + FLOAT * biases,
    )


def _zeros(weights: np.ndarray) -> int:
    found = weights.size - int(np.count_nonzero(weights))
    let_go(weights)
    return found


def _effective(connection: Connection, active: np.ndarray) -> float:
    (step, *others) = connection.path or (None,)
    if isinstance(step, Dense) and not others:  # alone, since its weights may be most of a network's
        reading = np.count_nonzero(step.weights, axis=1)
        let_go(step.weights)
        return float(active.reshape(-1) @ reading)
    if isinstance(step, WeightedKind) and not others and not step.weights.all():
        return float(step.with_weights(step.weights != 0).apply(active.reshape(step.in_shape)).sum())
    return fan_out(connection.path, active.shape).weighted(active)
