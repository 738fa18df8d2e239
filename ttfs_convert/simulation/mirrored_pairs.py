"""Populations whose potentials are each other's, turned round: the halves of a function with a minimum. They are worked out once."""

from __future__ import annotations

import numpy as np

from ..network.network import Network
from ..network.populations import Spiking, sources
from ..network.records import Record


def mirrored_pairs(network: Network) -> dict[str, str]:
    """The layer whose potentials are minus another one's -> that one, which comes first. To the last bit: float32 sums of negated terms are
    negated sums."""
    found: dict[str, str] = {}
    first: dict[tuple, Spiking] = {}
    for layer in network.layers:
        if isinstance(layer, Spiking) and layer.activation is not None:
            other = first.setdefault((sources(layer), layer.shape), layer)
            if other is not layer and _negated(other, layer) and other.name not in found.values():
                found[layer.name] = other.name
    return found


def _negated(one: Spiking, other: Spiking) -> bool:
    if (one.bias is None) != (other.bias is None) or (one.bias is not None and other.bias is not None and not np.array_equal(-one.bias, other.bias)):
        return False
    for first, second in zip(one.connections, other.connections):
        if not first.path or len(first.path) != len(second.path):
            return False
        signs = [1.0] * (len(first.path) - 1) + [-1.0]
        if not all(map(_same, first.path, second.path, signs)):
            return False
    return True


def _same(one: Record, other: Record, sign: float) -> bool:
    """Whether two steps are the same but for the sign of their weights."""
    if type(one) is not type(other) or (sign < 0 and "weights" not in type(one).model_fields):
        return False
    return (one is other and sign > 0) or all(
        np.array_equal(sign * value if name == "weights" else value, getattr(other, name)) for name, value in one if name in type(one).model_fields
    )
