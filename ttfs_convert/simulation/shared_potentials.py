"""Populations whose potentials are each other's, as they are or turned round: the parts of a function with extremes. They are worked out once."""

from __future__ import annotations

import numpy as np

from ..network.network import Network
from ..network.populations import Spiking, sources
from ..network.records import Record


def shared_potentials(network: Network) -> dict[str, tuple[str, float]]:
    """The layer whose potentials are another one's, or minus these -> that one, which comes first, and 1 or -1. To the last bit: float32 sums of
    negated terms are negated sums."""
    found: dict[str, tuple[str, float]] = {}
    first: dict[tuple, list[Spiking]] = {}
    for layer in network.layers:
        if isinstance(layer, Spiking) and layer.activation is not None:
            others = first.setdefault((sources(layer), layer.shape), [])
            same = next(((other.name, sign) for other in others for sign in (1.0, -1.0) if _equal(other, layer, sign)), None)
            if same is None:
                others.append(layer)
            else:
                found[layer.name] = same
    return found


def _equal(one: Spiking, other: Spiking, sign: float) -> bool:
    """Whether the potentials of `other` are `sign` times those of `one`."""
    if (one.bias is None) != (other.bias is None):
        return False
    if one.bias is not None and other.bias is not None and not np.array_equal(sign * one.bias, other.bias):
        return False
    for first, second in zip(one.connections, other.connections):
        if len(first.path) != len(second.path) or (sign < 0 and not first.path):
            return False
        signs = [1.0] * (len(first.path) - 1) + [sign]
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
