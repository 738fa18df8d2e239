"""Potentials that are sums of spike trains with nothing but factors between: what moves or joins elements does so to each of the trains."""

from __future__ import annotations

import numpy as np

from ..network.synapses.connection import Synapses
from ..network.synapses.scale import Scale
from .values import Potential, Spikes, Value


def spike_trains(value: Value | None) -> list[Spikes] | None:
    """The trains whose sum `value` is, each seen through its index, the first with its bias; None where it is no such sum."""
    if isinstance(value, Spikes):
        return [value]
    if not isinstance(value, Potential) or not value.pooled_only:
        return None
    factors = [each for each in (factors_of(connection.path, value.shape[-1]) for connection in value.connections) if each is not None]
    if len(factors) < len(value.connections):
        return None
    none = np.zeros(value.shape[-1])
    return [
        Spikes(each.source, value.index, value.shape, scale.astype(np.float64), none if k else value.bias)
        for k, (each, scale) in enumerate(zip(value.connections, factors))
    ]


def factors_of(path: tuple[Synapses, ...], channels: int) -> np.ndarray | None:
    """What `path` multiplies spikes by, float32, per channel or whole; None where it is more than factors."""
    if not path:
        return np.ones(channels, np.float32)
    (first, *others) = path
    return first.weights if isinstance(first, Scale) and not others else None
